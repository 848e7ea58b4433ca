"""Candidates of one image: thresholds select from them what a detector with these thresholds gives."""

import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network, sample_image
from yolo3.inference.candidates import Candidates
from yolo3.inference.detector import Detector
from yolo3.inference.settings import DetectorSettings


def candidates(boxes, scores, suppressed=False, **settings):
    """Candidates in an image of 100 x 200, a network input of 50 x 100."""
    settings = {"input_shape": (50, 100), "resize": "letterbox", "iou_threshold": 0.45} | settings
    image = np.zeros((100, 200, 3), np.uint8)
    return Candidates(image, np.float32(boxes), np.float32(scores), DetectorSettings(**settings), suppressed)


def test_thresholds_select_what_a_detector_with_them_gives():
    image, network = sample_image(), cell_network(always=-1.0)  # "any" scores .27 in every cell
    seen = Detector(network, METADATA, score_threshold=None).candidates(image)
    for thresholds in ({}, {"score_threshold": 0.2}, {"score_threshold": 0.5}, {"iou_threshold": 0.0}):
        expected = Detector(network, METADATA, **{"score_threshold": 0.0, **thresholds})(image)
        found = seen.select(**thresholds)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
        assert found.class_ids.tolist() == expected.class_ids.tolist()
    np.testing.assert_array_equal(seen.image, image)


def test_a_lower_iou_threshold_drops_the_weaker_of_two_boxes():
    # 10 x 10 and 10 x 10, 5 apart: IoU 50 / 150 = .33
    seen = candidates([[0, 0, 10, 10], [5, 0, 15, 10]], [[0.9], [0.8]])
    assert seen.select(0.1).boxes.tolist() == [[0, 0, 20, 20], [10, 0, 30, 20]]  # the image is twice the input
    assert seen.select(0.1, iou_threshold=0.3).boxes.tolist() == [[0, 0, 20, 20]]
    assert len(seen.select(0.85)) == 1 and len(seen.select()) == 2


@pytest.mark.parametrize("nms", ["greedy", "soft", "diou"])
def test_what_a_file_has_suppressed_is_not_suppressed_again(nms):
    seen = candidates([[0, 0, 10, 10], [1, 0, 11, 10]], [[0.9], [0.8]], suppressed=True, nms=nms)
    assert seen.select(0.5, iou_threshold=0.0).scores.tolist() == pytest.approx([0.9, 0.8])
    assert len(seen.select(0.85)) == 1
