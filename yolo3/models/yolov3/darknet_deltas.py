"""Darknet's own deltas for IoU losses, which are not the derivative of any function.

AlexeyAB's Darknet (src/box.c:dx_box_iou, src/yolo_layer.c:delta_yolo_box) moves raw outputs by the ascent direction of
the overlap in relative units, without the derivative of the sigmoid, the size of the grid and the anchor. Its weights
of the box loss (`iou_normalizer`) and `max_delta` are tuned to these numbers.
"""

from __future__ import annotations

import math

from keras import ops

from yolo3.models.yolov3.head import MAX_LOG_SIZE
from yolo3.ops import boxes as geometry


def overlap_deltas(pred, true, overlap: str):
    """Return Darknet's ascent direction of an overlap by (x, y, w, h) of the predicted box.

    Args:
        pred: float32 [..., 4] (x, y, w, h), predictions relative to the network input.
        true: float32 [..., 4], ground truth in the same form.
        overlap: "iou", "giou", "diou" or "ciou".

    Returns:
        float32 [..., 4]. The parts of w and h are twice the derivative, as in Darknet.
    """
    left, top, right, bottom = ops.unstack(geometry.cxcywh_to_xyxy(pred), 4, axis=-1)
    true_left, true_top, true_right, true_bottom = ops.unstack(geometry.cxcywh_to_xyxy(true), 4, axis=-1)
    w, h = pred[..., 2], pred[..., 3]

    inter_w = ops.minimum(right, true_right) - ops.maximum(left, true_left)
    inter_h = ops.minimum(bottom, true_bottom) - ops.maximum(top, true_top)
    inter = inter_w * inter_h
    union = w * h + true[..., 2] * true[..., 3] - inter
    apart = (inter_w <= 0) | (inter_h <= 0)
    cover_w = ops.maximum(right, true_right) - ops.minimum(left, true_left)
    cover_h = ops.maximum(bottom, true_bottom) - ops.minimum(top, true_top)

    # by the edges left, right, top and bottom; each moves areas by the side across it
    across_x, across_y = (h, inter_h, cover_h), (w, inter_w, cover_w)
    edges = []
    for sign, (side, inter_side, cover_side), inside, outside in (
        (-1, across_x, left > true_left, left < true_left),
        (1, across_x, right < true_right, right > true_right),
        (-1, across_y, top > true_top, top < true_top),
        (1, across_y, bottom < true_bottom, bottom > true_bottom),
    ):
        d_inter = ops.where(inside, sign * inter_side, 0.0)
        d_union = sign * side - d_inter
        edge = ops.where(union > 0, (union * d_inter - inter * d_union) / (union * union), 0.0)
        if overlap == "giou":
            cover = cover_w * cover_h
            d_cover = ops.where(outside, sign * cover_side, 0.0)
            term = ops.where(cover > 0, (cover * d_union - union * d_cover) / (cover * cover), 0.0)
            edge = ops.where(apart, term, edge + term)
        edges.append(edge)
    d_left, d_right, d_top, d_bottom = edges
    deltas = [d_left + d_right, d_top + d_bottom, d_right - d_left, d_bottom - d_top]

    if overlap in ("diou", "ciou"):
        extra = _distance_deltas(pred, true, cover=(cover_w, cover_h), iou=inter / union, aspect=overlap == "ciou")
        deltas = [ops.where(apart, 0.0, delta) + more for delta, more in zip(deltas, extra, strict=True)]
    return ops.stack(deltas, -1)


def _distance_deltas(pred, true, *, cover, iou, aspect: bool) -> list:
    """Return what DIoU adds to the ascent direction of IoU by x, y, w and h, and with `aspect` CIoU.

    Args:
        pred: float32 [..., 4] (x, y, w, h), predictions relative to the network input.
        true: float32 [..., 4], ground truth in the same form.
        cover: (width, height) of the smallest box around both, [...] each.
        iou: float32 [...].
        aspect: Whether the term of the aspect ratio is added.
    """
    left, top, right, bottom = ops.unstack(geometry.cxcywh_to_xyxy(pred), 4, axis=-1)
    true_left, true_top, true_right, true_bottom = ops.unstack(geometry.cxcywh_to_xyxy(true), 4, axis=-1)
    x, y, w, h = ops.unstack(pred, 4, axis=-1)
    true_x, true_y, true_w, true_h = ops.unstack(true, 4, axis=-1)
    cover_w, cover_h = cover

    distance = (x - true_x) ** 2 + (y - true_y) ** 2
    diagonal = cover_w**2 + cover_h**2
    centres, sizes = [], []
    for gap, cover_side, low, high in (
        (true_x - x, cover_w, left < true_left, right > true_right),
        (true_y - y, cover_h, top < true_top, bottom > true_bottom),
    ):
        low, high = ops.cast(low, "float32"), ops.cast(high, "float32")
        centres.append((2 * gap * diagonal - 2 * cover_side * (high - low) * distance) / diagonal**2)
        sizes.append(2 * cover_side * (high + low) / 2 * distance / diagonal**2)
    if aspect:
        turn = ops.arctan(true_w / true_h) - ops.arctan(w / h)
        ratio = 4 / math.pi**2 * turn**2
        alpha = ratio / (1 - iou + ratio + 1e-6)
        sizes = [sizes[0] + alpha * 8 / math.pi**2 * turn * h, sizes[1] - alpha * 8 / math.pi**2 * turn * w]
    return [*centres, *sizes]


def box_deltas(raw, pred, y_true, *, overlap: str, scale, max_delta: float, new_coords: bool):
    """Return what Darknet adds to the raw values of boxes, [B, H, W, A, 4]; 0 where there is no object.

    Args:
        raw: float32 [B, H, W, A, 5 + C], raw network output.
        pred: float32 [B, H, W, A, 4] (x, y, w, h), the boxes that it decodes to, relative to the network input.
        y_true: float32 [B, H, W, A, 5 + C], targets.
        overlap: "iou", "giou", "diou" or "ciou".
        scale: Factor, a number or float32 [B, H, W, A].
        max_delta: Largest size of a delta; 0 for no limit.
        new_coords: Whether boxes are coded as in Scaled-YOLOv4.
    """
    is_object = y_true[..., 4:5]
    true = ops.where(is_object > 0, y_true[..., 0:4], 1.0)
    pred = ops.where(is_object > 0, pred, 1.0)
    deltas = overlap_deltas(pred, true, overlap)
    if not new_coords:
        growth = ops.exp(ops.minimum(raw[..., 2:4], MAX_LOG_SIZE))
        deltas = ops.concatenate([deltas[..., 0:2], deltas[..., 2:4] * growth], -1)
    deltas = deltas * (ops.expand_dims(scale, -1) if hasattr(scale, "shape") else scale)
    deltas = ops.where(ops.isfinite(deltas), deltas, 0.0)
    if max_delta:
        deltas = ops.clip(deltas, -max_delta, max_delta)
    return is_object * deltas


def with_deltas(value, deltas, raw):
    """Return `value` [...] with minus `deltas` [..., 4] for its gradient by the first four raw values."""
    linear = -ops.sum(ops.stop_gradient(deltas) * raw[..., 0:4], -1)
    return ops.stop_gradient(value - linear) + linear
