"""What is exported, whatever the format: a function from images to outputs with fixed names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import ops

from yolo3 import __version__
from yolo3.export.settings import ExportSettings
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.runtime import OUTPUTS
from yolo3.ops.nms import non_max_suppression

INPUT = "images"  # name of the input


@dataclass(frozen=True)
class ExportGraph:
    """A network with what comes after it in an exported file.

    Args:
        detector: The network with its thresholds, method of suppression and input size.
        settings: What the file computes.
        batch: Number of images at once; None for any number.
        network: What computes, by default that of the detector (:mod:`yolo3.inference.keras_network`).
    """

    detector: Detector
    settings: ExportSettings
    batch: int | None = None
    network: Any = None

    def __post_init__(self):
        if self.network is None:
            object.__setattr__(self, "network", self.detector.network)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs in their order."""
        if self.settings.raw:
            return tuple(f"raw_{number}" for number in range(len(self.detector.model.outputs)))
        return OUTPUTS[self.settings.outputs]

    @property
    def signature(self) -> tf.TensorSpec:
        """Shape and type of the images."""
        return tf.TensorSpec((self.batch, *self.detector.input_shape, 3), self.settings.input, name=INPUT)

    def __call__(self, images) -> dict[str, Any]:
        """Return the outputs by name for images as :attr:`signature` says."""
        detector = self.detector
        relative = ops.cast(images, "float32") / 255 if self.settings.input == "uint8" else images
        if self.settings.raw:
            return dict(zip(self.outputs, self.network.raw(relative), strict=True))

        boxes, scores = self.network.decoded(relative, detector.input_shape)
        found: tuple = (boxes, scores)
        if self.settings.suppression:
            found = non_max_suppression(
                boxes,
                scores,
                score_threshold=detector.score_threshold,
                iou_threshold=detector.iou_threshold,
                max_boxes=detector.max_boxes,
                method=self.settings.suppression,
                overlap=detector.nms_overlap,
            )
        return dict(zip(self.outputs, found, strict=True))

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the file; see :mod:`yolo3.inference.runtimes.runtime`."""
        detector, settings = self.detector, self.settings
        export = {
            "format": settings.format,
            "outputs": settings.outputs,
            "input": settings.input,
            "batch": self.batch,
            "precision": settings.precision,
            "one_class": detector.network.one_class,
            "iou_threshold": detector.iou_threshold,
            "yolo3": __version__,
        }
        if settings.suppression:
            export |= {
                "score_threshold": detector.score_threshold,
                "max_boxes": detector.max_boxes,
                "nms": settings.suppression,
                "nms_overlap": detector.nms_overlap,
            }
        network = {name: value for name, value in detector.network.metadata.items() if name != "training"}
        own = {
            "input_shape": list(detector.input_shape),
            "resize": detector.resize,
            "class_names": detector.class_names,
        }
        return network | own | {"export": export}
