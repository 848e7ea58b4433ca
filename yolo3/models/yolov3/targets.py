"""Label encoding: assign each ground-truth box to a slot, that is a scale, a cell and an anchor.

The rule is Darknet's (src/yolo_layer.c): a box goes to the anchor whose shape has the largest IoU with it, in the cell
that holds its centre. Of several boxes in one slot the last one gives the box, and the classes add up. Two departures,
so that no object is lost: anchors that no scale uses are not candidates, and centres on the far border belong to the
last cell. The same rule exists twice, in NumPy (:func:`preprocess_true_boxes`) and as a graph (:func:`build_targets`).
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from yolo3.models.architecture import check_input_shape
from yolo3.models.yolov3.scales import Scale, make_scales
from yolo3.ops import boxes as geometry


class ClassIdError(ValueError, AssertionError):
    """A class id outside 0..num_classes - 1. (An ``AssertionError`` too: that is what keras-yolo3 raised.)"""


def candidate_anchors(scales: Sequence[Scale]) -> tuple[np.ndarray, np.ndarray]:
    """Return the U anchors that at least one scale uses, and where each scale has them.

    Returns:
        anchors: float32 [U, 2] (w, h) in pixels of the network input, in the order of the network's list.
        positions: int32 [S, U], the position of each anchor within each scale's anchors, -1 where it has none.
    """
    position_of = [{index: place for place, index in enumerate(scale.anchor_mask)} for scale in scales]
    anchor_of = {index: anchor for scale in scales for index, anchor in zip(scale.anchor_mask, scale.anchors)}
    indices = sorted(anchor_of)
    positions = [[places.get(index, -1) for index in indices] for places in position_of]
    return np.stack([anchor_of[index] for index in indices]), np.array(positions, np.int32)


def assign_slots(boxes_cxcywh, input_shape, scales: Sequence[Scale]) -> np.ndarray:
    """Return the slot that each box is assigned to.

    Args:
        boxes_cxcywh: float [N, 4], relative to the network input.
        input_shape: (height, width) of the network input in pixels.
        scales: Outputs of the network. An anchor that two scales share counts for the first of them.

    Returns:
        int32 [N, 4]: scale, row, column, position of the anchor within the scale.
    """
    boxes = np.asarray(boxes_cxcywh, np.float32).reshape(-1, 4)
    anchors, positions = candidate_anchors(scales)
    best = geometry.shape_iou(boxes[:, 2:] * _size_wh(input_shape), anchors).argmax(-1)  # [N]
    scale_of = np.argmax(positions[:, best] >= 0, 0)  # [N]

    slots = np.zeros((len(boxes), 4), np.int32)
    for index, scale in enumerate(scales):
        here = scale_of == index
        slots[here, 0] = index
        slots[here, 1:3] = _cells(boxes[here], scale.grid_shape(input_shape))
        slots[here, 3] = positions[index, best[here]]
    return slots


def _size_wh(input_shape) -> np.ndarray:
    return np.array(input_shape[::-1], np.float32)


def _cells(centres, grid_shape) -> np.ndarray:
    """Return int32 [N, 2] (row, column) of relative centres [N, 2] (x, y)."""
    height, width = grid_shape
    columns = np.clip((centres[:, 0] * width).astype(np.int32), 0, width - 1)
    rows = np.clip((centres[:, 1] * height).astype(np.int32), 0, height - 1)
    return np.stack([rows, columns], -1)


def preprocess_true_boxes(
    true_boxes, input_shape, anchors, num_classes, anchor_mask=None, strides=None, iou_thresh=1.0
):
    """Return the training targets of a batch of ground-truth boxes. Name and arguments are keras-yolo3's.

    Args:
        true_boxes: float [B, T, 5] (x_min, y_min, x_max, y_max, class id) in pixels of the network input; rows without
            area are padding. Not changed.
        input_shape: (height, width) of the network input in pixels, multiples of the coarsest stride.
        anchors: float [N, 2] (w, h) in pixels of the network input.
        num_classes: C.
        anchor_mask: Indices of the anchors of each scale; by default those of nine or six anchors.
        strides: Pixels per cell of each scale; by default 32, 16 and 8.
        iou_thresh: A box is also assigned to every other anchor whose shape IoU with it exceeds this, unless the slot
            is the best one of another box. 1 for none.

    Returns:
        One float32 [B, H, W, A, 5 + C] per scale: centre and size relative to the input, objectness 1, classes.

    Raises:
        ClassIdError: For a class id outside 0..C - 1.
        ValueError: For an input size, mask or strides that do not fit.
    """
    scales = make_scales(anchors, anchor_mask, strides)
    input_shape = check_input_shape(input_shape, max(scale.stride for scale in scales))
    candidates, positions = candidate_anchors(scales)  # [U, 2], [S, U]
    true_boxes = np.asarray(true_boxes, np.float32)
    y_true = [
        np.zeros((len(true_boxes), *scale.grid_shape(input_shape), len(scale.anchors), 5 + num_classes), np.float32)
        for scale in scales
    ]

    for image, rows in enumerate(true_boxes):
        boxes, class_ids = _valid_boxes(rows, input_shape, num_classes)  # [N, 4], [N]
        overlap = geometry.shape_iou(boxes[:, 2:] * _size_wh(input_shape), candidates)  # [N, U]
        best = overlap.argmax(-1)

        # The last one in a slot gives the box: first every box at its further anchors, then each at its best.
        further = (overlap > iou_thresh) & (np.arange(len(candidates)) != best[:, None])
        anchor, box = np.nonzero(further.T)
        anchor, box = np.append(anchor, best), np.append(box, np.arange(len(boxes)))

        for target, place in zip(y_true, positions, strict=True):
            here = place[anchor] >= 0
            assigned, position = box[here], place[anchor[here]]
            cells = _cells(boxes[assigned], target.shape[1:3])
            for index, (row, column), slot in zip(assigned, cells, position, strict=True):
                target[image, row, column, slot, 0:4] = boxes[index]
                target[image, row, column, slot, 4] = 1
                target[image, row, column, slot, 5 + class_ids[index]] = 1
    return y_true


def _valid_boxes(rows, input_shape, num_classes):
    """Return relative centre boxes [N, 4] and class ids [N] of the rows that hold a box, clipped to the input."""
    corners = geometry.clip(np.asarray(rows[:, :4], np.float32), input_shape)
    keep = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    class_ids = rows[keep, 4].astype(np.int64)
    wrong = class_ids[(class_ids < 0) | (class_ids >= num_classes)]
    if wrong.size:
        raise ClassIdError(f"class id must be less than num_classes: expected 0 to {num_classes - 1}, got {wrong[0]}")
    return geometry.xyxy_to_cxcywh(corners[keep]) / np.tile(_size_wh(input_shape), 2), class_ids


def build_targets(true_boxes, input_shape, scales: Sequence[Scale], num_classes: int, iou_thresh: float = 1.0) -> list:
    """Return what :func:`preprocess_true_boxes` returns, for boxes that are already on the device.

    Works compiled (XLA) and under every Keras backend.

    Args:
        true_boxes: float [B, T, 5] (x, y, w, h relative to the network input, class id); rows without area are
            padding. Class ids are not checked.
        input_shape: (height, width) of the network input in pixels.
        scales: Outputs of the network.
        num_classes: C.
        iou_thresh: See :func:`preprocess_true_boxes`.

    Returns:
        One float32 tensor [B, H, W, A, 5 + C] per scale.
    """
    candidates, positions = candidate_anchors(scales)  # [U, 2], [S, U]
    true_boxes = ops.cast(true_boxes, "float32")
    present = (true_boxes[..., 2] > 0) & (true_boxes[..., 3] > 0)  # [B, T]
    size_wh = ops.convert_to_tensor(_size_wh(input_shape))
    overlap = geometry.shape_iou(true_boxes[..., 2:4] * size_wh, ops.convert_to_tensor(candidates))
    anchor = ops.argmax(overlap, -1)  # [B, T, U] -> [B, T]

    if iou_thresh < 1:
        # One more row for each box and anchor, before the boxes' own rows: the last one in a slot gives the box.
        count = len(candidates)
        is_best = ops.equal(ops.arange(count), ops.expand_dims(anchor, -1))
        further = (overlap > iou_thresh) & ops.logical_not(is_best)
        pairs = [present & further[..., index] for index in range(count)]
        present = ops.concatenate([*pairs, present], 1)  # [B, (U + 1) T]
        anchor = ops.concatenate([*(ops.full_like(anchor, index) for index in range(count)), anchor], 1)
        true_boxes = ops.concatenate([true_boxes] * (count + 1), 1)

    y_true = []
    for scale, place in zip(scales, positions, strict=True):
        position = ops.take(ops.convert_to_tensor(place), anchor)  # [B, (U + 1) T]
        shape = (*scale.grid_shape(input_shape), len(scale.anchors))
        here = present & (position >= 0)
        y_true.append(_scatter_boxes(true_boxes, here, position, target_shape=shape, num_classes=num_classes))
    return y_true


def _scatter_boxes(true_boxes, here, position, *, target_shape, num_classes):
    """Return a target [B, H, W, A, 5 + C] with the boxes [B, T, 5] for which ``here`` [B, T] holds.

    ``target_shape``: (H, W, A). ``position``: int [B, T], of the anchor within the scale.
    """
    height, width, num_anchors = target_shape
    num_slots = height * width * num_anchors
    column = ops.clip(ops.cast(true_boxes[..., 0] * width, "int32"), 0, width - 1)
    row = ops.clip(ops.cast(true_boxes[..., 1] * height, "int32"), 0, height - 1)
    slot = ops.where(here, (row * width + column) * num_anchors + position, num_slots)  # num_slots: a slot to drop

    # Boxes that share a slot: the classes add up, the last one gives the box.
    order = ops.arange(ops.shape(slot)[1])
    same = ops.equal(ops.expand_dims(slot, 2), ops.expand_dims(slot, 1)) & ops.expand_dims(here, 1)  # [B, T, T]
    later = ops.expand_dims(order, 0) > ops.expand_dims(order, 1)
    last = here & ops.logical_not(ops.any(same & later, -1))
    one_hot = ops.one_hot(ops.cast(true_boxes[..., 4], "int32"), num_classes)
    classes = ops.minimum(ops.matmul(ops.cast(same, "float32"), ops.cast(one_hot, "float32")), 1.0)
    values = ops.concatenate([true_boxes[..., :4], ops.ones_like(true_boxes[..., :1]), classes], -1)  # [B, T, 5 + C]

    # Scatter into one flat array for the whole batch, with a slot too many for each image.
    slot = ops.where(last, slot, num_slots)
    images, depth = ops.shape(true_boxes)[0], 5 + num_classes
    index = ops.expand_dims(ops.arange(images, dtype="int32"), 1) * (num_slots + 1) + slot
    flat = ops.scatter_update(
        ops.zeros((images * (num_slots + 1), depth)), ops.reshape(index, (-1, 1)), ops.reshape(values, (-1, depth))
    )
    flat = ops.reshape(flat, (images, num_slots + 1, depth))[:, :num_slots]
    return ops.reshape(flat, (images, height, width, num_anchors, depth))
