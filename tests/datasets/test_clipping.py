"""Boxes at and beyond the border."""

import numpy as np

from yolo3.datasets.clipping import clip_boxes


def test_one_pixel_beyond_the_border_is_rounding_and_more_is_not():
    boxes = np.array([[-1, -1, 31, 21], [-1.5, 0, 30, 22]], float)
    before = boxes.copy()
    clipped = clip_boxes(boxes, (20, 30))
    # Width 30: 31 -> 30. Height 20: 21 -> 20, but 22 is two pixels out and stays.
    np.testing.assert_array_equal(clipped, [[0, 0, 30, 20], [-1.5, 0, 30, 22]])
    np.testing.assert_array_equal(boxes, before)
