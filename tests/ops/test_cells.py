"""The cells of a grid, by hand."""

import numpy as np

from yolo3.ops.cells import cell_grid, encode_offsets, size_wh


def test_cells_are_column_and_row_of_a_grid_of_height_and_width():
    grid = np.asarray(cell_grid((2, 3)))
    assert grid.shape == (2, 3, 1, 2)
    np.testing.assert_array_equal(grid[1, :, 0], [[0, 1], [1, 1], [2, 1]])


def test_sizes_are_turned_to_width_and_height():
    np.testing.assert_array_equal(size_wh((64, 96)), [96, 64])


def test_offsets_are_places_within_the_cell():
    xy = np.full((1, 2, 3, 1, 2), 0.5, np.float32)
    # .5 of three columns is 1.5: half into the second one. .5 of two rows is 1: where the second one begins.
    np.testing.assert_allclose(encode_offsets(xy, (2, 3))[0, 1, 1, 0], [0.5, 0])
