"""A small network whose detections are known, as a detector and as exported files."""

import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network, sample_image
from yolo3.inference.detector import Detector

FORMATS = ("saved_model", "onnx", "litert", "openvino")
PACKAGES = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "litert": ("ai_edge_litert",),
    "openvino": ("openvino", "onnx", "onnxruntime", "tf2onnx"),
}
SUFFIXES = {"saved_model": "_saved_model", "onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}


def need(name):
    """Skip, saying so, where a package of a format is not installed."""
    for package in PACKAGES[name]:
        pytest.importorskip(package, reason=f"needs {package}: pip install '.[{name}]'")


def cells(**options):
    """Detector of the network that sees red and green cells of 32 pixels, in an input of 64 x 96."""
    metadata = METADATA | {"resize": "letterbox", "training": {"epochs": 3}}
    return Detector(cell_network(), metadata, input_shape=(64, 96), **options)


def photographs():
    """Images of several shapes and colours."""
    rng = np.random.default_rng(0)
    images = [sample_image(), sample_image(100, 60, (0, 255, 0)), sample_image(64, 96, (0, 0, 255))]
    return [*images, rng.integers(0, 256, (70, 90, 3), np.uint8)]
