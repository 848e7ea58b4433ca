"""The two layouts of YOLOv1's output, to the *parts* that the loss and the codec take, and back.

The parts are ``class_probs`` [B, S, S, C], ``confidence`` [B, S, S, A] and ``raw_boxes`` [B, S, S, A, 4] (x, y, w, h),
for a grid of S x S cells with A boxes each and C classes.

========= ==================== ===============================================================================
layout    shape                order
========= ==================== ===============================================================================
"cells"   [B, S, S, C + 5 A]   in each cell the classes, then (confidence, x, y, w, h) of each box
"darknet" [B, S S (C + 5 A)]   the classes of all cells, all confidences, all boxes; cells row by row (Darknet's
                               src/detection_layer.c)
========= ==================== ===============================================================================
"""

import math

from keras import ops

LAYOUTS = ("cells", "darknet")


def split_cells(feats, num_classes: int, num_boxes: int):
    """Return the parts of feats [B, S, S, C + 5 A]. Inverse: :func:`join_cells`."""
    rows, columns = ops.shape(feats)[1:3]
    boxes = ops.reshape(feats[..., num_classes:], (-1, rows, columns, num_boxes, 5))
    return feats[..., :num_classes], boxes[..., 0], boxes[..., 1:]


def join_cells(class_probs, confidence, raw_boxes):
    """Return feats [B, S, S, C + 5 A] of their parts. Inverse: :func:`split_cells`."""
    rows, columns, num_boxes = ops.shape(raw_boxes)[1:4]
    boxes = ops.concatenate([ops.expand_dims(confidence, -1), raw_boxes], -1)  # [B, S, S, A, 5]
    return ops.concatenate([class_probs, ops.reshape(boxes, (-1, rows, columns, num_boxes * 5))], -1)


def split_flat(flat, grid_size: int, num_classes: int, num_boxes: int):
    """Return the parts of Darknet's vector [B, S S (C + 5 A)]. Inverse: :func:`join_flat`."""
    cells = (-1, grid_size, grid_size)
    first_confidence = grid_size**2 * num_classes
    first_box = first_confidence + grid_size**2 * num_boxes
    return (
        ops.reshape(flat[:, :first_confidence], (*cells, num_classes)),
        ops.reshape(flat[:, first_confidence:first_box], (*cells, num_boxes)),
        ops.reshape(flat[:, first_box:], (*cells, num_boxes, 4)),
    )


def join_flat(class_probs, confidence, raw_boxes):
    """Return Darknet's vector [B, S S (C + 5 A)] of its parts. Inverse: :func:`split_flat`."""
    parts = (class_probs, confidence, raw_boxes)
    return ops.concatenate([ops.reshape(part, (-1, math.prod(ops.shape(part)[1:]))) for part in parts], -1)
