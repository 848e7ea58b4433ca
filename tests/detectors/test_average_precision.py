"""Average precision of Keras detectors."""

import keras
import numpy as np
import pytest

from tests.detectors.cases import BOXES, LABELS, NAMES, batch
from yolo3.detectors.average_precision import AveragePrecision, average_precision
from yolo3.detectors.ground_truth import from_corners
from yolo3.ops.box_formats import FORMATS

FOUND = np.pad(BOXES, ((0, 0), (0, 1), (0, 0)))  # [2, 4, 4]


class Knowing:
    """In place of a detector: it finds what the ground truth says, the last box of the first image excepted."""

    class_names = NAMES

    def __init__(self, bounding_box_format, found=FOUND):
        self.found = found
        self.bounding_box_format = bounding_box_format

    def predict_on_batch(self, images, score_threshold):
        assert score_threshold == 0
        boxes = keras.ops.convert_to_numpy(from_corners(self.found, self.bounding_box_format, images.shape[1:3]))
        found = {"boxes": boxes, "confidence": np.full((2, 4), 0.9), "labels": np.array([[0, -1, -1, -1]] * 2)}
        found["labels"][1, 0] = 1
        return found | {"num_detections": np.array([1, 1])}


def data_in(bounding_box_format):
    images, _ = batch()
    return images, {"boxes": np.array(from_corners(BOXES, bounding_box_format, images.shape[1:3])), "labels": LABELS}


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_the_mean_over_the_classes_in_every_format(name):
    results = average_precision(Knowing(name), data_in(name))
    # Cat and dog are found, the owl is not: 1, 1 and 0.
    assert results["AP50"] == pytest.approx(2 / 3, abs=1e-6)
    assert [results["per_class"][name]["AP50"] for name in NAMES] == pytest.approx([1, 1, 0])


def test_ap_is_the_mean_over_the_thresholds_of_coco():
    boxes = FOUND + np.float32([0, 0, 0.2, 0]) * (FOUND[..., 2:3] - FOUND[..., :1])  # a fifth wider: IoU 1 / 1.2
    detector = Knowing("xyxy", boxes)
    results = average_precision(detector, data_in("xyxy"))
    assert results["per_class"]["cat"]["AP50"] == pytest.approx(1)
    assert results["per_class"]["cat"]["AP"] == pytest.approx(0.7)  # .5 to .8 of the ten thresholds


def test_batches_are_counted_together():
    images, y = data_in("xyxy")
    assert average_precision(Knowing("xyxy"), [(images, y)] * 2)["per_class"]["owl"]["num_truths"] == 2


def test_the_callback_adds_to_the_logs_every_so_many_epochs():
    callback = AveragePrecision(data_in("xyxy"), every=2)
    callback.set_model(Knowing("xyxy"))
    first, second = {"loss": 1.0}, {"loss": 1.0}
    callback.on_epoch_end(0, first)
    callback.on_epoch_end(1, second)
    assert first == {"loss": 1.0} and second["val_AP50"] == pytest.approx(2 / 3, abs=1e-6) and "val_AP" in second
