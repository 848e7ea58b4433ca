"""Validation: a network that outputs the ground truth scores 1, one that outputs nothing 0; batches do not matter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image
from yolo3.input import batches
from yolo3.input.batches import validation_batches
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.head import encode_boxes
from yolo3.models.yolov3.losses import TERMS
from yolo3.models.yolov3.scales import make_scales
from yolo3.models.yolov3.targets import build_targets
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.validation import Validator

pytestmark = pytest.mark.usefixtures("slim_tiny", "eagerly")
NAMES = ["circle", "square", "triangle"]
SHAPE = (96, 128)  # the images are square: the letterbox leaves grey at the sides


@pytest.fixture(scope="module")
def annotations(shapes_set):
    """Four images; of the last one those boxes that share no slot, as one slot can answer only one box."""
    items = read_dataset(shapes_set, list_name="val", class_names=NAMES).annotations
    return [*items[:3], items[3].select(np.array([1, 2, 5]))]


@pytest.fixture(scope="module")
def trainer(slim_tiny):
    keras.utils.set_random_seed(0)
    config = TrainConfig(anchors="none", input_size=SHAPE, batch_size=4, precision="float32")
    return Trainer(config, YoloV3.from_name("yolov3-tiny", 3, anchors=DEFAULT_TINY_ANCHORS), 100)


class Knows:
    """Stands in for the inference network: answers the targets of the image that it is shown, with noise if asked."""

    def __init__(self, annotations, certainty, noise=0.0):
        ((images, boxes, _),) = validation_batches(
            annotations, batch_size=len(annotations), input_shape=SHAPE, resize="letterbox"
        )
        self.images = images
        self.raws = []
        scales = make_scales(DEFAULT_TINY_ANCHORS)
        for target, scale in zip(build_targets(boxes, SHAPE, scales, 3), scales):
            raw = encode_boxes(target[..., :2], target[..., 2:4], scale.anchors, SHAPE)
            raw = tf.concat([raw, certainty * (2 * target[..., 4:] - 1)], -1)
            raw += noise * np.random.default_rng(0).normal(size=raw.shape).astype(np.float32)
            self.raws.append(tf.reshape(raw, (*raw.shape[:3], -1)))

    def __call__(self, images, training):
        assert not training
        differences = tf.reduce_mean(tf.abs(images[:, None] - self.images[None]), (2, 3, 4))
        return [tf.gather(raw, tf.argmin(differences, 1)) for raw in self.raws]


def validate(trainer, annotations, batch_size=4, **settings):
    config = TrainConfig(anchors="none", input_size=SHAPE, batch_size=batch_size, precision="float32", **settings)
    before, trainer.config = trainer.config, config
    try:
        return Validator(trainer, annotations, NAMES).run()[:2]
    finally:
        trainer.config = before


@pytest.fixture
def network_of(trainer, monkeypatch):
    return lambda network: monkeypatch.setattr(trainer, "inference_network", network)


def test_a_network_that_outputs_the_ground_truth_scores_one(trainer, annotations, network_of):
    network_of(Knows(annotations, 12.0))
    row, detections = validate(trainer, annotations)
    assert row["AP50"] == pytest.approx(1) and row["AP"] == pytest.approx(1)
    for truth, found in zip(annotations, detections):
        best = found.boxes[found.scores > 0.5]
        assert len(best) == len(truth.boxes)
        for box in truth.boxes:  # in pixels of the image, whatever the letterbox
            assert np.abs(best - box).max(1).min() < 0.05
    assert row["val_loss"] < 0.05 and set(row) >= {f"val_{name}" for name in TERMS}


def test_each_class_has_an_average_precision_of_its_own(trainer, annotations, network_of):
    network_of(Knows(annotations, 12.0))
    row, _ = validate(trainer, annotations)
    present = {NAMES[index] for item in annotations for index in item.class_ids}
    for name in NAMES:
        assert row[f"AP50_{name}"] == pytest.approx(1) if name in present else np.isnan(row[f"AP50_{name}"])


def test_a_network_that_outputs_the_opposite_scores_zero(trainer, annotations, network_of):
    network_of(Knows(annotations, -12.0))
    row, _ = validate(trainer, annotations)
    assert row["AP50"] < 0.1 and row["val_objectness"] > 10


@pytest.mark.slow
def test_the_size_of_the_batches_does_not_matter(trainer, annotations):
    whole, found = validate(trainer, annotations, batch_size=4)
    parts, again = validate(trainer, annotations, batch_size=3)  # three images, then one
    for name in (*(f"val_{term}" for term in TERMS), "val_loss"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-4)
    assert len(found) == len(again) == 4


def test_detections_lie_within_the_image(trainer, annotations):
    _, detections = validate(trainer, annotations, resize="stretch")
    for found in detections:
        assert len(found.boxes) and found.boxes.min() >= 0 and found.boxes.max() <= 96
        assert len(found.boxes) <= 300 and (found.scores > 0.001).all()


def test_normalisation_is_folded_anew_at_each_evaluation(trainer, annotations):
    validator = Validator(trainer, annotations, NAMES)
    for scale in (1.0, 3.0):  # of the weights, which training changes
        network = trainer.inference_network
        rng = np.random.default_rng(0)
        network.set_weights([scale * rng.uniform(0.01, 0.2, array.shape) for array in network.get_weights()])
        row, _, _ = validator.run()
        assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in validator._network.layers)
        ((images, boxes, _),) = validation_batches(annotations, batch_size=4, input_shape=SHAPE, resize="letterbox")
        terms = trainer.batch_terms(network(images, training=False), SHAPE, boxes)
        for name in ("objectness", "no_object", "class", "wh"):
            assert row[f"val_{name}"] == pytest.approx(float(terms[name]), rel=1e-4)


@pytest.mark.parametrize("cache, times", [("auto", 1), ("memory", 1), ("none", 2), ("disk", 2)])
def test_images_are_decoded_once_where_they_may_be_kept(trainer, annotations, monkeypatch, cache, times):
    read = []
    monkeypatch.setattr(batches, "read_image", lambda path: read.append(path) or read_image(path))
    config, trainer.config = trainer.config, TrainConfig(anchors="none", input_size=SHAPE, batch_size=4, cache=cache)
    try:
        validator = Validator(trainer, annotations, NAMES)
        rows = [validator.run()[0] for _ in range(2)]
    finally:
        trainer.config = config
    assert len(read) == 4 * times
    np.testing.assert_array_equal(list(rows[0].values()), list(rows[1].values()))
