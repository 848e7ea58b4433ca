"""The YOLOv3 loss, one function for each of its terms.

For one image, over all slots (cell and anchor) of all scales, with logits z, targets t and the weight s = 2 - w h of
an object of relative size (w, h):

    sum over objects      s (BCE(z_x, t_x) + BCE(z_y, t_y))  +  s/2 ((z_w - t_w)^2 + (z_h - t_h)^2)
                          + sum over classes BCE(z_c, y_c)  +  BCE(z_o, 1)
    sum over background   BCE(z_o, 0), left out where the predicted box overlaps any ground truth of the image by more
                          than ``ignore_thresh``

and the mean of that over the images. Its gradient is minus the deltas of Darknet's src/yolo_layer.c. All arithmetic is
float32 whatever the precision of the network. :class:`yolo3.models.yolov3.loss_options.LossOptions` replaces parts of
it: IoU losses for boxes, objectness that learns the overlap, the focal loss for objectness and classes, smooth labels.
"""

from collections.abc import Sequence

import keras
from keras import ops

from yolo3.models.yolov3.darknet_deltas import box_deltas, with_deltas
from yolo3.models.yolov3.defaults import IGNORE_THRESH
from yolo3.models.yolov3.head import decode_boxes, encode_sizes, split_anchors
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions
from yolo3.models.yolov3.scales import Scale, make_scales
from yolo3.ops import boxes as geometry
from yolo3.ops.cells import encode_offsets, size_wh
from yolo3.ops.cross_entropy import binary_cross_entropy, entropy
from yolo3.ops.focal import focal_loss

TERMS = DARKNET.terms
_OVERLAPS = {"iou": geometry.iou, "giou": geometry.giou, "diou": geometry.diou, "ciou": geometry.ciou}
_BLOCK = 32  # ground-truth boxes compared at a time: what a block needs stays within a processor's cache


def box_weight(y_true):
    """Return [B, H, W, A]: 2 - w h for objects, so that small boxes weigh up to twice as much; 0 for background."""
    return y_true[..., 4] * (2 - y_true[..., 2] * y_true[..., 3])


def xy_loss(raw, y_true, scale_x_y: float = 1.0):
    """Return the cross-entropy of a centre's offset within its cell.

    Args:
        raw: float32 [B, H, W, A, 5 + C], logits.
        y_true: float32 [B, H, W, A, 5 + C], targets.
        scale_x_y: Stretch of the sigmoid, see :class:`yolo3.models.yolov3.scales.Scale`.

    Returns:
        (loss, floor), [B, H, W, A] each. The floor is the least value that the loss can take: the offsets are soft
        targets, whose entropy no network can remove.
    """
    offset = ops.clip(encode_offsets(y_true[..., 0:2], ops.shape(raw)[1:3]), 0.0, 1.0)
    offset = (offset + (scale_x_y - 1) / 2) / scale_x_y
    weight = box_weight(y_true) * scale_x_y
    loss = ops.sum(binary_cross_entropy(raw[..., 0:2], offset), -1)
    return weight * loss, weight * ops.sum(entropy(offset), -1)


def wh_loss(raw, y_true, anchors, input_shape):
    """Return half the squared error of ln(size / anchor), [B, H, W, A].

    ``raw``, ``y_true``: [B, H, W, A, 5 + C]. ``anchors``: [A, 2] (w, h) and ``input_shape``: (height, width), both in
    pixels of the network input.
    """
    error = encode_sizes(y_true[..., 2:4], anchors, input_shape) - raw[..., 2:4]
    return box_weight(y_true) * 0.5 * ops.sum(error * error, -1)


def box_loss(boxes_xyxy, y_true, input_shape, overlap: str):
    """Return 1 - overlap of the predicted and the ground-truth box for objects, [B, H, W, A].

    The gradient is the derivative of just that, the alpha of CIoU included; Darknet's own deltas for these losses are
    not the derivative of any function.

    Args:
        boxes_xyxy: float32 [B, H, W, A, 4], predictions relative to the network input.
        y_true: float32 [B, H, W, A, 5 + C], targets.
        input_shape: (height, width) of the network input; the overlap is computed in its pixels.
        overlap: "iou", "giou", "diou" or "ciou" of :mod:`yolo3.ops.boxes`.
    """
    pixels = ops.tile(size_wh(input_shape), 2)
    true_xyxy = geometry.cxcywh_to_xyxy(y_true[..., 0:4])
    return y_true[..., 4] * (1 - _OVERLAPS[overlap](boxes_xyxy * pixels, true_xyxy * pixels))


def own_overlaps(boxes_xyxy, y_true, input_shape):
    """Return the IoU of each predicted box with the object of its own slot, [B, H, W, A]; no gradient flows.

    ``boxes_xyxy``: float32 [B, H, W, A, 4], predictions relative to the network input. ``y_true``:
    [B, H, W, A, 5 + C]. ``input_shape``: (height, width) of the network input.
    """
    pixels = ops.tile(size_wh(input_shape), 2)
    true_xyxy = geometry.cxcywh_to_xyxy(y_true[..., 0:4])
    return ops.stop_gradient(ops.clip(geometry.iou(boxes_xyxy * pixels, true_xyxy * pixels), 0.0, 1.0))


def objectness_loss(logits, target, options: LossOptions = DARKNET):
    """Return the cross-entropy of objectness logits with targets of 0..1, or the focal loss with targets of 1 or 0."""
    if "objectness" in options.focal:
        return focal_loss(logits, target, alpha=options.focal_alpha, gamma=options.focal_gamma)
    return binary_cross_entropy(logits, target)


def object_weight(y_true, options: LossOptions):
    """Return the weight of each slot by the class of its object, [B, H, W, A]: the largest one of several."""
    if not options.class_weights:
        return ops.ones_like(y_true[..., 4])
    return ops.maximum(ops.max(y_true[..., 5:] * ops.convert_to_tensor(options.class_weights, "float32"), -1), 1e-6)


def squared_box_loss(raw, y_true, scale: Scale, input_shape) -> dict:
    """Return the terms "xy" and "wh" [B, H, W, A] of boxes that are coded with ``new_coords``.

    With outputs p and the stretch s, half the squared errors of s p - (s - 1) / 2 (over s, as Darknet leaves out the
    derivative of the stretch) and of sqrt(size / (4 anchor)). Source: src/yolo_layer.c:delta_yolo_box.
    """
    stretch = scale.scale_x_y
    offset = ops.clip(encode_offsets(y_true[..., 0:2], ops.shape(raw)[1:3]), 0.0, 1.0)
    xy_error = offset - (raw[..., 0:2] * stretch - (stretch - 1) / 2)
    wh_error = ops.exp(0.5 * encode_sizes(y_true[..., 2:4], scale.anchors, input_shape)) / 2 - raw[..., 2:4]
    weight = box_weight(y_true) * 0.5
    return {
        "xy": weight * ops.sum(xy_error * xy_error, -1) / stretch,
        "wh": weight * ops.sum(wh_error * wh_error, -1),
        "xy_floor": ops.zeros_like(weight),
    }


def class_loss(raw, y_true, options: LossOptions = DARKNET, new_coords: bool = False):
    """Return the loss of independent sigmoids, summed over the classes, for objects.

    Label smoothing by e makes targets of 1 into 1 - e / 2 and targets of 0 into e / 2.

    Args:
        raw: float32 [B, H, W, A, 5 + C], logits.
        y_true: float32 [B, H, W, A, 5 + C], targets.
        options: Cross-entropy or focal loss, smoothing, and weights of the classes.
        new_coords: Whether the outputs are probabilities; the loss is half their squared error.

    Returns:
        (loss, floor), [B, H, W, A] each. The floor is the least value that cross-entropy with smoothed labels can
        take; 0 for the focal loss.
    """
    is_object, logits = y_true[..., 4], raw[..., 5:]
    targets = y_true[..., 5:] * (1 - options.label_smoothing) + options.label_smoothing / 2  # [B, H, W, A, C]
    if new_coords:
        loss = 0.5 * (targets - logits) ** 2
    elif "class" in options.focal:
        loss = focal_loss(logits, targets, alpha=options.focal_alpha, gamma=options.focal_gamma)
    else:
        loss = binary_cross_entropy(logits, targets)

    has_floor = options.label_smoothing and "class" not in options.focal and not new_coords
    floor = entropy(targets) if has_floor else ops.zeros_like(targets)
    if options.class_weights:
        weights = options.class_scale * ops.convert_to_tensor(options.class_weights, "float32")
        weights = ops.where(y_true[..., 5:] > 0, weights, 1.0)
        loss, floor = weights * loss, weights * floor
    return is_object * ops.sum(loss, -1), is_object * ops.sum(floor, -1)


def best_overlaps(boxes_xyxy, true_boxes_xyxy, num_true):
    """Return the largest IoU of each predicted box with a ground-truth box of its image; no gradient flows.

    One loop over the images, within it one over blocks of ground-truth boxes: memory does not grow with their number,
    and shapes are static.

    Args:
        boxes_xyxy: float32 [B, S, 4], predictions.
        true_boxes_xyxy: float32 [B, T, 4], ground truth in the same unit.
        num_true: int [B], how many leading rows of each image are ground truth; the others are padding.

    Returns:
        float32 [B, S].
    """
    boxes_xyxy, true_boxes_xyxy = ops.stop_gradient(boxes_xyxy), ops.stop_gradient(true_boxes_xyxy)
    images, num_boxes, num_rows = ops.shape(boxes_xyxy)[0], ops.shape(boxes_xyxy)[1], ops.shape(true_boxes_xyxy)[1]
    # The last block may reach past the end.
    true_boxes_xyxy = ops.concatenate([true_boxes_xyxy, ops.zeros((images, _BLOCK, 4))], 1)

    def block_overlaps(image, first, best):
        zero = ops.zeros_like(first)
        # Keras' PyTorch backend on a GPU takes no tuple of tensors and numbers as the start of a slice.
        predicted = ops.slice(boxes_xyxy, ops.stack([image, zero, zero]), (1, num_boxes, 4))  # [1, S, 4]
        predicted = ops.reshape(predicted, (num_boxes, 1, 4))
        true = ops.slice(true_boxes_xyxy, ops.stack([image, first, zero]), (1, _BLOCK, 4))
        counts = ops.arange(_BLOCK) + first < num_true[image]
        overlap = ops.where(counts, geometry.iou(predicted, true), 0.0)
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


def _boxes_of_targets(y_true):
    """Return the boxes of dense targets as xyxy [B, S, 4], objects first, and the number of objects, int32 [B]."""
    flat = ops.concatenate([ops.reshape(y, (ops.shape(y)[0], -1, ops.shape(y)[-1]))[..., :5] for y in y_true], 1)
    order = ops.argsort(-flat[..., 4], 1)
    boxes = ops.take_along_axis(flat[..., :4], ops.expand_dims(order, -1), 1)
    return geometry.cxcywh_to_xyxy(boxes), ops.cast(ops.sum(flat[..., 4] > 0.5, 1), "int32")


def loss_terms(
    outputs, y_true, scales: Sequence[Scale], num_classes: int, true_boxes=None, options: LossOptions = DARKNET
) -> dict:
    """Return the terms of the loss, whose sum is the loss.

    Args:
        outputs: Raw network outputs, one [B, H, W, A * (5 + C)] per scale.
        y_true: Targets as from :func:`yolo3.models.yolov3.targets.preprocess_true_boxes`, one [B, H, W, A, 5 + C] per
            scale.
        scales: Outputs of the network.
        num_classes: C.
        true_boxes: Ground truth for the ignore rule: (float32 [B, T, 4] xyxy relative to the input, their number int32
            [B]). By default the boxes of ``y_true``, where one of several boxes in a slot is lost.
        options: How the loss departs from Darknet's. Its ``iou_thresh`` belongs to the targets.

    Returns:
        A dict of float32 scalars, means over the images: the names of ``options.terms``, and the part of a term that no
        network can remove: ``xy_floor``, ``objectness_floor`` of targets that are overlaps, ``class_floor`` of smoothed
        labels.

    Raises:
        ValueError: Unless there are outputs and targets for every scale.
    """
    if not len(outputs) == len(y_true) == len(scales):
        raise ValueError(
            f"loss: expected outputs and targets of {len(scales)} scales, got {len(outputs)} outputs and "
            f"{len(y_true)} targets"
        )
    y_true = [ops.cast(y, "float32") for y in y_true]
    raws = [split_anchors(feats, len(scale.anchors), num_classes) for feats, scale in zip(outputs, scales, strict=True)]
    height, width = ops.shape(raws[0])[1], ops.shape(raws[0])[2]
    input_shape = (height * scales[0].stride, width * scales[0].stride)
    boxes = [
        geometry.cxcywh_to_xyxy(
            ops.concatenate(
                decode_boxes(raw, scale.anchors, input_shape, scale.scale_x_y, new_coords=scale.new_coords), -1
            )
        )
        for raw, scale in zip(raws, scales, strict=True)
    ]  # [B, H, W, A, 4] each

    # The ignore rule looks at all predictions and all ground truth of an image, across the scales.
    true_xyxy, num_true = _boxes_of_targets(y_true) if true_boxes is None else true_boxes
    flat = ops.concatenate([ops.reshape(box, (ops.shape(box)[0], -1, 4)) for box in boxes], 1)  # [B, S, 4]
    overlaps = best_overlaps(flat, true_xyxy, num_true)  # [B, S]

    sums: dict = {}
    first = 0
    for raw, y, box, scale in zip(raws, y_true, boxes, scales, strict=True):
        shape = ops.shape(raw)[:4]  # B, H, W, A
        count = shape[1] * shape[2] * shape[3]
        overlap = ops.reshape(overlaps[:, first : first + count], shape)
        first = first + count
        terms = _scale_terms(raw, y, box, overlap, scale=scale, input_shape=input_shape, options=options)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + ops.sum(value)
    images = ops.cast(ops.shape(raws[0])[0], "float32")
    return {name: value / images for name, value in sums.items()}


def _scale_terms(raw, y_true, boxes_xyxy, overlap, *, scale: Scale, input_shape, options: LossOptions) -> dict:
    """Return the terms of one scale as [B, H, W, A]; ``overlap``: of each prediction with its best ground truth."""
    weight = object_weight(y_true, options)
    if options.box_loss != "xywh":
        terms = {"box": box_loss(boxes_xyxy, y_true, input_shape, options.box_loss)}
    elif scale.new_coords:
        terms = squared_box_loss(raw, y_true, scale, input_shape)
    else:
        xy, xy_floor = xy_loss(raw, y_true, scale.scale_x_y)
        terms = {"xy": xy, "wh": wh_loss(raw, y_true, scale.anchors, input_shape), "xy_floor": xy_floor}
    terms = {name: options.box_weight * weight * value for name, value in terms.items()}
    if options.box_loss != "xywh" and options.box_gradient == "darknet":
        deltas = box_deltas(
            raw,
            geometry.xyxy_to_cxcywh(boxes_xyxy),
            y_true,
            overlap=options.box_loss,
            scale=options.box_weight * weight,
            max_delta=options.max_delta,
            new_coords=scale.new_coords,
        )
        terms["box"] = with_deltas(terms["box"], deltas, raw)

    is_object, objectness = y_true[..., 4], raw[..., 4]
    is_background = (1 - is_object) * ops.cast(overlap <= scale.ignore_thresh, "float32")
    target = own_overlaps(boxes_xyxy, y_true, input_shape) if options.learns_overlap else ops.ones_like(is_object)
    if scale.new_coords:
        found, absent = 0.5 * (target - objectness) ** 2, 0.5 * objectness**2
    else:
        found, absent = objectness_loss(objectness, target, options), objectness_loss(objectness, 0.0, options)
        if options.learns_overlap:
            terms["objectness_floor"] = options.objectness_scale * weight * is_object * entropy(target)
    terms["objectness"] = options.objectness_scale * weight * is_object * found
    terms["no_object"] = options.objectness_scale * is_background * absent
    terms["class"], class_floor = class_loss(raw, y_true, options, new_coords=scale.new_coords)
    return terms | ({"class_floor": class_floor} if options.label_smoothing else {})


def yolo_loss(
    args,
    anchors,
    num_classes,
    ignore_thresh=IGNORE_THRESH,
    print_loss=False,
    anchor_mask=None,
    scale_x_y=1.0,
    options=DARKNET,
):
    """Return the YOLOv3 loss of a batch, one float32 scalar. Name and arguments are keras-yolo3's.

    Args:
        args: The raw outputs [B, H, W, A * (5 + C)] of all scales, stride 32 first, followed by their targets
            [B, H, W, A, 5 + C].
        anchors: float [N, 2] (w, h) in pixels of the network input.
        num_classes: C.
        ignore_thresh: IoU with any ground truth above which a prediction is not trained as background.
        print_loss: Whether to print the terms at each call.
        anchor_mask: Indices of the anchors of each scale; by default those of nine or six anchors.
        scale_x_y: Stretch of the sigmoid of centres, one number or one per scale.
        options: :class:`yolo3.models.yolov3.loss_options.LossOptions`.
    """
    num_scales = len(args) // 2
    scales = make_scales(anchors, anchor_mask, scale_x_y=scale_x_y, ignore_thresh=ignore_thresh)
    terms = loss_terms(args[:num_scales], args[num_scales:], scales, num_classes, options=options)

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
