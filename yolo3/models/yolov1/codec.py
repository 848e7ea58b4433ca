"""YOLOv1's codec: raw boxes to boxes, and boxes to raw boxes, side by side.

In cell (c, r) of a grid of S x S cells, with everything relative to the network input:

    x = (t_x + c) / S    y = (t_y + r) / S

What a raw size t_w, t_h means, and which numbers the loss compares, depends on the *size form*:

============== =============== ================= ==========================================================
form           w =             the loss compares source
============== =============== ================= ==========================================================
"root"         t_w^2           sqrt w with t_w   Darknet with sqrt=1; takes no root of a prediction
"size"         t_w             w with t_w        Darknet with sqrt=0
"root-of-size" t_w             sqrt w, sqrt t_w  the paper's equation 3
============== =============== ================= ==========================================================
"""

import math

from keras import ops

from yolo3.ops.cells import cell_grid, encode_offsets, size_wh

SIZE_FORMS = ("root", "size", "root-of-size")
_MAX_SIZE = 1e4  # times the image: no box is that large, and areas stay finite in float32
_LEAST_SIZE = 1e-3  # of the image, below half a pixel of 448; see bounded_root


def decode_boxes(raw_boxes, size_form: str):
    """Return (xy, wh), float32 [B, S, S, A, 2] each: centres and sizes relative to the network input.

    Inverse: :func:`encode_boxes`.

    Args:
        raw_boxes: [B, S, S, A, 4] (t_x, t_y, t_w, t_h); a raw centre is its place within the cell, 0..1.
        size_form: One of :data:`SIZE_FORMS`.
    """
    grid_shape = ops.shape(raw_boxes)[1:3]
    xy = (raw_boxes[..., :2] + cell_grid(grid_shape)) / size_wh(grid_shape)
    return xy, decode_sizes(raw_boxes[..., 2:], size_form)


def encode_boxes(xy, wh, size_form: str):
    """Return the raw boxes [B, S, S, A, 4] of centres ``xy`` and sizes ``wh``. Inverse: :func:`decode_boxes`."""
    return ops.concatenate([encode_offsets(xy, ops.shape(xy)[1:3]), encode_sizes(wh, size_form)], -1)


def decode_sizes(raw_wh, size_form: str):
    """Return sizes [..., 2] relative to the network input; negative only where the raw value is the size itself."""
    sizes = raw_wh * raw_wh if size_form == "root" else raw_wh
    return ops.clip(sizes, -_MAX_SIZE, _MAX_SIZE)


def encode_sizes(wh, size_form: str):
    """Return the raw values [..., 2] of sizes relative to the network input. Inverse: :func:`decode_sizes`."""
    return ops.sqrt(wh) if size_form == "root" else wh


def size_errors(raw_wh, wh, size_form: str):
    """Return the errors [..., 2] that the loss squares: true minus predicted sizes, or their roots."""
    if size_form == "root-of-size":
        return ops.sqrt(wh) - bounded_root(raw_wh)
    return encode_sizes(wh, size_form) - raw_wh


def bounded_root(size):
    """Return the square root, continued below 1e-3 by its tangent: (size + 1e-3) / (2 sqrt 1e-3).

    The root alone has an infinite derivative at 0 and no value below it; the tangent's slope is 15.8.
    """
    tangent = (size + _LEAST_SIZE) / (2 * math.sqrt(_LEAST_SIZE))
    return ops.where(size > _LEAST_SIZE, ops.sqrt(ops.maximum(size, _LEAST_SIZE)), tangent)
