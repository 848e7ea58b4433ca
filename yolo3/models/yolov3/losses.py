"""The YOLOv3 loss, and one small function for each of its terms.

For one image, over all slots (cell and anchor) of all scales, with logits z and s = 2 - w h (relative size):

    sum over objects      s (BCE(z_x, t_x) + BCE(z_y, t_y))  +  s/2 ((z_w - t_w)^2 + (z_h - t_h)^2)
                          + sum over classes BCE(z_c, y_c)  +  BCE(z_o, 1)
    sum over the others   BCE(z_o, 0), left out where the predicted box overlaps any true box of the image by more
                          than ``ignore_thresh``

and the mean of that over the images. Its gradient is minus the deltas of Darknet's src/yolo_layer.c. All arithmetic is
float32 whatever the precision of the network. :class:`yolo3.models.yolov3.loss_options.LossOptions` says what may be computed in
another way: boxes by their overlap with the truth, objectness and classes by the focal loss, smoothed labels.
"""

import keras
from keras import ops

from yolo3.models.yolov3.head import decode_boxes, encode_offsets, encode_sizes, size_wh, split_anchors
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.models.yolov3.scales import check_anchor_mask, per_scale, scale_strides
from yolo3.ops import boxes as geometry
from yolo3.ops.focal import focal_loss

DARKNET = LossOptions()
TERMS = DARKNET.terms
_OVERLAPS = {"iou": geometry.iou, "giou": geometry.giou, "diou": geometry.diou, "ciou": geometry.ciou}
_BLOCK = 32  # true boxes compared at a time: what a block needs stays within a processor's cache


def binary_cross_entropy(logits, targets):
    """Return -t ln p - (1 - t) ln(1 - p) with p = sigmoid(logit), element by element, without overflow.

    Written with ``where``: the derivatives of relu and abs at a logit of exactly 0 would not add up to p - t.
    """
    positive = logits >= 0
    magnitude = ops.where(positive, logits, -logits)
    return ops.where(positive, logits, 0.0) - logits * targets + ops.softplus(-magnitude)


def entropy(targets):
    """Return the smallest value that cross-entropy with ``targets`` can take: 0 for 0 and 1, ln 2 for 1/2."""
    inside = ops.clip(targets, 1e-7, 1 - 1e-7)
    return -(inside * ops.log(inside) + (1 - inside) * ops.log(1 - inside))


def xy_loss(raw, y_true, scale_x_y: float = 1.0):
    """Return (loss, floor) [B, H, W, A]: cross-entropy of the centre's place in its cell, and its least value."""
    offset = ops.clip(encode_offsets(y_true[..., 0:2], ops.shape(raw)[1:3]), 0.0, 1.0)
    offset = (offset + (scale_x_y - 1) / 2) / scale_x_y
    weight = box_weight(y_true) * scale_x_y
    loss = ops.sum(binary_cross_entropy(raw[..., 0:2], offset), -1)
    return weight * loss, weight * ops.sum(entropy(offset), -1)


def wh_loss(raw, y_true, anchors, input_shape):
    """Return [B, H, W, A]: half the squared error of ln(size / anchor)."""
    error = encode_sizes(y_true[..., 2:4], anchors, input_shape) - raw[..., 2:4]
    return box_weight(y_true) * 0.5 * ops.sum(error * error, -1)


def box_weight(y_true):
    """Return [B, H, W, A]: 2 - w h for objects, so that small boxes count up to twice; 0 elsewhere."""
    return y_true[..., 4] * (2 - y_true[..., 2] * y_true[..., 3])


def box_loss(boxes_xyxy, y_true, input_shape, overlap: str):
    """Return [B, H, W, A]: 1 - overlap of the predicted box with the true one, for objects.

    ``boxes_xyxy``: [B, H, W, A, 4] relative to the input. ``overlap``: "iou", "giou", "diou" or "ciou" of
    :mod:`yolo3.ops.boxes`, computed in pixels of the network input. The gradient is the derivative of just that, its
    alpha in CIoU included; Darknet's own deltas for these are not derivatives of anything.
    """
    pixels = ops.tile(size_wh(input_shape), 2)
    truth = geometry.cxcywh_to_xyxy(y_true[..., 0:4])
    return y_true[..., 4] * (1 - _OVERLAPS[overlap](boxes_xyxy * pixels, truth * pixels))


def smooth_labels(classes, label_smoothing: float):
    """Return class targets with 1 - e / 2 in place of 1 and e / 2 in place of 0; sigmoids are independent."""
    return classes * (1 - label_smoothing) + label_smoothing / 2


def class_loss(raw, y_true, options: LossOptions = DARKNET):
    """Return (loss, floor) [B, H, W, A]: that of independent sigmoids, summed over the classes, for objects.

    The floor, the least value that cross-entropy with smoothed labels can take, is 0 for the focal loss.
    """
    targets = smooth_labels(y_true[..., 5:], options.label_smoothing)
    loss = _entropy_or_focal(raw[..., 5:], targets, "class", options)
    floor = entropy(targets) if options.label_smoothing and "class" not in options.focal else ops.zeros_like(targets)
    return y_true[..., 4] * ops.sum(loss, -1), y_true[..., 4] * ops.sum(floor, -1)


def _entropy_or_focal(logits, targets, part: str, options: LossOptions):
    if part in options.focal:
        return focal_loss(logits, targets, options.focal_alpha, options.focal_gamma)
    return binary_cross_entropy(logits, targets)


def best_overlaps(boxes_xyxy, true_boxes_xyxy, num_true):
    """Return [B, S]: the largest IoU of each predicted box [B, S, 4] with a true box [B, T, 4] of its image.

    ``num_true``: int [B], how many leading true boxes of each image count. One loop over the images, within it one
    over blocks of true boxes, so that memory does not grow with their number; shapes are static. No gradient.
    """
    boxes_xyxy, true_boxes_xyxy = ops.stop_gradient(boxes_xyxy), ops.stop_gradient(true_boxes_xyxy)
    images, num_boxes, num_rows = ops.shape(boxes_xyxy)[0], ops.shape(boxes_xyxy)[1], ops.shape(true_boxes_xyxy)[1]
    padding = ops.zeros((images, _BLOCK, 4))  # the last block may reach past the end
    true_boxes_xyxy = ops.concatenate([true_boxes_xyxy, padding], 1)

    def block_overlaps(image, first, best):
        predicted = ops.reshape(ops.slice(boxes_xyxy, (image, 0, 0), (1, num_boxes, 4)), (num_boxes, 1, 4))
        truth = ops.slice(true_boxes_xyxy, (image, first, 0), (1, _BLOCK, 4))
        counts = ops.arange(_BLOCK) + first < num_true[image]
        overlap = ops.where(counts, geometry.iou(predicted, truth), 0.0)
        return ops.maximum(best, ops.max(overlap, -1))

    def image_overlaps(image, best):
        _, row = ops.while_loop(
            lambda first, row: first < num_true[image],
            lambda first, row: (first + _BLOCK, block_overlaps(image, first, row)),
            (ops.zeros((), "int32"), ops.zeros_like(best[0])),
            maximum_iterations=num_rows // _BLOCK + 1,
        )
        here = ops.expand_dims(ops.equal(ops.arange(images, dtype="int32"), image), 1)
        return image + 1, ops.where(here, ops.expand_dims(row, 0), best)

    start = (ops.zeros((), "int32"), ops.zeros_like(boxes_xyxy[..., 0]))
    _, best = ops.while_loop(lambda image, best: image < images, image_overlaps, start, maximum_iterations=images)
    return ops.stop_gradient(best)


def _true_boxes_of(y_true):
    """Return the true boxes of dense targets as xyxy [B, S, 4], real ones first, and how many there are, int32 [B]."""
    flat = ops.concatenate([ops.reshape(y, (ops.shape(y)[0], -1, ops.shape(y)[-1]))[..., :5] for y in y_true], 1)
    order = ops.argsort(-flat[..., 4], 1)
    boxes = ops.take_along_axis(flat[..., :4], ops.expand_dims(order, -1), 1)
    return geometry.cxcywh_to_xyxy(boxes), ops.cast(ops.sum(flat[..., 4] > 0.5, 1), "int32")


def _spread(best, raws):
    """Cut [B, slots of all scales] into one [B, H, W, A] a scale."""
    parts, first = [], 0
    for raw in raws:
        shape = ops.shape(raw)[:4]
        count = shape[1] * shape[2] * shape[3]
        parts.append(ops.reshape(best[:, first : first + count], shape))
        first = first + count
    return parts


def loss_terms(
    outputs, y_true, anchors, num_classes, ignore_thresh=0.5, anchor_mask=None, scale_x_y=1.0, true_boxes=None,
    strides=None, options=DARKNET,
):  # fmt: skip
    """Return the terms of the loss as a dict of float32 scalars: those of ``options.terms``, and floors.

    The sum of the terms is the loss. ``xy_floor`` is the part of ``xy`` that no network can remove: the entropy of its
    soft targets; ``class_floor`` is the same of smoothed labels. ``outputs``: raw tensors [B, H, W, A * (5 + C)],
    stride 32 first. ``y_true``: targets as from
    :func:`yolo3.models.yolov3.targets.preprocess_true_boxes`. ``true_boxes``: (xyxy boxes relative to the input [B, T, 4], their
    number int32 [B]) for the ignore rule; by default those of ``y_true``, where one box of a shared slot is lost.
    ``ignore_thresh``, ``scale_x_y``: one number, or one a scale. ``strides``: of the scales, for networks whose outputs
    are not at 32, 16 and 8 pixels a cell. ``options``: :class:`yolo3.models.yolov3.loss_options.LossOptions`; its ``iou_thresh``
    belongs to the targets.
    """
    mask = check_anchor_mask(anchor_mask, len(anchors))
    if not len(outputs) == len(y_true) == len(mask):
        raise ValueError(
            f"loss: expected outputs and targets of {len(mask)} scales for {len(anchors)} anchors, got {len(outputs)} "
            f"outputs and {len(y_true)} targets"
        )
    anchors = ops.convert_to_tensor(anchors, "float32")
    scale_anchors = [ops.stack([anchors[index] for index in scale]) for scale in mask]
    y_true = [ops.cast(y, "float32") for y in y_true]
    raws = [split_anchors(feats, len(mask[0]), num_classes) for feats in outputs]
    height, width = ops.shape(raws[0])[1], ops.shape(raws[0])[2]
    stride = scale_strides(len(mask), strides)[0]
    input_shape = (height * stride, width * stride)
    factors, thresholds = per_scale(scale_x_y, len(mask)), per_scale(ignore_thresh, len(mask), "ignore_thresh")
    true_xyxy, num_true = _true_boxes_of(y_true) if true_boxes is None else true_boxes
    boxes = [
        geometry.cxcywh_to_xyxy(ops.concatenate(decode_boxes(raw, anchor, input_shape, factor), -1))
        for raw, anchor, factor in zip(raws, scale_anchors, factors, strict=True)
    ]
    flat = ops.concatenate([ops.reshape(box, (ops.shape(box)[0], -1, 4)) for box in boxes], 1)
    overlaps = _spread(best_overlaps(flat, true_xyxy, num_true), raws)
    sums: dict = {}
    for raw, y, anchor, box, overlap, threshold, factor in zip(
        raws, y_true, scale_anchors, boxes, overlaps, thresholds, factors, strict=True
    ):
        terms = _box_terms(raw, y, anchor, box, input_shape, factor, options)
        terms |= _other_terms(raw, y, overlap, threshold, options)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + ops.sum(value)
    images = ops.cast(ops.shape(raws[0])[0], "float32")
    return {name: value / images for name, value in sums.items()}


def _box_terms(raw, y_true, anchors, boxes_xyxy, input_shape, scale_x_y, options: LossOptions):
    """Return the terms of the boxes of one scale as [B, H, W, A]."""
    if options.box_loss != "xywh":
        return {"box": options.box_scale * box_loss(boxes_xyxy, y_true, input_shape, options.box_loss)}
    xy, xy_floor = xy_loss(raw, y_true, scale_x_y)
    wh = wh_loss(raw, y_true, anchors, input_shape)
    return {name: options.box_scale * value for name, value in (("xy", xy), ("wh", wh), ("xy_floor", xy_floor))}


def _other_terms(raw, y_true, overlap, ignore_thresh, options: LossOptions):
    """Return the terms of objectness and classes of one scale as [B, H, W, A]."""
    is_object, objectness = y_true[..., 4], raw[..., 4]
    is_background = (1 - is_object) * ops.cast(overlap <= ignore_thresh, "float32")
    classes, class_floor = class_loss(raw, y_true, options)
    terms = {
        "objectness": is_object * _entropy_or_focal(objectness, 1.0, "objectness", options),
        "no_object": is_background * _entropy_or_focal(objectness, 0.0, "objectness", options),
        "class": classes,
    }
    return terms | ({"class_floor": class_floor} if options.label_smoothing else {})


def yolo_loss(
    args, anchors, num_classes, ignore_thresh=0.5, print_loss=False, anchor_mask=None, scale_x_y=1.0, options=DARKNET
):  # fmt: skip
    """Return the YOLOv3 loss of a batch, one float32 scalar. Name and arguments are keras-yolo3's.

    ``args``: the raw outputs of all scales, stride 32 first, followed by their targets. ``anchors``: [N, 2] (w, h) in
    pixels of the input. ``anchor_mask``: the anchors of each scale, by default those of nine or six anchors.
    ``print_loss``: print the terms at each call. ``options``: :class:`yolo3.models.yolov3.loss_options.LossOptions`. See the module
    for the formula.
    """
    num_scales = len(args) // 2
    terms = loss_terms(
        args[:num_scales], args[num_scales:], anchors, num_classes, ignore_thresh, anchor_mask, scale_x_y,
        options=options,
    )  # fmt: skip
    loss = sum(terms[name] for name in options.terms)
    if print_loss:
        _print({"loss": loss, **{name: terms[name] for name in options.terms}})
    return loss


def _print(values):
    """Print scalars from within a graph, by the means of the backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.print(*[part for name, value in values.items() for part in (name, value)])
    elif keras.backend.backend() == "jax":
        import jax

        jax.debug.print("  ".join(f"{name} {{{name}}}" for name in values), **values)
    else:
        print("  ".join(f"{name} {float(value):.6g}" for name, value in values.items()))
