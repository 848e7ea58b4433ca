"""From raw outputs to detections: decode all scales, undo the letterbox, threshold, suppress.

:func:`select_boxes` is what this package uses, for batches and inside graphs. ``yolo_eval``,
``yolo_boxes_and_scores`` and ``yolo_correct_boxes`` do the same for one image with the names, arguments and
results of keras-yolo3.
"""

from keras import ops

from yolo3.models.yolov3.head import yolo_head
from yolo3.models.yolov3.scales import STRIDES, check_anchor_mask, per_scale
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import CANDIDATES, SIGMA, non_max_suppression, rescore, take_rows, top_candidates

_MOST_CANDIDATES = 4096  # of yolo_eval: beyond it the IoUs of a block take more than 2 MB


def decode_outputs(outputs, anchors, num_classes: int, input_shape, anchor_mask=None, scale_x_y=1.0):
    """Return the boxes of all scales and their scores: float32 [B, N, 4] xyxy and [B, N, C] in 0..1.

    ``outputs``: raw tensors [B, H, W, A * (5 + C)], stride 32 first. ``anchors``: [.., 2] (w, h). Boxes and
    anchors are in pixels of the network input, whose ``input_shape`` is (height, width). Score: objectness
    times class probability.
    """
    mask = check_anchor_mask(anchor_mask, len(anchors))
    anchors = ops.cast(ops.convert_to_tensor(anchors), "float32")
    boxes, scores = [], []
    for feats, indices, factor in zip(outputs, mask, per_scale(scale_x_y, len(mask)), strict=True):
        scale_anchors = [anchors[index] for index in indices]
        xy, wh, objectness, class_probs = yolo_head(
            feats, ops.stack(scale_anchors), num_classes, input_shape, scale_x_y=factor
        )
        xyxy = geometry.cxcywh_to_xyxy(ops.concatenate([xy, wh], -1)) * _edges(input_shape)
        boxes.append(_flatten_cells(xyxy, 4))
        scores.append(_flatten_cells(objectness * class_probs, num_classes))
    return ops.concatenate(boxes, 1), ops.concatenate(scores, 1)


def _flatten_cells(array, depth: int):
    """Reshape [B, H, W, A, D] to [B, H * W * A, D]."""
    shape = ops.shape(array)
    return ops.reshape(array, (-1, shape[1] * shape[2] * shape[3], depth))


def _edges(shape):
    """Return (width, height, width, height), float32 [4], of a (height, width) pair or tensor."""
    return ops.cast(ops.stack([shape[1], shape[0], shape[1], shape[0]]), "float32")


def select_boxes(
    outputs, anchors, num_classes: int, input_shape, anchor_mask=None, scale_x_y=1.0,
    score_threshold: float = 0.3, iou_threshold: float = 0.45, max_boxes: int = 300,
    candidates: int = CANDIDATES, method: str = "greedy", overlap: str = "iou", sigma: float | None = SIGMA,
):  # fmt: skip
    """Return the detections of a batch: (boxes [B, M, 4], scores [B, M], class_ids [B, M], num [B]).

    Boxes are xyxy in pixels of the network input, not clipped; M is ``max_boxes``. See :func:`decode_outputs`
    for the first arguments and :func:`yolo3.ops.nms.non_max_suppression` for the others and the result.
    """
    boxes, scores = decode_outputs(outputs, anchors, num_classes, input_shape, anchor_mask, scale_x_y)
    return non_max_suppression(
        boxes, scores, score_threshold, iou_threshold, max_boxes, candidates, method, overlap, sigma
    )


# keras-yolo3's functions


def letterbox_placement(image_shape, input_shape):
    """Return :func:`yolo3.ops.letterbox.letterbox_geometry` as an int32 tensor [4], for shapes that may be tensors.

    (new_height, new_width, top, left) of an image of ``image_shape`` in an input of ``input_shape``, both
    (height, width). The same whole numbers, also inside graphs.
    """
    image_height, image_width = _whole(image_shape)
    height, width = _whole(input_shape)
    is_wide = width * image_height < height * image_width
    new_height = ops.where(is_wide, ops.maximum(image_height * width // image_width, 1), height)
    new_width = ops.where(is_wide, width, ops.maximum(image_width * height // image_height, 1))
    return ops.stack([new_height, new_width, (height - new_height) // 2, (width - new_width) // 2])


def _whole(shape):
    return ops.cast(shape[0], "int32"), ops.cast(shape[1], "int32")


def yolo_correct_boxes(box_xy, box_wh, input_shape, image_shape):
    """Undo the letterbox: return boxes [..., 4] (y_min, x_min, y_max, x_max) in pixels of the image.

    ``box_xy``, ``box_wh``: centres and sizes [..., 2] (x, y), relative to the network input. ``input_shape``
    and ``image_shape``: (height, width), numbers or tensors. The boxes are not clipped.
    """
    new_height, new_width, top, left = ops.unstack(
        ops.cast(letterbox_placement(image_shape, input_shape), "float32"), 4
    )
    size, offset = ops.stack([new_width, new_height] * 2), ops.stack([left, top] * 2)
    xyxy = geometry.cxcywh_to_xyxy(ops.concatenate([box_xy, box_wh], -1)) * _edges(input_shape)
    return geometry.swap_xy((xyxy - offset) / size * _edges(image_shape))


def yolo_boxes_and_scores(feats, anchors, num_classes, input_shape, image_shape, scale_x_y=1.0):
    """Return the boxes [B * H * W * A, 4] and scores [B * H * W * A, C] of one scale.

    ``feats``: raw output [B, H, W, A * (5 + C)]. ``anchors``: the A anchors of the scale. Boxes as from
    :func:`yolo_correct_boxes`.
    """
    xy, wh, objectness, class_probs = yolo_head(feats, anchors, num_classes, input_shape, scale_x_y=scale_x_y)
    boxes = yolo_correct_boxes(xy, wh, input_shape, image_shape)
    return ops.reshape(boxes, (-1, 4)), ops.reshape(objectness * class_probs, (-1, num_classes))


def yolo_eval(
    yolo_outputs, anchors, num_classes, image_shape, max_boxes=20, score_threshold=0.6, iou_threshold=0.5,
    anchor_mask=None, scale_x_y=1.0, method="greedy", overlap="iou", sigma=SIGMA,
):  # fmt: skip
    """Return the detections of an image: boxes [N, 4], scores [N], classes int32 [N]; by class, then score.

    ``yolo_outputs``: raw tensors [1, H, W, A * (5 + C)], stride 32 first. ``anchors``: [.., 2] (w, h), pixels
    of the network input. ``image_shape``: (height, width) of the image, which was letterboxed.
    ``max_boxes``: for each class. Boxes are (y_min, x_min, y_max, x_max) in pixels of the image, not
    clipped. Scores have to be above ``score_threshold``; boxes that overlap by more than ``iou_threshold``
    suppress each other, by the ``method`` and ``overlap`` of :mod:`yolo3.ops.nms`. Looks at the 1,024 to 4,096 best
    (box, class) pairs, as ``max_boxes`` asks. Raises ``ValueError`` for more than one image
    (:func:`select_boxes` takes batches) and for unknown names.
    """
    if isinstance(yolo_outputs[0].shape[0], int) and yolo_outputs[0].shape[0] != 1:
        raise ValueError(f"yolo_eval: expected one image, got {yolo_outputs[0].shape[0]}; use select_boxes for batches")
    boxes, scores = _all_boxes_and_scores(yolo_outputs, anchors, num_classes, image_shape, anchor_mask, scale_x_y)
    candidates = min(max(CANDIDATES, max_boxes * num_classes), _MOST_CANDIDATES)
    boxes, scores, class_ids = top_candidates(boxes[None], scores[None], score_threshold, candidates)
    size = class_ids.shape[1]
    scores = rescore(boxes, class_ids, scores, score_threshold, iou_threshold, size, method, overlap, sigma)
    if method == "soft":  # it leaves another order
        scores, order = ops.top_k(scores, size)
        boxes, class_ids = take_rows(boxes, order), take_rows(class_ids, order)
    keep = scores[0] > score_threshold
    keep = keep & (_rank_in_class(keep, class_ids[0], num_classes) < max_boxes)
    order = _order_by_class(keep, class_ids[0], num_classes)
    return ops.take(boxes[0], order, 0), ops.take(scores[0], order, 0), ops.take(class_ids[0], order, 0)


def _all_boxes_and_scores(yolo_outputs, anchors, num_classes, image_shape, anchor_mask, scale_x_y):
    """Return the boxes and scores of all scales as one list."""
    mask = check_anchor_mask(anchor_mask, len(anchors))
    anchors = ops.cast(ops.convert_to_tensor(anchors), "float32")
    shape = ops.shape(yolo_outputs[0])
    input_shape = (shape[1] * STRIDES[0], shape[2] * STRIDES[0])
    parts = [
        yolo_boxes_and_scores(
            feats,
            ops.stack([anchors[index] for index in indices]),
            num_classes,
            input_shape,
            image_shape,
            factor,
        )
        for feats, indices, factor in zip(yolo_outputs, mask, per_scale(scale_x_y, len(mask)), strict=True)
    ]
    return ops.concatenate([boxes for boxes, _ in parts], 0), ops.concatenate([scores for _, scores in parts], 0)


def _rank_in_class(keep, class_ids, num_classes: int):
    """Return int32 [K]: how many kept candidates of the same class come before each one."""
    kept = ops.one_hot(class_ids, num_classes, dtype="int32") * ops.cast(ops.expand_dims(keep, -1), "int32")
    before = ops.cumsum(kept, 0) - kept
    return ops.sum(before * ops.one_hot(class_ids, num_classes, dtype="int32"), -1)


def _order_by_class(keep, class_ids, num_classes: int):
    """Return the indices of the kept candidates, class by class; within a class they stay in order."""
    size = class_ids.shape[0]
    place = ops.where(keep, class_ids, num_classes) * size + ops.arange(size, dtype="int32")
    count = ops.sum(ops.cast(keep, "int32"))
    return ops.argsort(place)[:count]
