"""The cells of a grid over the network input, and where centres lie in them."""

from keras import ops


def cell_grid(grid_shape):
    """Return the (column, row) of each cell of a grid of (height, width) as float32 [H, W, 1, 2]."""
    rows, columns = ops.arange(grid_shape[0], dtype="float32"), ops.arange(grid_shape[1], dtype="float32")
    return ops.expand_dims(ops.stack(ops.meshgrid(columns, rows, indexing="xy"), -1), 2)


def size_wh(shape):
    """Return a (height, width) pair, of numbers or a tensor, as float32 [2]: (width, height)."""
    return ops.flip(ops.cast(ops.stack([shape[0], shape[1]]), "float32"), 0)


def encode_offsets(xy, grid_shape):
    """Return the offsets of centres within their cells, [B, H, W, A, 2] in 0..1.

    ``xy``: [B, H, W, A, 2], centres relative to the network input. ``grid_shape``: (H, W).
    """
    return xy * size_wh(grid_shape) - cell_grid(grid_shape)
