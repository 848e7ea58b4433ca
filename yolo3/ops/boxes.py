"""Box geometry, with one body for NumPy arrays and for tensors.

Formats are named by suffix: ``xyxy`` is (x_min, y_min, x_max, y_max), ``cxcywh`` is (x_centre, y_centre, width,
height), ``yxyx`` is (y_min, x_min, y_max, x_max). Edges are continuous: a box from 0 to 10 is ten pixels wide.
"""

import numpy as np

_TINY = 1e-9  # keeps 0 / 0 at 0 for boxes without area; far below the area of any box in pixels or fractions


def _module(array):
    """Return ``numpy`` for NumPy arrays and lists, ``keras.ops`` for tensors."""
    if isinstance(array, (np.ndarray, np.generic, list, tuple, float, int)):
        return np
    from keras import ops

    return ops


def _columns(boxes):
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def cxcywh_to_xyxy(boxes):
    """Convert boxes [..., 4] from centre and size to corners. Inverse: :func:`xyxy_to_cxcywh`."""
    x, y, w, h = _columns(boxes)
    return _module(boxes).stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def xyxy_to_cxcywh(boxes):
    """Convert boxes [..., 4] from corners to centre and size. Inverse: :func:`cxcywh_to_xyxy`."""
    x_min, y_min, x_max, y_max = _columns(boxes)
    return _module(boxes).stack([(x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min], -1)


def xyxy_to_xywh(boxes):
    """Convert boxes [..., 4] from corners to upper left corner and size, COCO's ``bbox``."""
    x_min, y_min, x_max, y_max = _columns(boxes)
    return _module(boxes).stack([x_min, y_min, x_max - x_min, y_max - y_min], -1)


def swap_xy(boxes):
    """Exchange x and y of corner boxes [..., 4]: xyxy to yxyx and back."""
    a, b, c, d = _columns(boxes)
    return _module(boxes).stack([b, a, d, c], -1)


def area(boxes_xyxy):
    """Return the area [...] of corner boxes [..., 4], 0 for boxes whose corners are in the wrong order."""
    xp = _module(boxes_xyxy)
    x_min, y_min, x_max, y_max = _columns(boxes_xyxy)
    return xp.maximum(x_max - x_min, 0) * xp.maximum(y_max - y_min, 0)


def clip(boxes_xyxy, image_shape):
    """Clip corner boxes [..., 4] to an image of ``image_shape`` (height, width), in the same unit."""
    xp = _module(boxes_xyxy)
    height, width = image_shape
    x_min, y_min, x_max, y_max = _columns(boxes_xyxy)
    return xp.stack(
        [xp.clip(x_min, 0, width), xp.clip(y_min, 0, height), xp.clip(x_max, 0, width), xp.clip(y_max, 0, height)], -1
    )


def intersection(a_xyxy, b_xyxy):
    """Return the area [...] of the intersection of corner boxes [..., 4] that broadcast against each other."""
    xp = _module(a_xyxy)
    a_left, a_top, a_right, a_bottom = _columns(a_xyxy)
    b_left, b_top, b_right, b_bottom = _columns(b_xyxy)
    width = xp.minimum(a_right, b_right) - xp.maximum(a_left, b_left)
    height = xp.minimum(a_bottom, b_bottom) - xp.maximum(a_top, b_top)
    return xp.maximum(width, 0) * xp.maximum(height, 0)


def iou(a_xyxy, b_xyxy):
    """Return intersection over union [...] of corner boxes [..., 4] that broadcast; 0 for boxes without area."""
    xp = _module(a_xyxy)
    common = intersection(a_xyxy, b_xyxy)
    return common / xp.maximum(area(a_xyxy) + area(b_xyxy) - common, _TINY)


def pairwise_iou(a_xyxy, b_xyxy):
    """Return the IoU [..., N, M] of each of N corner boxes [..., N, 4] with each of M boxes [..., M, 4]."""
    return iou(a_xyxy[..., :, None, :], b_xyxy[..., None, :, :])


def coverage(a_xyxy, b_xyxy):
    """Return intersection over the area of ``a`` [...] of corner boxes [..., 4] that broadcast; not symmetric.

    That is the part of ``a`` that ``b`` covers, 0..1; 0 for a box ``a`` without area.
    """
    xp = _module(a_xyxy)
    return intersection(a_xyxy, b_xyxy) / xp.maximum(area(a_xyxy), _TINY)


def box_iou(b1, b2):
    """Return the IoU of each of ``b1`` with each of ``b2``. Name and arguments are keras-yolo3's.

    Args:
        b1: [..., 4], centre and size.
        b2: [M, 4], centre and size, in the same unit.

    Returns:
        [..., M].
    """
    return iou(cxcywh_to_xyxy(b1)[..., None, :], cxcywh_to_xyxy(b2))


def shape_iou(a_wh, b_wh):
    """Return the IoU [..., N, M] of sizes [..., N, 2] and [M, 2] (w, h) with a common centre.

    By it Darknet assigns boxes to anchors (src/yolo_layer.c).
    """
    xp = _module(a_wh)
    a, b = a_wh[..., :, None, :], b_wh[..., None, :, :]
    common = xp.minimum(a[..., 0], b[..., 0]) * xp.minimum(a[..., 1], b[..., 1])
    return common / xp.maximum(a[..., 0] * a[..., 1] + b[..., 0] * b[..., 1] - common, _TINY)


def _enclosing(a_xyxy, b_xyxy):
    """Return width and height [...] of the smallest box around each pair."""
    xp = _module(a_xyxy)
    a_left, a_top, a_right, a_bottom = _columns(a_xyxy)
    b_left, b_top, b_right, b_bottom = _columns(b_xyxy)
    width = xp.maximum(a_right, b_right) - xp.minimum(a_left, b_left)
    return width, xp.maximum(a_bottom, b_bottom) - xp.minimum(a_top, b_top)


def giou(a_xyxy, b_xyxy):
    """Return generalized IoU [...] in (-1, 1] of corner boxes [..., 4] that broadcast: IoU - (hull - union) / hull.

    The hull is the smallest box around both. Source: Rezatofighi et al. 2019, "Generalized Intersection over Union".
    """
    xp = _module(a_xyxy)
    common = intersection(a_xyxy, b_xyxy)
    union = xp.maximum(area(a_xyxy) + area(b_xyxy) - common, _TINY)
    width, height = _enclosing(a_xyxy, b_xyxy)
    hull = xp.maximum(width * height, _TINY)
    return common / union - (hull - union) / hull


def centre_distance(a_xyxy, b_xyxy):
    """Return d^2 / c^2 [...] in [0, 1) of corner boxes [..., 4] that broadcast.

    d is the distance of the centres, c the diagonal of the smallest box around both.
    """
    xp = _module(a_xyxy)
    width, height = _enclosing(a_xyxy, b_xyxy)
    a_x, a_y, _, _ = _columns(xyxy_to_cxcywh(a_xyxy))
    b_x, b_y, _, _ = _columns(xyxy_to_cxcywh(b_xyxy))
    squared = (a_x - b_x) * (a_x - b_x) + (a_y - b_y) * (a_y - b_y)
    return squared / xp.maximum(width * width + height * height, _TINY)


def diou(a_xyxy, b_xyxy):
    """Return distance IoU [...] of corner boxes [..., 4] that broadcast: IoU - :func:`centre_distance`.

    Source: Zheng et al. 2020, "Distance-IoU Loss", equation 6.
    """
    return iou(a_xyxy, b_xyxy) - centre_distance(a_xyxy, b_xyxy)


def _slant(boxes_cxcywh):
    """Return atan(w / h) [...]; atan(1) for boxes without any size, where it has no derivative."""
    xp = _module(boxes_cxcywh)
    return xp.arctan2(xp.maximum(boxes_cxcywh[..., 2], _TINY), xp.maximum(boxes_cxcywh[..., 3], _TINY))


def ciou(a_xyxy, b_xyxy):
    """Return complete IoU [...] of corner boxes [..., 4] that broadcast: DIoU - alpha v.

    v = 4 / pi^2 (atan(w_b / h_b) - atan(w_a / h_a))^2 compares the aspect ratios, and alpha = v / (1 - IoU + v).
    Source: Zheng et al. 2020, "Distance-IoU Loss", equations 8 to 11.
    """
    xp = _module(a_xyxy)
    a, b = xyxy_to_cxcywh(a_xyxy), xyxy_to_cxcywh(b_xyxy)
    difference = _slant(b) - _slant(a)
    v = (4 / np.pi**2) * difference * difference
    alpha = v / xp.maximum(1 - iou(a_xyxy, b_xyxy) + v, _TINY)
    return diou(a_xyxy, b_xyxy) - alpha * v
