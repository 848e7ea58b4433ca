"""The published yolov3-tiny.weights find what OpenCV's DNN module finds with them."""

import cv2
import numpy as np
import pytest

from tests.darknet.networks import DATA, needs_data
from yolo3.datasets.images import read_image
from yolo3.inference.loading import load_detector

# cv2.dnn.readNetFromDarknet of opencv-python-headless 4.12.0 (5.0 has no reader of Darknet's files), yolov3-tiny.cfg
# with mask=1,2,3 in its second [yolo], images of 416x416 by cv2.resize, NMSBoxes(.3, .45) class by class.
OPENCV = {
    "dog": [
        ("dog", 0.82894, (67.4, 158.06, 207.08, 374.44)),
        ("car", 0.72525, (252.69, 59.57, 371.87, 124.07)),
        ("truck", 0.58216, (254.99, 57.89, 373.6, 126.54)),
        ("bicycle", 0.37829, (124.21, 141.72, 302.79, 321.3)),
    ],
    "person": [
        ("person", 0.98036, (117.24, 92.47, 181.01, 375.37)),
        ("dog", 0.88855, (51.81, 259.56, 132.25, 344.63)),
        ("sheep", 0.77426, (253.03, 122.63, 400.35, 334.91)),
    ],
}


@pytest.mark.slow
@needs_data
def test_the_published_tiny_weights_find_the_boxes_that_opencv_finds(tmp_path):
    text = (DATA / "darknet" / "cfg" / "yolov3-tiny.cfg").read_text()
    before, _, after = text.rpartition("mask")
    (tmp_path / "tiny.cfg").write_text(f"{before}mask=1,2,3\n{after.partition(chr(10))[2]}")
    weights = DATA / "darknet" / "weights" / "yolov3-tiny.weights"
    detector = load_detector(weights, cfg_path=str(tmp_path / "tiny.cfg"), score_threshold=0.3, precision="float32")
    for name, expected in OPENCV.items():
        image = read_image(str(DATA / "images" / f"{name}.jpg"))
        found = detector(cv2.resize(image, (416, 416)))  # the size of the network: no other resize is between
        classes = [detector.class_names[class_id] for class_id in found.class_ids]
        assert classes == [each[0] for each in expected]
        np.testing.assert_allclose(found.scores, [each[1] for each in expected], atol=2e-4)
        np.testing.assert_allclose(found.boxes, [each[2] for each in expected], atol=0.05)


@pytest.mark.slow
@needs_data
def test_the_published_tiny_weights_go_back_to_the_same_bytes(tmp_path):
    from tests.convert.command import convert

    cfg, weights = DATA / "darknet" / "cfg" / "yolov3-tiny.cfg", DATA / "darknet" / "weights" / "yolov3-tiny.weights"
    assert convert(cfg, weights, tmp_path / "tiny.h5") == 0
    assert convert("--to-darknet", tmp_path / "tiny.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.cfg").read_bytes() == cfg.read_bytes()
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()
