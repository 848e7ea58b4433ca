"""What the tests of the Keras detectors share: images with boxes, and a small detector of them."""

import numpy as np

from yolo3.detectors.architectures import YoloV3Detector

SIZE = (64, 96)  # (height, width)
NAMES = ("cat", "dog", "owl")
BOXES = np.array(
    [[[8, 4, 40, 44], [50, 20, 90, 60], [0, 0, 0, 0]], [[30, 10, 62, 26], [0, 0, 0, 0], [0, 0, 0, 0]]], np.float32
)
LABELS = np.array([[0, 2, -1], [1, -1, -1]], np.int32)


def batch(images=2):
    """Return images float32 [B, 64, 96, 3] and their ground truth as (images, {"boxes", "labels"}), xyxy in pixels."""
    pixels = np.random.default_rng(0).uniform(0, 1, (images, *SIZE, 3)).astype(np.float32)
    places = np.arange(images) % 2
    return pixels, {"boxes": BOXES[places], "labels": LABELS[places]}


def detector(**arguments):
    """Return a tiny YOLOv3 for three classes with random weights."""
    return YoloV3Detector.from_preset("yolov3-tiny", class_names=NAMES, **arguments)
