"""YOLOv3 training for Keras 3 and TensorFlow.

What a user's program needs is here under one name each, and imported when it is first used: ``import yolo3`` alone
needs neither NumPy nor Keras.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name: the module that holds it.
_HOMES = {
    "AveragePrecision": "yolo3.detectors.average_precision",
    "DetectionResult": "yolo3.inference.detection_result",
    "Detections": "yolo3.detections",
    "Detector": "yolo3.inference.detector",
    "KerasBatches": "yolo3.input.keras_batches",
    "KerasDetector": "yolo3.detectors.detector",
    "RetinaNetDetector": "yolo3.detectors.architectures",
    "RpnDetector": "yolo3.detectors.architectures",
    "YoloV1Detector": "yolo3.detectors.architectures",
    "YoloV3Detector": "yolo3.detectors.architectures",
    "evaluate": "yolo3.api.evaluate",
    "read_dataset": "yolo3.datasets.formats.registry",
    "tf_batches": "yolo3.input.tf_batches",
    "train": "yolo3.api.train",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'yolo3' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
