"""Suppression in NumPy: equal to the version for tensors, whatever the method."""

import numpy as np
import pytest

from tests.ops.test_nms import EVERY_WAY, hard_case, random_case, run, stacked_boxes
from yolo3.ops.nms_numpy import non_max_suppression


def assert_equals_tensors(boxes, scores, *args, **options):
    before = boxes.copy(), scores.copy()
    expected_boxes, expected_scores, expected_ids, nums = run(boxes, scores, *args, **options)
    for image, num in enumerate(nums):
        found, found_scores, class_ids = non_max_suppression(boxes[image], scores[image], *args, **options)
        assert len(found) == len(found_scores) == len(class_ids) == num
        np.testing.assert_allclose(found, expected_boxes[image, :num], atol=1e-5)
        np.testing.assert_allclose(found_scores, expected_scores[image, :num], atol=1e-6)
        np.testing.assert_array_equal(class_ids, expected_ids[image, :num])
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(scores, before[1])


@pytest.mark.parametrize("way", EVERY_WAY, ids=str)
@pytest.mark.parametrize("case", [random_case, hard_case, stacked_boxes])
def test_every_method_keeps_what_the_tensors_keep(case, way):
    assert_equals_tensors(*case(), 0.2, 0.45, 60, **way)


def test_many_candidates_and_equal_scores_come_in_the_same_order():
    boxes, scores = random_case(images=1, boxes=300, classes=5, seed=4)
    assert_equals_tensors(boxes, np.round(scores * 8) / 8, 0.0, 0.5, 100, candidates=256)


def test_the_weaker_of_two_overlapping_boxes_is_dropped_only_within_its_class():
    # boxes 0 and 1: common area 8 x 10 = 80 of 100 + 100 - 80 = 120, IoU 2/3
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([[0.9, 0.0], [0.8, 0.7], [0.5, 0.0]], np.float32)
    found, found_scores, class_ids = non_max_suppression(boxes, scores, 0.3, 0.5)
    np.testing.assert_array_equal(found, boxes)
    np.testing.assert_allclose(found_scores, [0.9, 0.7, 0.5])
    assert class_ids.tolist() == [0, 1, 0] and class_ids.dtype == np.int32 and found_scores.dtype == np.float32


def test_no_boxes_and_values_that_are_not_finite_give_nothing():
    found, scores, class_ids = non_max_suppression(np.zeros((0, 4)), np.zeros((0, 3)), 0.1, 0.5)
    assert found.shape == (0, 4) and scores.shape == class_ids.shape == (0,)
    boxes = random_case(images=1, boxes=4)[0][0]
    scores = np.array([[0.9, np.nan], [np.nan, np.nan], [np.nan, 0.8], [0, 0]])
    assert non_max_suppression(boxes, scores, 0.1, 1.0)[2].tolist() == [0, 1]


def test_unknown_names_are_refused_as_by_the_tensors():
    with pytest.raises(ValueError, match="suppression method: expected one of greedy, soft, diou, got 'hard'"):
        non_max_suppression(np.zeros((1, 4)), np.zeros((1, 1)), 0.1, 0.5, method="hard")
