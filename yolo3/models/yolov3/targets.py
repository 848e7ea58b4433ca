"""Each true box to its slot: scale, cell and anchor. The same rule in NumPy and, for a batch, on the device.

The rule is Darknet's (src/yolo_layer.c): the anchor whose shape has the largest IoU with the box, in the cell that
holds the centre. Of several boxes in one slot the last one gives the box, and the classes add up. Two departures, so
that no object is lost: anchors that no scale uses are not candidates, and centres on the far border belong to the last
cell.
"""

import numpy as np
from keras import ops

from yolo3.models.yolov3.scales import STRIDES, AnchorMask, check_anchor_mask, check_input_shape, grid_shapes
from yolo3.ops import boxes as geometry


class ClassIdError(ValueError, AssertionError):
    """A class id outside 0..num_classes - 1. (An ``AssertionError`` too: that is what keras-yolo3 raised.)"""


def used_anchors(anchor_mask: AnchorMask) -> list[int]:
    """Return the indices, in order, of the anchors that at least one scale predicts with."""
    return sorted({index for scale in anchor_mask for index in scale})


def _positions(anchor_mask: AnchorMask, num_anchors: int) -> np.ndarray:
    """Return int32 [S, N]: the place of each anchor in each scale's mask, -1 where it is absent."""
    table = np.full((len(anchor_mask), num_anchors), -1, np.int32)
    for scale, mask in enumerate(anchor_mask):
        table[scale, list(mask)] = np.arange(len(mask))
    return table


def best_anchors(sizes_wh, anchors, anchor_mask: AnchorMask) -> np.ndarray:
    """Return int [N]: the anchor of largest shape IoU for each size [N, 2]; both in pixels of the network input."""
    used = used_anchors(anchor_mask)
    overlap = geometry.shape_iou(np.asarray(sizes_wh, np.float32), np.asarray(anchors, np.float32)[used])
    return np.asarray(used)[np.argmax(overlap, -1)]


def _cells(centres, grid_shape) -> np.ndarray:
    """Return int32 [N, 2] (row, column) of relative centres [N, 2] (x, y)."""
    height, width = grid_shape
    columns = np.clip((centres[:, 0] * width).astype(np.int32), 0, width - 1)
    rows = np.clip((centres[:, 1] * height).astype(np.int32), 0, height - 1)
    return np.stack([rows, columns], -1)


def assign_slots(boxes_cxcywh, input_shape, anchors, anchor_mask=None, strides=None) -> np.ndarray:
    """Return int32 [N, 4] (scale, row, column, position in the mask): where each box is learned.

    ``boxes_cxcywh``: [N, 4], relative to the input. An anchor that two scales share counts for the first of them.
    """
    boxes = np.asarray(boxes_cxcywh, np.float32).reshape(-1, 4)
    mask = check_anchor_mask(anchor_mask, len(anchors))
    table = _positions(mask, len(anchors))
    best = best_anchors(boxes[:, 2:] * np.array(input_shape[::-1], np.float32), anchors, mask)
    scale = np.argmax(table[:, best] >= 0, 0)
    slots = np.zeros((len(boxes), 4), np.int32)
    for index, grid in enumerate(grid_shapes(input_shape, len(mask), strides)):
        here = scale == index
        slots[here, 0] = index
        slots[here, 1:3] = _cells(boxes[here], grid)
        slots[here, 3] = table[index, best[here]]
    return slots


def _usable_boxes(image_boxes, input_shape, num_classes):
    """Return relative centre boxes [N, 4] and class ids [N] of the rows that hold a box, clipped to the input."""
    size = np.array(input_shape[::-1] * 2, np.float32)
    corners = geometry.clip(np.asarray(image_boxes[:, :4], np.float32), input_shape)
    keep = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    class_ids = image_boxes[keep, 4].astype(np.int64)
    wrong = class_ids[(class_ids < 0) | (class_ids >= num_classes)]
    if wrong.size:
        raise ClassIdError(f"class id must be less than num_classes: expected 0 to {num_classes - 1}, got {wrong[0]}")
    return geometry.xyxy_to_cxcywh(corners[keep]) / size, class_ids


def preprocess_true_boxes(
    true_boxes, input_shape, anchors, num_classes, anchor_mask=None, strides=None, iou_thresh=1.0
):  # fmt: skip
    """Return the training targets of a batch: one float32 array [B, H, W, A, 5 + C] a scale, stride 32 first.

    ``true_boxes``: [B, T, 5] (x_min, y_min, x_max, y_max, class id) in pixels of the network input; rows without area
    are padding. ``input_shape``: (height, width). ``anchors``: [N, 2] (w, h) pixels. ``anchor_mask``: the anchors of
    each scale, by default those of nine or six anchors. ``strides``: the same for networks with
    others than 32, 16, 8. ``iou_thresh``: a box is learned by its best anchor and by all others whose shapes overlap it
    by more than this, which give way where another box needs the slot as its best. A slot holds centre and size
    relative to the input, objectness 1 and the classes. Raises :class:`ClassIdError`. The arguments are not changed.
    """
    mask = check_anchor_mask(anchor_mask, len(anchors))
    input_shape = check_input_shape(input_shape, max(strides or STRIDES))
    true_boxes = np.asarray(true_boxes, np.float32)
    table = _positions(mask, len(anchors))
    shapes = [(*grid, len(mask[0]), 5 + num_classes) for grid in grid_shapes(input_shape, len(mask), strides)]
    y_true = [np.zeros((len(true_boxes), *shape), np.float32) for shape in shapes]
    for image, image_boxes in enumerate(true_boxes):
        boxes, class_ids = _usable_boxes(image_boxes, input_shape, num_classes)
        pixels = boxes[:, 2:] * np.array(input_shape[::-1], np.float32)
        best = best_anchors(pixels, anchors, mask)
        rows, chosen = further_anchors(pixels, best, anchors, mask, iou_thresh)
        rows, chosen = np.append(rows, np.arange(len(boxes))), np.append(chosen, best)  # the last one in a slot counts
        for scale, target in enumerate(y_true):
            here = table[scale, chosen] >= 0
            learned = rows[here]
            cells = _cells(boxes[learned], target.shape[1:3])
            _fill(target[image], cells, table[scale, chosen[here]], boxes[learned], class_ids[learned])
    return y_true


def further_anchors(sizes_wh, best, anchors, anchor_mask: AnchorMask, iou_thresh: float):
    """Return (row, anchor), int [M] each: every used anchor but the ``best`` [N] that fits a size [N, 2] well enough.

    Well enough: a shape IoU above ``iou_thresh``. In the order of the anchors, then of the rows.
    """
    used = np.asarray(used_anchors(anchor_mask))
    overlap = geometry.shape_iou(np.asarray(sizes_wh, np.float32), np.asarray(anchors, np.float32)[used])
    column, row = np.nonzero(((overlap > iou_thresh) & (used != best[:, None])).T)
    return row, used[column]


def _fill(target, cells, positions, boxes, class_ids):
    """Write boxes, in order, into the target [H, W, A, 5 + C] of one image and scale."""
    for (row, column), position, box, class_id in zip(cells, positions, boxes, class_ids, strict=True):
        slot = target[row, column, position]
        slot[0:4] = box
        slot[4] = 1
        slot[5 + class_id] = 1


def build_targets(true_boxes, input_shape, anchors, num_classes, anchor_mask=None, strides=None, iou_thresh=1.0):
    """Return what :func:`preprocess_true_boxes` returns, as tensors, for boxes that are already on the device.

    ``true_boxes``: float [B, T, 5] (x, y, w, h relative to the input, class id), rows without area are padding; class
    ids are taken to be valid. Works compiled (XLA) and under every Keras backend.
    """
    mask = check_anchor_mask(anchor_mask, len(anchors))
    true_boxes = ops.cast(true_boxes, "float32")
    present = (true_boxes[..., 2] > 0) & (true_boxes[..., 3] > 0)
    overlap = _overlaps_with_used(true_boxes[..., 2:4], input_shape, anchors, mask)
    place = ops.argmax(overlap, -1)  # of the best among the used anchors
    used = np.asarray(used_anchors(mask), np.int32)
    best = ops.take(ops.convert_to_tensor(used), place)
    if iou_thresh < 1:
        further = (overlap > iou_thresh) & ops.not_equal(ops.arange(len(used)), ops.expand_dims(place, -1))
        true_boxes, present, best = _with_further(true_boxes, present, best, further, used)
    table = _positions(mask, len(anchors))
    positions = [ops.take(ops.convert_to_tensor(row), best) for row in table]
    return [
        _scatter(true_boxes, present, position, grid, len(mask[0]), num_classes)
        for position, grid in zip(positions, grid_shapes(input_shape, len(mask), strides), strict=True)
    ]


def _overlaps_with_used(wh, input_shape, anchors, mask):
    """Return shape IoUs [B, T, U] of sizes [B, T, 2], relative to the input, with the anchors that are used."""
    size = np.array(input_shape[::-1], np.float32)
    candidates = ops.convert_to_tensor(np.asarray(anchors, np.float32)[used_anchors(mask)])
    return geometry.shape_iou(wh * size, candidates)


def _with_further(true_boxes, present, best, further, used):
    """Return boxes, presence and anchors with a row more for each box and used anchor, before the boxes' own rows.

    ``further``: bool [B, T, U], the pairs that count. Last in a slot is then a box that needs it as its best.
    """
    count = len(used)
    pairs = [present & further[..., index] for index in range(count)]
    anchor_rows = [ops.full_like(best, int(anchor)) for anchor in used]
    return (
        ops.concatenate([true_boxes] * (count + 1), 1),
        ops.concatenate([*pairs, present], 1),
        ops.concatenate([*anchor_rows, best], 1),
    )


def _scatter(true_boxes, present, position, grid, num_anchors, num_classes):
    """Write the boxes whose ``position`` [B, T] is not negative into a target [B, H, W, A, 5 + C]."""
    height, width = grid
    column = ops.clip(ops.cast(true_boxes[..., 0] * width, "int32"), 0, width - 1)
    row = ops.clip(ops.cast(true_boxes[..., 1] * height, "int32"), 0, height - 1)
    num_slots = height * width * num_anchors
    here = present & (position >= 0)
    slot = ops.where(here, (row * width + column) * num_anchors + position, num_slots)  # num_slots: a slot to drop
    values, last = _merge_shared(true_boxes, slot, here, num_classes)
    slot = ops.where(last, slot, num_slots)
    images = ops.shape(true_boxes)[0]
    index = ops.expand_dims(ops.arange(images, dtype="int32"), 1) * (num_slots + 1) + slot
    depth = 5 + num_classes
    flat = ops.scatter_update(
        ops.zeros((images * (num_slots + 1), depth)), ops.reshape(index, (-1, 1)), ops.reshape(values, (-1, depth))
    )
    flat = ops.reshape(flat, (images, num_slots + 1, depth))[:, :num_slots]
    return ops.reshape(flat, (images, height, width, num_anchors, depth))


def _merge_shared(true_boxes, slot, here, num_classes):
    """Return the contents [B, T, 5 + C] of each box's slot, and whether the box is the last one in its slot."""
    order = ops.arange(ops.shape(slot)[1])
    same = ops.equal(ops.expand_dims(slot, 2), ops.expand_dims(slot, 1)) & ops.expand_dims(here, 1)
    later = ops.expand_dims(order, 0) > ops.expand_dims(order, 1)
    last = here & ops.logical_not(ops.any(same & later, -1))
    one_hot = ops.one_hot(ops.cast(true_boxes[..., 4], "int32"), num_classes)
    classes = ops.minimum(ops.matmul(ops.cast(same, "float32"), ops.cast(one_hot, "float32")), 1.0)
    objectness = ops.ones_like(true_boxes[..., :1])
    return ops.concatenate([true_boxes[..., :4], objectness, classes], -1), last
