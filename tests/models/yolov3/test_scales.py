"""Strides and anchor masks."""

import pytest

from yolo3.models.yolov3 import scales


def test_the_masks_of_nine_and_of_six_anchors():
    assert scales.default_anchor_mask(9) == ((6, 7, 8), (3, 4, 5), (0, 1, 2))
    assert scales.default_anchor_mask(6) == ((3, 4, 5), (0, 1, 2))
    assert scales.OFFICIAL_TINY_MASK == ((3, 4, 5), (1, 2, 3))


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


def test_a_given_mask_becomes_tuples_and_none_the_default():
    assert scales.check_anchor_mask([[3, 4, 5], [1, 2, 3]], 6) == scales.OFFICIAL_TINY_MASK
    assert scales.check_anchor_mask(None, 9) == scales.FULL_MASK
    assert scales.check_anchor_mask([[0, 1]], 2) == ((0, 1),)


@pytest.mark.parametrize(
    "mask",
    [[[0, 1, 6]], [[-1, 0]], [[0, 1], [2]], [], [[]]],
    ids=["too large", "negative", "unequal", "none", "empty"],
)
def test_masks_that_cannot_be_are_refused(mask):
    with pytest.raises(ValueError, match="anchor_mask"):
        scales.check_anchor_mask(mask, 6)


def test_a_fourth_scale_needs_strides():
    assert scales.grid_shapes((128, 64), 4, (8, 16, 32, 64)) == [(16, 8), (8, 4), (4, 2), (2, 1)]
    with pytest.raises(ValueError, match="strides: expected 4, one a scale"):
        scales.grid_shapes((128, 64), 4)


def test_one_number_counts_for_each_scale():
    assert scales.per_scale(1.1, 2) == [1.1, 1.1] and scales.per_scale((1, 2), 2) == [1.0, 2.0]
    with pytest.raises(ValueError, match="ignore_thresh: expected one number or 3, one a scale"):
        scales.per_scale([0.5, 0.7], 3, "ignore_thresh")


def test_sides_are_multiples_of_the_largest_stride():
    assert scales.check_input_shape((128, 64), 64) == (128, 64)
    with pytest.raises(ValueError, match="multiples of 64, got 96 64"):
        scales.check_input_shape((96, 64), 64)


def test_grids_of_an_input_that_is_not_square():
    assert scales.grid_shapes((416, 608), 3) == [(13, 19), (26, 38), (52, 76)]
    assert scales.grid_shapes((416, 608), 2) == [(13, 19), (26, 38)]


def test_input_sizes_are_multiples_of_the_largest_stride():
    assert scales.check_input_shape([320, 416]) == (320, 416)
    for wrong in ((300, 416), (416, 417), (0, 32), (-32, 32)):
        with pytest.raises(ValueError, match="multiples of 32"):
            scales.check_input_shape(wrong)
