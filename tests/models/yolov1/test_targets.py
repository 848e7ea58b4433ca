"""Which cell is responsible for an object, against a slow loop, and which of its boxes is responsible."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.models.yolov1.cases import CLASSES, FLAT, GRID, SHAPE, encoded, random_boxes, slow_targets
from yolo3.models.yolov1.targets import build_targets, responsible_boxes


@pytest.mark.parametrize("seed", range(3))
def test_targets_equal_the_slow_loop(seed):
    boxes = random_boxes(3, 12, seed)
    before = boxes.copy()
    y_true = np.array(build_targets(boxes, GRID, CLASSES))
    expected = np.zeros((3, GRID, GRID, 5 + CLASSES))
    for image in range(3):
        for (row, column), (x, y, w, h, class_id) in slow_targets(boxes[image]).items():
            expected[image, row, column, :5] = [(x + column) / GRID, (y + row) / GRID, w, h, 1]
            expected[image, row, column, 5 + class_id] = 1
    np.testing.assert_allclose(y_true, expected, atol=1e-6)
    np.testing.assert_array_equal(boxes, before)


def test_of_two_objects_in_a_cell_the_first_is_learned():
    two = np.float32([[[0.5, 0.5, 0.2, 0.3, 1], [0.52, 0.48, 0.4, 0.1, 3]]])
    y_true = np.array(build_targets(two, GRID, CLASSES))
    np.testing.assert_allclose(y_true[0, 1, 1], [0.5, 0.5, 0.2, 0.3, 1, 0, 1, 0, 0])
    assert y_true[..., 4].sum() == 1
    y_true = np.array(build_targets(two[:, ::-1], GRID, CLASSES))
    np.testing.assert_allclose(y_true[0, 1, 1], [0.52, 0.48, 0.4, 0.1, 1, 0, 0, 0, 1])


def test_an_object_on_the_far_border_belongs_to_the_last_cell():
    architecture = dataclasses.replace(FLAT, layout="cells")
    corner = np.float32([[[1, 1, 0.1, 0.1, 0]]])
    y_true = np.array(architecture.build_targets(corner, SHAPE))
    assert y_true[0, GRID - 1, GRID - 1, 4] == 1
    found, _ = architecture.decode([encoded(architecture, corner)], SHAPE)
    np.testing.assert_allclose(found[0, -1], [0.95 * 192, 0.95 * 128, 1.05 * 192, 1.05 * 128], rtol=1e-5)


def test_rows_without_area_are_padding_wherever_they_stand():
    boxes = np.float32([[[0.5, 0.5, 0, 0.3, 1], [0.5, 0.5, 0.2, 0, 1], [0, 0, 0, 0, 0], [0.5, 0.5, 0.2, 0.3, 2]]])
    y_true = np.array(build_targets(boxes, GRID, CLASSES))
    assert y_true[..., 4].sum() == 1 and y_true[0, 1, 1, 5:].tolist() == [0, 0, 1, 0]


def responsible(raw_boxes, box):
    """Return the responsible box of the single cell of an image with the true box (x, y, w, h)."""
    raw = np.float32(raw_boxes).reshape(1, 1, 1, -1, 4)
    y_true = np.float32([*box, 1, 1]).reshape(1, 1, 1, 6)
    chosen, overlaps = responsible_boxes(raw, y_true, "size")
    assert float(tf.reduce_sum(chosen)) == 1
    return int(np.argmax(chosen)), np.array(overlaps).ravel()


def test_the_box_that_overlaps_is_responsible_even_where_another_is_closer():
    # The second lies nearer in x, y, w, h but does not touch; the first touches with its far edge.
    index, overlaps = responsible([[0.5, 0.1, 0.9, 0.9], [0.5, 0.6, 0.1, 0.1]], (0.5, 0.5, 0.02, 0.02))
    assert index == 0 and overlaps[0] > 0 and overlaps[1] == 0
    assert responsible([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.3, 0.3]], (0.5, 0.5, 0.3, 0.3))[0] == 1


def test_where_none_overlaps_the_closest_box_is_responsible():
    # Squared distances: .4^2 = .16 against .3^2 + .1^2 = .10.
    index, overlaps = responsible([[0.1, 0.5, 0.1, 0.1], [0.8, 0.5, 0.2, 0.1]], (0.5, 0.5, 0.1, 0.1))
    assert index == 1 and not overlaps.any()


def test_of_equal_boxes_the_first_is_responsible():
    assert responsible([[0.5, 0.5, 0.2, 0.2]] * 3, (0.5, 0.5, 0.3, 0.3))[0] == 0
