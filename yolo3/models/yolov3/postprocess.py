"""From raw outputs to detections: decode all scales, undo the letterbox, threshold, suppress.

:func:`select_boxes` works on batches and inside graphs. ``yolo_eval``, ``yolo_boxes_and_scores`` and
``yolo_correct_boxes`` do the same for one image with the names, arguments and results of keras-yolo3.
"""

from collections.abc import Sequence

from keras import ops

from yolo3.models.architecture import IOU_THRESHOLD
from yolo3.models.yolov3.head import yolo_head
from yolo3.models.yolov3.scales import Scale, make_scales
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import non_max_suppression, rescore, take_rows, top_candidates
from yolo3.ops.nms_methods import CANDIDATES, MAX_BOXES, SHOWN_SCORE, SIGMA

_MOST_CANDIDATES = 4096  # of yolo_eval: beyond it the IoUs of a block take more than 2 MB


def decode_outputs(outputs, scales: Sequence[Scale], num_classes: int, input_shape):
    """Return the boxes and scores of all scales.

    Args:
        outputs: Raw network outputs, one [B, H, W, A * (5 + C)] per scale.
        scales: Outputs of the network.
        num_classes: C.
        input_shape: (height, width) of the network input in pixels.

    Returns:
        float32 [B, N, 4] xyxy in pixels of the network input, and [B, N, C] in 0..1, objectness times class
        probability.
    """
    boxes, scores = [], []
    for feats, scale in zip(outputs, scales, strict=True):
        xy, wh, objectness, class_probs = yolo_head(
            feats,
            scale.anchors,
            num_classes=num_classes,
            input_shape=input_shape,
            scale_x_y=scale.scale_x_y,
            new_coords=scale.new_coords,
        )
        xyxy = geometry.cxcywh_to_xyxy(ops.concatenate([xy, wh], -1)) * _edges(input_shape)  # [B, H, W, A, 4]
        shape = ops.shape(xyxy)
        num_slots = shape[1] * shape[2] * shape[3]
        boxes.append(ops.reshape(xyxy, (-1, num_slots, 4)))
        scores.append(ops.reshape(objectness * class_probs, (-1, num_slots, num_classes)))
    return ops.concatenate(boxes, 1), ops.concatenate(scores, 1)


def _edges(shape):
    """Return (width, height, width, height), float32 [4], of a (height, width) pair or tensor."""
    return ops.cast(ops.stack([shape[1], shape[0], shape[1], shape[0]]), "float32")


def select_boxes(
    outputs,
    scales: Sequence[Scale],
    num_classes: int,
    input_shape,
    *,
    score_threshold: float = SHOWN_SCORE,
    iou_threshold: float = IOU_THRESHOLD,
    max_boxes: int = MAX_BOXES,
    candidates: int = CANDIDATES,
    method: str = "greedy",
    overlap: str = "iou",
    sigma: float | None = SIGMA,
):
    """Return the detections of a batch: (boxes [B, M, 4], scores [B, M], class_ids [B, M], num [B]).

    Boxes are xyxy in pixels of the network input, not clipped; M is ``max_boxes``. See :func:`decode_outputs` for the
    first arguments and :func:`yolo3.ops.nms.non_max_suppression` for the others and the result.
    """
    boxes, scores = decode_outputs(outputs, scales, num_classes=num_classes, input_shape=input_shape)
    return non_max_suppression(
        boxes,
        scores,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_boxes=max_boxes,
        candidates=candidates,
        method=method,
        overlap=overlap,
        sigma=sigma,
    )


# keras-yolo3's functions


def letterbox_placement(image_shape, input_shape):
    """Return :func:`yolo3.ops.letterbox.letterbox_geometry` as a tensor, for shapes that may be tensors.

    Args:
        image_shape: (height, width) of the image in pixels.
        input_shape: (height, width) of the network input in pixels.

    Returns:
        int32 [4]: (new_height, new_width, top, left). The same whole numbers, also inside graphs.
    """
    image_height, image_width = ops.cast(image_shape[0], "int32"), ops.cast(image_shape[1], "int32")
    height, width = ops.cast(input_shape[0], "int32"), ops.cast(input_shape[1], "int32")
    is_wide = width * image_height < height * image_width
    new_height = ops.where(is_wide, ops.maximum(image_height * width // image_width, 1), height)
    new_width = ops.where(is_wide, width, ops.maximum(image_width * height // image_height, 1))
    return ops.stack([new_height, new_width, (height - new_height) // 2, (width - new_width) // 2])


def yolo_correct_boxes(box_xy, box_wh, input_shape, image_shape):
    """Undo the letterbox: map boxes from the network input to the image.

    Args:
        box_xy: [..., 2] (x, y), centres relative to the network input.
        box_wh: [..., 2] (w, h), sizes relative to the network input.
        input_shape: (height, width) of the network input in pixels, numbers or tensor.
        image_shape: (height, width) of the image in pixels, numbers or tensor.

    Returns:
        float32 [..., 4] (y_min, x_min, y_max, x_max) in pixels of the image, not clipped.
    """
    new_height, new_width, top, left = ops.unstack(
        ops.cast(letterbox_placement(image_shape, input_shape), "float32"), 4
    )
    size, offset = ops.stack([new_width, new_height] * 2), ops.stack([left, top] * 2)
    xyxy = geometry.cxcywh_to_xyxy(ops.concatenate([box_xy, box_wh], -1)) * _edges(input_shape)
    return geometry.swap_xy((xyxy - offset) / size * _edges(image_shape))


def yolo_boxes_and_scores(feats, anchors, num_classes, input_shape, image_shape, scale_x_y=1.0):
    """Return the boxes [B * H * W * A, 4] and scores [B * H * W * A, C] of one scale.

    Args:
        feats: Raw output [B, H, W, A * (5 + C)].
        anchors: [A, 2] (w, h), those of the scale, in pixels of the network input.
        num_classes: C.
        input_shape: (height, width) of the network input in pixels.
        image_shape: (height, width) of the image in pixels, for boxes as from :func:`yolo_correct_boxes`.
        scale_x_y: Stretch of the sigmoid of centres.
    """
    xy, wh, objectness, class_probs = yolo_head(
        feats, anchors, num_classes=num_classes, input_shape=input_shape, scale_x_y=scale_x_y
    )
    boxes = yolo_correct_boxes(xy, wh, input_shape=input_shape, image_shape=image_shape)
    return ops.reshape(boxes, (-1, 4)), ops.reshape(objectness * class_probs, (-1, num_classes))


def yolo_eval(
    yolo_outputs,
    anchors,
    num_classes,
    image_shape,
    max_boxes=20,
    score_threshold=0.6,
    iou_threshold=0.5,
    anchor_mask=None,
    scale_x_y=1.0,
    method="greedy",
    overlap="iou",
    sigma=SIGMA,
):
    """Return the detections of one image, by class, then by falling score. Name and arguments are keras-yolo3's.

    Looks at the 1,024 to 4,096 best (box, class) pairs, depending on ``max_boxes``.

    Args:
        yolo_outputs: Raw outputs [1, H, W, A * (5 + C)] of all scales, stride 32 first.
        anchors: float [N, 2] (w, h) in pixels of the network input.
        num_classes: C.
        image_shape: (height, width) in pixels of the image, which was letterboxed.
        max_boxes: Detections per class at most.
        score_threshold: Scores have to be above it.
        iou_threshold: Boxes of one class that overlap by more suppress each other.
        anchor_mask: Indices of the anchors of each scale; by default those of nine or six anchors.
        scale_x_y: Stretch of the sigmoid of centres, one number or one per scale.
        method: One of :data:`yolo3.ops.nms_methods.METHODS`.
        overlap: One of :data:`yolo3.ops.nms_methods.OVERLAPS`.
        sigma: Of the method "soft".

    Returns:
        Boxes float32 [N, 4] (y_min, x_min, y_max, x_max) in pixels of the image, not clipped, scores float32 [N] and
        classes int32 [N].

    Raises:
        ValueError: For more than one image (:func:`select_boxes` takes batches), and for unknown names.
    """
    if isinstance(yolo_outputs[0].shape[0], int) and yolo_outputs[0].shape[0] != 1:
        raise ValueError(f"yolo_eval: expected one image, got {yolo_outputs[0].shape[0]}; use select_boxes for batches")

    scales = make_scales(anchors, anchor_mask, scale_x_y=scale_x_y)
    shape = ops.shape(yolo_outputs[0])
    input_shape = (shape[1] * scales[0].stride, shape[2] * scales[0].stride)
    parts = [
        yolo_boxes_and_scores(
            # In a graph the number of images is known when it runs: more than one fails here.
            ops.reshape(feats, (1, *ops.shape(feats)[1:])),
            scale.anchors,
            num_classes=num_classes,
            input_shape=input_shape,
            image_shape=image_shape,
            scale_x_y=scale.scale_x_y,
        )
        for feats, scale in zip(yolo_outputs, scales, strict=True)
    ]
    boxes, scores = (ops.concatenate(part, 0) for part in zip(*parts, strict=True))  # [N, 4], [N, C]
    return _suppress_per_class(
        boxes,
        scores,
        max_boxes=max_boxes,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        method=method,
        overlap=overlap,
        sigma=sigma,
    )


def _suppress_per_class(
    boxes, scores, *, max_boxes: int, score_threshold: float, iou_threshold: float, method, overlap, sigma
):
    """Return boxes [M, 4], scores [M] and classes int32 [M] of boxes [N, 4] with scores [N, C], by class, then score.

    Up to ``max_boxes`` of each class.
    """
    num_classes = scores.shape[-1]
    candidates = min(max(CANDIDATES, max_boxes * num_classes), _MOST_CANDIDATES)
    boxes, scores, class_ids = top_candidates(boxes[None], scores[None], score_threshold, candidates)  # [1, K, ...]
    size = class_ids.shape[1]
    scores = rescore(
        boxes,
        class_ids,
        scores,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_boxes=size,
        method=method,
        overlap=overlap,
        sigma=sigma,
    )
    if method == "soft":  # decayed scores are in another order
        scores, order = ops.top_k(scores, size)
        boxes, class_ids = take_rows(boxes, order), take_rows(class_ids, order)
    boxes, scores, class_ids = boxes[0], scores[0], class_ids[0]  # [K, ...]

    # Of each class the first max_boxes that are kept.
    keep = scores > score_threshold
    one_hot = ops.one_hot(class_ids, num_classes, dtype="int32")  # [K, C]
    kept = one_hot * ops.cast(ops.expand_dims(keep, -1), "int32")
    rank = ops.sum((ops.cumsum(kept, 0) - kept) * one_hot, -1)  # kept candidates of the same class before each one
    keep = keep & (rank < max_boxes)

    # Class by class; within a class they stay in order.
    place = ops.where(keep, class_ids, num_classes) * size + ops.arange(size, dtype="int32")
    order = ops.argsort(place)[: ops.sum(ops.cast(keep, "int32"))]
    return ops.take(boxes, order, 0), ops.take(scores, order, 0), ops.take(class_ids, order, 0)
