"""The published yolov3-tiny.weights find what OpenCV's DNN module finds with them."""

import numpy as np
import pytest

from tests.darknet.networks import DATA, needs_data
from yolo3.inference.loading import load_detector
from yolo3.ops.boxes import iou

# cv2.dnn.readNetFromDarknet of opencv-python-headless 4.12.0 (5.0 has no reader of Darknet's files), yolov3-tiny.cfg
# with mask=1,2,3 in its second [yolo], a letterbox to 416 by cv2.resize, NMSBoxes(.3, .45) class by class. For the same
# pixels the raw outputs agree within .0013, of values up to 21; what differs here is the resize, which is Darknet's.
OPENCV = {
    "dog": [
        ("car", 0.64417, (465.39, 74.07, 677.39, 172.03)),
        ("bicycle", 0.59413, (205.4, 153.19, 576.59, 447.74)),
        ("dog", 0.555, (129.09, 186.41, 369.77, 516.92)),
        ("truck", 0.54216, (480.49, 82.86, 674.05, 171.81)),
    ],
    "person": [
        ("horse", 0.94454, (399.11, 136.87, 604.48, 331.25)),
        ("dog", 0.89574, (72.27, 267.56, 201.09, 352.51)),
        ("person", 0.87602, (184.59, 107.13, 276.42, 379.29)),
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
        found = detector(str(DATA / "images" / f"{name}.jpg"))
        classes = [detector.class_names[class_id] for class_id in found.class_ids]
        assert classes == [each[0] for each in expected]
        np.testing.assert_allclose(found.scores, [each[1] for each in expected], atol=0.03)  # the resize differs
        for box, (_, _, theirs) in zip(found.boxes, expected, strict=True):
            assert float(np.ravel(iou(np.float32(box), np.float32(theirs)))[0]) > 0.9


@pytest.mark.slow
@needs_data
def test_the_published_tiny_weights_go_back_to_the_same_bytes(tmp_path):
    from tests.convert.command import convert

    cfg, weights = DATA / "darknet" / "cfg" / "yolov3-tiny.cfg", DATA / "darknet" / "weights" / "yolov3-tiny.weights"
    assert convert(cfg, weights, tmp_path / "tiny.h5") == 0
    assert convert("--to-darknet", tmp_path / "tiny.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.cfg").read_bytes() == cfg.read_bytes()
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()
