"""Average precision of a Keras detector, by pycocotools: as a function, and as a callback of ``fit``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.detectors.detector import KerasDetector
from yolo3.detectors.ground_truth import dense
from yolo3.evaluation.coco import coco_results

_BATCH_SIZE = 32  # of arrays, Keras' default


def average_precision(detector: KerasDetector, data: Any) -> dict:
    """Return COCO's numbers of a detector on data, in pixels of the network input.

    Args:
        detector: Its ``bounding_box_format`` is that of the boxes.
        data: (images, ``{"boxes", "labels"}``) as arrays, or batches of them: a ``tf.data.Dataset``, a
            ``keras.utils.PyDataset``, or anything else that can be iterated over and ends.

    Returns:
        The dict of :func:`yolo3.evaluation.coco.coco_results`, with "AP", "AP50" and "per_class".
    """
    annotations: list[Annotation] = []
    detections: list[Detections] = []
    for images, ground_truth in _batches(data):
        found = detector.predict_on_batch(images, score_threshold=0.0)
        boxes, labels = (ops.convert_to_numpy(part) for part in dense(ground_truth))
        boxes, found_boxes = (_to_corners(part, detector, images) for part in (boxes, found["boxes"]))

        for index, count in enumerate(found["num_detections"]):
            is_object = labels[index] >= 0
            annotations.append(_annotation(boxes[index][is_object], labels[index][is_object], len(annotations)))
            detections.append(
                Detections(
                    found_boxes[index, :count], found["confidence"][index, :count], found["labels"][index, :count]
                )
            )
    return coco_results(annotations, detections, detector.class_names)


def _batches(data) -> Iterator[tuple]:
    """Yield (images, ground truth) of arrays or of batches."""
    if isinstance(data, keras.utils.PyDataset):
        data = (data[index] for index in range(len(data)))
    elif isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], dict):
        images, ground_truth = data
        starts = range(0, len(images), _BATCH_SIZE)
        parts = (slice(start, start + _BATCH_SIZE) for start in starts)
        data = ((images[part], {name: value[part] for name, value in ground_truth.items()}) for part in parts)
    for images, ground_truth, *_ in data:
        yield images, ground_truth


def _to_corners(boxes, detector: KerasDetector, images) -> np.ndarray:
    """Return boxes [B, N, 4] as xyxy in pixels."""
    height, width = images.shape[1:3]
    corners = keras.utils.bounding_boxes.convert_format(
        np.asarray(boxes, np.float32), detector.bounding_box_format, "xyxy", height=height, width=width
    )
    return ops.convert_to_numpy(corners)


def _annotation(boxes, labels, number: int) -> Annotation:
    nothing = np.zeros(len(boxes), bool)
    return Annotation(
        image_path=str(number),
        boxes=boxes,
        class_ids=labels.astype(np.int32),
        difficult=nothing,
        crowd=nothing,
        source=f"image {number}",
    )


class AveragePrecision(keras.callbacks.Callback):
    """Log ``val_AP`` and ``val_AP50`` after epochs, so that other callbacks and the history see them.

    The weights are those of the epoch; where ``fit`` averages weights, the averages become the weights at its end.

    Args:
        data: Images and ground truth; see :func:`average_precision`.
        every: Epochs between two measurements.

    Example:
        >>> best = keras.callbacks.ModelCheckpoint("best.keras", monitor="val_AP50", mode="max", save_best_only=True)
        >>> detector.fit(train, epochs=30, callbacks=[AveragePrecision(validation), best])
    """

    def __init__(self, data: Any, every: int = 1):
        super().__init__()
        self.data, self.every = data, every

    def on_epoch_end(self, epoch, logs=None):
        """Measure, and add the numbers to the logs of the epoch."""
        if logs is None or (epoch + 1) % self.every:
            return
        results = average_precision(self.model, self.data)
        logs |= {"val_AP": results["AP"], "val_AP50": results["AP50"]}
