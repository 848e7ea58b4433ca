"""The functions of keras-yolo3's ``train_bottleneck.py``: features are computed once, the last layers train on them.

So the first stage runs the frozen body over each image once and not in every epoch. As there::

    model, bottleneck_model, last_layer_model = create_model(input_shape, anchors, num_classes, weights_path=path)
    batches = data_generator(lines, batch_size, input_shape, anchors, num_classes, random=False)
    bottlenecks = bottleneck_model.predict(batches, steps=len(lines) // batch_size + 1)
    last_layer_model.compile(optimizer="adam", loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    last_layer_model.fit(bottleneck_generator(lines, batch_size, input_shape, anchors, num_classes, bottlenecks), ...)

The three models share their layers: what ``last_layer_model`` has learned is in ``model``, which is trained next.
"""

from collections.abc import Iterator

import numpy as np
from keras import Input, Model

from yolo3.compat import train
from yolo3.compat.training_model import (
    TrainingModel,
    check_weights_path,
    pretrained_body,
    target_inputs,
    training_model,
)
from yolo3.compat.utils import get_random_data
from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.models.architecture import check_input_shape
from yolo3.models.yolov3.networks import tiny_yolo_body, yolo_body
from yolo3.models.yolov3.scales import make_scales

get_classes, get_anchors = train.get_classes, train.get_anchors


def create_model(
    input_shape,
    anchors,
    num_classes,
    load_pretrained=True,
    freeze_body=2,
    weights_path="model_data/yolo_weights.h5",
    anchor_mask=None,
    ignore_thresh=0.5,
):
    """Return the training model, the model of its features, and the training model of its last layers.

    Six anchors make YOLOv3-tiny, which keras-yolo3's function did not build.

    Args:
        input_shape: (height, width), multiples of 32.
        anchors: Nine or six anchors [N, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        load_pretrained: Whether to load ``weights_path`` by layer name.
        freeze_body: See :func:`yolo3.compat.train.create_model`.
        weights_path: File of weights.
        anchor_mask: Anchor indices of each scale, by default those of :mod:`yolo3.models.yolov3.scales`.
        ignore_thresh: IoU above which a prediction without an object is not penalized.

    Returns:
        (model, bottleneck_model, last_layer_model): inputs are an image and targets, output the loss; the same
        inputs, outputs are the features that the output layers take, [B, H, W, F] of each scale; inputs are these
        features and targets, output the loss.

    Raises:
        FileNotFoundError: If weights are to be loaded and there is no such file.
        ValueError: For sizes, anchors or weights that do not fit.
    """
    if load_pretrained:
        check_weights_path(weights_path)
    scales = make_scales(anchors, anchor_mask)
    input_shape = check_input_shape(input_shape, scales[0].stride)
    is_full = len(scales) == 3
    body = pretrained_body(
        yolo_body if is_full else tiny_yolo_body,
        scales=scales,
        num_classes=num_classes,
        weights_path=weights_path if load_pretrained else None,
        freeze_body=freeze_body,
        num_backbone=train.FULL_BACKBONE if is_full else train.TINY_BACKBONE,
    )

    loss = {"scales": scales, "anchors": anchors, "num_classes": num_classes, "ignore_thresh": ignore_thresh}
    y_true = target_inputs(scales, input_shape, num_classes)
    model = training_model(body.inputs, body.outputs, y_true, **loss)

    output_layers = [tensor._keras_history.operation for tensor in body.outputs]
    features = [layer.input for layer in output_layers]
    bottleneck_model = TrainingModel([*body.inputs, *y_true], features)

    grids = [scale.grid_shape(input_shape) for scale in scales]
    stored = [Input((*grid, tensor.shape[-1])) for grid, tensor in zip(grids, features, strict=True)]
    last = Model(stored, [layer(tensor) for layer, tensor in zip(output_layers, stored, strict=True)])
    last_layer_model = training_model(last.inputs, last.outputs, y_true, **loss)
    return model, bottleneck_model, last_layer_model


def data_generator(
    annotation_lines, batch_size, input_shape, anchors, num_classes, random=True, verbose=False, anchor_mask=None
):
    """Yield batches without end: augmented as by :func:`yolo3.compat.train.data_generator`, or plain and in order.

    Args:
        annotation_lines: Lines ``path x_min,y_min,x_max,y_max,class_id ...``, left unchanged; blank ones are skipped.
        batch_size: Images in a batch.
        input_shape: (height, width) of the network input.
        anchors: [N, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        random: Whether images are augmented and in another order each time; if not, they are letterboxed and come in
            the order of the lines, over and over, as :func:`bottleneck_generator` wants their features.
        verbose: Whether to print which image comes next, at each batch that is not random.
        anchor_mask: Anchor indices of each scale, by default those of :mod:`yolo3.models.yolov3.scales`.

    Yields:
        ((images, *y_true), zeros): see :func:`yolo3.compat.train.data_generator`.
    """
    if random:
        yield from train.data_generator(
            annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask=anchor_mask
        )
        return
    for indices, lines in _in_order(annotation_lines, batch_size):
        if verbose:
            print(f"Progress: {indices[0]}/{len(annotation_lines)}")
        images, boxes = zip(*(get_random_data(line, input_shape, random=False) for line in lines))
        y_true = train.batch_targets(boxes, input_shape, anchors, num_classes, anchor_mask=anchor_mask)
        yield (np.stack(images), *y_true), np.zeros(batch_size)


def data_generator_wrapper(
    annotation_lines, batch_size, input_shape, anchors, num_classes, random=True, verbose=False, anchor_mask=None
):
    """Return :func:`data_generator`, or ``None`` when there are no lines or no batch to fill."""
    if len(annotation_lines) == 0 or batch_size <= 0:
        return None
    return data_generator(
        annotation_lines,
        batch_size=batch_size,
        input_shape=input_shape,
        anchors=anchors,
        num_classes=num_classes,
        random=random,
        verbose=verbose,
        anchor_mask=anchor_mask,
    )


def bottleneck_generator(
    annotation_lines, batch_size, input_shape, anchors, num_classes, bottlenecks, anchor_mask=None
):
    """Yield stored features with the targets of their images without end, for ``last_layer_model``.

    Args:
        annotation_lines: The lines of the features, in the same order.
        batch_size: Images in a batch.
        input_shape: (height, width) of the network input.
        anchors: [N, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        bottlenecks: What ``bottleneck_model.predict`` returned, [N, H, W, F] of each scale; rows beyond the lines are
            not used.
        anchor_mask: Anchor indices of each scale, by default those of :mod:`yolo3.models.yolov3.scales`.

    Yields:
        ((*features, *y_true), zeros).

    Raises:
        ValueError: For fewer features than lines.
    """
    num_lines = sum(parse_line(line) is not None for line in annotation_lines)
    if len(bottlenecks[0]) < num_lines:
        raise ValueError(f"bottleneck_generator: expected features of {num_lines} images, got {len(bottlenecks[0])}")
    for indices, lines in _in_order(annotation_lines, batch_size):
        boxes = [get_random_data(line, input_shape, random=False, proc_img=False)[1] for line in lines]
        y_true = train.batch_targets(boxes, input_shape, anchors, num_classes, anchor_mask=anchor_mask)
        yield (*(array[indices] for array in bottlenecks), *y_true), np.zeros(batch_size)


def _in_order(annotation_lines, batch_size: int) -> Iterator[tuple[list[int], list[str]]]:
    """Yield the indices and lines of batches, over and over; blank lines do not count."""
    lines = [line for line in annotation_lines if parse_line(line) is not None]
    first = 0
    while lines:
        indices = [(first + offset) % len(lines) for offset in range(batch_size)]
        yield indices, [lines[index] for index in indices]
        first = (first + batch_size) % len(lines)
