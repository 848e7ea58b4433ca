"""Both layouts of the output: against Darknet's order, and against each other."""

import dataclasses

import numpy as np
import pytest

from tests.models.yolov1.cases import BOXES, CLASSES, FLAT, GRID, SHAPE, random_boxes, random_flat, terms_of
from yolo3.models.yolov1.layouts import join_cells, join_flat, split_cells, split_flat


def test_darknets_flat_order_to_cells_and_back():
    flat = np.arange(2 * GRID**2 * (CLASSES + 5 * BOXES), dtype=np.float32).reshape(2, -1)
    feats = np.zeros((2, GRID, GRID, CLASSES + 5 * BOXES), np.float32)
    for image, row, column in np.ndindex(2, GRID, GRID):
        cell = row * GRID + column
        for c in range(CLASSES):
            feats[image, row, column, c] = flat[image, cell * CLASSES + c]
        for j in range(BOXES):
            start = CLASSES + 5 * j
            feats[image, row, column, start] = flat[image, GRID**2 * CLASSES + cell * BOXES + j]
            for k in range(4):
                place = GRID**2 * (CLASSES + BOXES) + (cell * BOXES + j) * 4 + k
                feats[image, row, column, start + 1 + k] = flat[image, place]
    np.testing.assert_array_equal(join_cells(*split_flat(flat, GRID, CLASSES, BOXES)), feats)
    np.testing.assert_array_equal(join_flat(*split_cells(feats, CLASSES, BOXES)), flat)


def test_both_layouts_mean_the_same():
    flat, boxes = random_flat(), random_boxes()
    feats = np.array(join_cells(*split_flat(flat, GRID, CLASSES, BOXES)))
    cells = dataclasses.replace(FLAT, layout="cells")
    assert terms_of(cells, feats, boxes) == pytest.approx(terms_of(FLAT, flat, boxes))
    for own, expected in zip(cells.decode([feats], SHAPE), FLAT.decode([flat], SHAPE), strict=True):
        np.testing.assert_array_equal(own, expected)
