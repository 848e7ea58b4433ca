"""The targets of anchors: each is matched with a ground-truth box and labelled by their overlap.

Source: Faster R-CNN (Ren et al. 2015), section 3.1.2. All boxes are in pixels of the network input; N counts anchors.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from yolo3.models.anchors.deltas import encode_deltas
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import take_rows

_TIE = 1e-5  # overlaps that differ by this share are equal: backends round differently
_BEST_OF_BOX = 2.0  # added to the overlap of an anchor that is the best a box has: more than any overlap
_BLOCK = 32  # ground-truth boxes compared at a time


class AnchorTargets(NamedTuple):
    """Targets of the anchors of a batch.

    Attributes:
        labels: float32 [B, N], 1 for an object, 0 for background, -1 for an anchor that is ignored.
        deltas: float32 [B, N, 4], of the matched box; meaningful where the label is 1.
        class_ids: int32 [B, N], of the matched box; meaningful where the label is 1.
    """

    labels: Any
    deltas: Any
    class_ids: Any


def match_anchors(anchors_xyxy, boxes_xyxy, usable=None):
    """Match each anchor with a ground-truth box, and each box with at least one anchor where that is possible.

    An anchor belongs to the box of largest IoU, unless it is the best anchor (or ties for the best) of another box: it
    then belongs to that one. So each box has an anchor, unless another box needs the same one and overlaps it more. Of
    equal matches the first box wins; nothing else depends on the order of the boxes.

    Args:
        anchors_xyxy: Float [N, 4].
        boxes_xyxy: Float [B, T, 4]; boxes without area match nothing.
        usable: Bool [N], the anchors that take part; by default all.

    Returns:
        (index, quality): int32 [B, N], the row of the matched box, and float32 [B, N], the IoU with it, plus 2 where
        the anchor is the best that the box has.
    """
    num_images, num_rows = ops.shape(boxes_xyxy)[0], ops.shape(boxes_xyxy)[1]
    in_use = ops.any(geometry.area(boxes_xyxy) > 0, 0)  # [T]
    last = ops.max(ops.where(in_use, ops.arange(1, num_rows + 1), 0), initial=0)  # padding is not compared
    usable = ops.convert_to_tensor(np.ones(len(anchors_xyxy), bool) if usable is None else usable)
    anchors = ops.convert_to_tensor(anchors_xyxy)[None]  # [1, N, 4]
    padded = ops.concatenate([boxes_xyxy, ops.zeros((num_images, _BLOCK, 4))], 1)  # the last block may be a part

    # One block of boxes after the other: memory grows with B N 32, not with the number of boxes.
    def match_block(first, index, quality):
        zero = ops.zeros_like(first)  # a tensor too: Keras' PyTorch backend on a GPU takes no mixed tuple here
        rows = ops.slice(padded, ops.stack([zero, first, zero]), (num_images, _BLOCK, 4))
        ious = ops.where(usable[:, None], geometry.pairwise_iou(anchors, rows), 0.0)  # [B, N, 32]
        best_of_box = ops.max(ious, 1, keepdims=True)
        is_best = (ious >= best_of_box * (1 - _TIE)) & (ious > 0)
        ious = ious + _BEST_OF_BOX * ops.cast(is_best, "float32")

        best, box = ops.max(ious, -1), first + ops.cast(ops.argmax(ious, -1), "int32")  # [B, N]
        return first + _BLOCK, ops.where(best > quality, box, index), ops.maximum(best, quality)

    shape = (num_images, len(anchors_xyxy))
    _, index, quality = ops.while_loop(
        lambda first, *_: first < last,
        match_block,
        (ops.zeros((), "int32"), ops.zeros(shape, "int32"), ops.zeros(shape)),
        maximum_iterations=num_rows // _BLOCK + 1,
    )
    return index, quality


def anchor_targets(boxes, input_shape, anchors_xyxy, positive_iou: float, negative_iou: float, usable=None):
    """Label the anchors of a batch by their overlap with its ground-truth boxes.

    An anchor is positive if its IoU with a box is at least ``positive_iou`` or it is the best anchor of a box; it is
    negative if its IoU with every box is below ``negative_iou``; all others are ignored.

    Args:
        boxes: float32 [B, T, 5] (x, y, w, h relative to the input, class id). Rows without area are padding.
        input_shape: (height, width) of the network input.
        anchors_xyxy: float32 [N, 4].
        positive_iou: Least IoU of a positive anchor.
        negative_iou: IoU below which an anchor is negative.
        usable: Bool [N], the anchors that take part, the others being ignored; by default all.

    Returns:
        :class:`AnchorTargets`.
    """
    boxes = ops.cast(boxes, "float32")
    height, width = input_shape
    size = ops.convert_to_tensor(np.array([width, height, width, height], np.float32))
    corners = geometry.cxcywh_to_xyxy(boxes[..., :4]) * size  # [B, T, 4] in pixels
    usable = ops.convert_to_tensor(np.ones(len(anchors_xyxy), bool) if usable is None else usable)

    index, quality = match_anchors(anchors_xyxy, corners, usable)
    labels = ops.where(quality >= positive_iou, 1.0, ops.where(quality < negative_iou, 0.0, -1.0))

    rows = ops.concatenate([corners, boxes[..., 4:]], -1)  # [B, T, 5]
    rows = take_rows(ops.pad(rows, ((0, 0), (0, 1), (0, 0))), index)  # [B, N, 5]; padded: there may be no box at all
    deltas = encode_deltas(rows[..., :4], anchors_xyxy)
    return AnchorTargets(ops.where(usable, labels, -1.0), deltas, ops.cast(rows[..., 4], "int32"))
