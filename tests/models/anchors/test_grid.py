"""Anchors of a cell and of a grid, by hand."""

import numpy as np

from tests.models.cases import SHAPE
from yolo3.models.anchors.grid import anchor_boxes, cell_anchors, lie_inside
from yolo3.ops import boxes as geometry


def test_anchors_of_a_size_have_one_area_and_the_ratios_asked_for():
    # 4 / sqrt(1/4) = 8 wide and 4 sqrt(1/4) = 2 high; 4 x 4; 2 x 8.
    np.testing.assert_allclose(cell_anchors([4], [0.25, 1, 4]), [[8, 2], [4, 4], [2, 8]])
    anchors = cell_anchors([32, 64])
    np.testing.assert_allclose(anchors.prod(1), [32**2] * 3 + [64**2] * 3)
    np.testing.assert_allclose(anchors[:, 1] / anchors[:, 0], [0.5, 1, 2] * 2)


def test_anchors_are_centred_on_their_cells():
    # Two cells of 16 pixels: centres (8, 8) and (24, 8).
    boxes = anchor_boxes((16, 32), [16], [np.array([[8.0, 4]])])
    np.testing.assert_array_equal(boxes, [[4, 6, 12, 10], [20, 6, 28, 10]])
    assert boxes.dtype == np.float32


def test_anchors_come_by_level_row_column_and_place():
    boxes = anchor_boxes((16, 16), [8, 16], [np.array([[2.0, 2], [4, 4]]), np.array([[6.0, 6]])])
    centres = geometry.xyxy_to_cxcywh(boxes)
    np.testing.assert_array_equal(centres[:, 0], [4, 4, 12, 12, 4, 4, 12, 12, 8])
    np.testing.assert_array_equal(centres[:, 1], [4, 4, 4, 4, 12, 12, 12, 12, 8])
    np.testing.assert_array_equal(centres[:, 2], [2, 4] * 4 + [6])


def test_sides_that_a_stride_does_not_divide_have_one_more_cell():
    boxes = anchor_boxes((20, 16), [16], [np.array([[2.0, 2]])])
    np.testing.assert_array_equal(boxes, [[7, 7, 9, 9], [7, 23, 9, 25]])


def test_anchors_that_touch_the_border_lie_inside_and_those_that_cross_it_do_not():
    anchors = np.array([[0, 0, 96, 64], [-0.01, 0, 9, 9], [0, 0, 96.1, 9], [5, 60, 9, 64.5], [5, -1, 9, 9]], np.float32)
    np.testing.assert_array_equal(lie_inside(anchors, SHAPE), [True, False, False, False, False])
