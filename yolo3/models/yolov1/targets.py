"""YOLOv1's targets: which cell predicts an object, and which of its boxes is responsible.

The cell that holds the centre of an object predicts it, with the one of its boxes that overlaps it best (Redmon et
al. 2016, section 2). The first is known beforehand, the second only once there are predictions.
"""

from keras import ops

from yolo3.models.yolov1.codec import decode_boxes
from yolo3.ops import boxes as geometry


def build_targets(true_boxes, grid_size: int, num_classes: int):
    """Assign each ground-truth box to the cell that holds its centre.

    Args:
        true_boxes: Float [B, T, 5] (x, y, w, h relative to the input, class id). Rows without area are padding; class
            ids are taken to be valid.
        grid_size: S, cells per side.
        num_classes: C.

    Returns:
        y_true, float32 [B, S, S, 5 + C]: x, y, w, h relative to the input, 1 where there is an object, one-hot classes.

    Of several boxes in one cell the first row stays and the others are not learned, as in Darknet's src/data.c
    (``fill_truth_region``), which shuffles the boxes of an image first. Unlike there, a centre on the far border of
    the image belongs to the last cell.
    """
    # One more row of padding: index T stands for "no object".
    rows = ops.pad(ops.cast(true_boxes, "float32"), ((0, 0), (0, 1), (0, 0)))  # [B, T + 1, 5]
    column, row = (ops.clip(ops.cast(rows[..., i] * grid_size, "int32"), 0, grid_size - 1) for i in (0, 1))
    in_cell = ops.expand_dims(row * grid_size + column, 1) == ops.arange(grid_size**2, dtype="int32")[:, None]
    in_cell = in_cell & ops.expand_dims((rows[..., 2] > 0) & (rows[..., 3] > 0), 1)  # [B, S S, T + 1]

    last = ops.shape(rows)[1] - 1
    first = ops.min(ops.where(in_cell, ops.arange(last + 1, dtype="int32"), last), -1)  # [B, S S]
    chosen = ops.take_along_axis(rows, ops.expand_dims(first, -1), 1)  # [B, S S, 5]

    is_object = ops.expand_dims(ops.cast(first < last, "float32"), -1)
    classes = ops.cast(ops.one_hot(ops.cast(chosen[..., 4], "int32"), num_classes), "float32")
    y_true = ops.concatenate([chosen[..., :4], is_object, is_object * classes], -1)  # [B, S S, 5 + C]
    return ops.reshape(y_true, (-1, grid_size, grid_size, 5 + num_classes))


def responsible_boxes(raw_boxes, y_true, size_form: str):
    """Choose the box of each cell that is responsible for the cell's object.

    It is the one of the largest IoU with the object or, where none overlaps it, that of the smallest squared distance
    in x, y, w, h (Darknet's ``box_rmse``); the first of equal ones.

    Args:
        raw_boxes: [B, S, S, A, 4].
        y_true: [B, S, S, 5 + C], as :func:`build_targets` returns it.
        size_form: One of :data:`yolo3.models.yolov1.codec.SIZE_FORMS`.

    Returns:
        (responsible, ious), float32 [B, S, S, A] without gradient: 1 for responsible boxes and 0 for all others, and
        the IoU of each box with the object of its cell.
    """
    predicted = ops.stop_gradient(ops.concatenate(decode_boxes(raw_boxes, size_form), -1))  # [B, S, S, A, 4]
    ground_truth = y_true[..., None, 0:4]  # [B, S, S, 1, 4]
    ious = geometry.iou(geometry.cxcywh_to_xyxy(predicted), geometry.cxcywh_to_xyxy(ground_truth))
    distances = ops.sum(ops.square(predicted - ground_truth), -1)

    overlapping = ops.any(ious > 0, -1, keepdims=True)
    best = ops.argmax(ops.where(overlapping, ious, -distances), -1)  # [B, S, S]
    responsible = y_true[..., 4:5] * ops.cast(ops.one_hot(best, ops.shape(ious)[-1]), "float32")
    return responsible, ious
