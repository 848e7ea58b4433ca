"""The codec of anchors: boxes to deltas from an anchor, and back, side by side.

With the centre (x_a, y_a) and size (w_a, h_a) of an anchor, the *deltas* of a box are

    t_x = (x - x_a) / w_a    t_w = ln(w / w_a)
    t_y = (y - y_a) / h_a    t_h = ln(h / h_a)

Source: Faster R-CNN (Ren et al. 2015), equation 2.
"""

import math

from keras import ops

from yolo3.ops import boxes as geometry

MAX_LOG_SIZE = math.log(1000 / 16)  # a box is at most 62.5 anchors wide; Detectron's bound


def encode_deltas(boxes_xyxy, anchors_xyxy):
    """Return the deltas of boxes from anchors, finite for boxes without size too. Inverse: :func:`decode_deltas`.

    Args:
        boxes_xyxy: Float [..., N, 4].
        anchors_xyxy: Float [N, 4], in the same unit.

    Returns:
        float32 [..., N, 4] (t_x, t_y, t_w, t_h).
    """
    boxes, anchors = (geometry.xyxy_to_cxcywh(ops.convert_to_tensor(each)) for each in (boxes_xyxy, anchors_xyxy))
    shift = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    ratio = boxes[..., 2:] / anchors[..., 2:]
    return ops.concatenate([shift, ops.log(ops.where(ratio > 0, ratio, 1.0))], -1)


def decode_deltas(deltas, anchors_xyxy):
    """Return the boxes of deltas from anchors, at most 62.5 anchors wide and high. Inverse: :func:`encode_deltas`.

    Args:
        deltas: float32 [..., N, 4] (t_x, t_y, t_w, t_h).
        anchors_xyxy: Float [N, 4].

    Returns:
        float32 [..., N, 4] xyxy in the anchors' unit.
    """
    anchors = ops.convert_to_tensor(geometry.xyxy_to_cxcywh(anchors_xyxy))
    centres = anchors[..., :2] + deltas[..., :2] * anchors[..., 2:]
    sizes = anchors[..., 2:] * ops.exp(ops.minimum(deltas[..., 2:], MAX_LOG_SIZE))
    return geometry.cxcywh_to_xyxy(ops.concatenate([centres, sizes], -1))
