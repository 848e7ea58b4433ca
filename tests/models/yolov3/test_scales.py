"""The record of a scale, and anchor masks."""

import numpy as np
import pytest

from yolo3.models.yolov3 import defaults, scales


def test_the_masks_of_nine_and_of_six_anchors():
    assert scales.default_anchor_mask(9) == ((6, 7, 8), (3, 4, 5), (0, 1, 2))
    assert scales.default_anchor_mask(6) == ((3, 4, 5), (0, 1, 2))
    assert defaults.OFFICIAL_TINY_MASK == ((3, 4, 5), (1, 2, 3))


@pytest.mark.parametrize("num_anchors", [6, 9])
def test_every_anchor_belongs_to_exactly_one_scale(num_anchors):
    # keras-yolo3's tiny masks left anchor 0 out and used anchor 3 twice.
    indices = [index for scale in scales.default_anchor_mask(num_anchors) for index in scale]
    assert sorted(indices) == list(range(num_anchors))


@pytest.mark.parametrize("num_anchors", [0, 3, 5, 12])
def test_another_number_of_anchors_asks_for_a_mask(num_anchors):
    # keras-yolo3 raised KeyError for 12 and took the wrong mask for 3.
    with pytest.raises(ValueError, match=f"got {num_anchors}.*anchor_mask"):
        scales.default_anchor_mask(num_anchors)


def test_a_given_mask_becomes_tuples_and_none_means_the_default():
    assert scales.check_anchor_mask([[3, 4, 5], [1, 2, 3]], 6) == defaults.OFFICIAL_TINY_MASK
    assert scales.check_anchor_mask(None, 9) == defaults.FULL_MASK
    assert scales.check_anchor_mask([[0, 1]], 2) == ((0, 1),)


@pytest.mark.parametrize(
    "mask",
    [[[0, 1, 6]], [[-1, 0]], [[0, 1], [2]], [], [[]]],
    ids=["too large", "negative", "unequal", "none", "empty"],
)
def test_impossible_masks_are_refused(mask):
    with pytest.raises(ValueError, match="anchor_mask"):
        scales.check_anchor_mask(mask, 6)


def test_scales_hold_what_parallel_lists_say():
    anchors = np.arange(12).reshape(6, 2) + 1
    coarse, fine = scales.make_scales(anchors, [[3, 4, 5], [1, 2, 3]], scale_x_y=[1.1, 1.05], ignore_thresh=0.7)
    assert (coarse.stride, coarse.anchor_mask, coarse.scale_x_y, coarse.ignore_thresh) == (32, (3, 4, 5), 1.1, 0.7)
    assert (fine.stride, fine.anchor_mask, fine.scale_x_y, fine.ignore_thresh) == (16, (1, 2, 3), 1.05, 0.7)
    np.testing.assert_array_equal(fine.anchors, [[3, 4], [5, 6], [7, 8]])
    assert fine.anchors.dtype == np.float32


def test_a_fourth_scale_needs_strides():
    anchors, mask = np.ones((4, 2)), [[0], [1], [2], [3]]
    made = scales.make_scales(anchors, mask, strides=(8, 16, 32, 64))
    assert [scale.grid_shape((128, 64)) for scale in made] == [(16, 8), (8, 4), (4, 2), (2, 1)]
    with pytest.raises(ValueError, match="strides: expected 4, one per scale"):
        scales.make_scales(anchors, mask)


def test_one_number_counts_for_each_scale():
    anchors = np.ones((9, 2))
    assert [scale.scale_x_y for scale in scales.make_scales(anchors, scale_x_y=1.1)] == [1.1, 1.1, 1.1]
    assert [scale.ignore_thresh for scale in scales.make_scales(anchors, ignore_thresh=(0, 0.5, 1))] == [0, 0.5, 1]
    with pytest.raises(ValueError, match="ignore_thresh: expected one number or 3, one per scale"):
        scales.make_scales(anchors, ignore_thresh=[0.5, 0.7])


def test_grids_of_an_input_that_is_not_square():
    made = scales.make_scales(np.ones((9, 2)))
    assert [scale.grid_shape((416, 608)) for scale in made] == [(13, 19), (26, 38), (52, 76)]


def test_anchors_are_distributed_by_stride_the_largest_to_the_coarsest_scale():
    assert scales.dealt_anchor_mask(9, (32, 16, 8)) == defaults.FULL_MASK
    assert scales.dealt_anchor_mask(6, (32, 16)) == defaults.TINY_MASK
    assert scales.dealt_anchor_mask(4, (8, 16)) == ((0, 1), (2, 3))
