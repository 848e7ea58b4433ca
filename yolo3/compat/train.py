"""What code written for keras-yolo3 took from its ``train.py``: the training model and its generator.

Training here goes through :mod:`yolo3.training.loop`; these functions stand for old scripts and notebooks, which compile
with ``loss={"yolo_loss": lambda y_true, y_pred: y_pred}`` and call ``fit`` on the generator.
"""

import logging
import os

import keras
import numpy as np
from keras.layers import Input, Lambda

from yolo3.compat.utils import get_random_data
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.models.loading import layer_number, load_weights_by_name
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.losses import yolo_loss
from yolo3.models.yolov3.networks import tiny_yolo_body, yolo_body
from yolo3.models.yolov3.scales import check_anchor_mask, check_input_shape, grid_shapes
from yolo3.models.yolov3.targets import preprocess_true_boxes

logger = logging.getLogger(__name__)

FULL_BACKBONE = 52  # convolutions of Darknet-53; keras-yolo3 froze its first 185 layers, which end there
TINY_BACKBONE = 5  # convolutions of the tiny body down to stride 16; keras-yolo3 froze its first 20 layers
NUM_SCALES = {yolo_body: 3, tiny_yolo_body: 2}


def get_classes(classes_path):
    """Return the class names of a file, one a line; blank lines do not count."""
    return read_class_names(os.path.expanduser(classes_path))


def get_anchors(anchors_path):
    """Return the anchors of a file, float [N, 2] (w, h) in pixels of the network input."""
    return read_anchors(os.path.expanduser(anchors_path))


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
    """Return the training model of YOLOv3: inputs image and three targets, output the layer ``yolo_loss``.

    ``input_shape``: (height, width). Pretrained weights are loaded by layer name; what does not fit is left as it is
    and named in the log. Only when they are loaded, ``freeze_body`` 1 freezes Darknet-53 and 2 all but the output
    layers. Raises ``FileNotFoundError`` when there is no file of weights.
    """
    weights_path = _check_weights_path(weights_path) if load_pretrained else None
    settings = (input_shape, anchors, num_classes, weights_path, freeze_body, anchor_mask, ignore_thresh)
    return _create(yolo_body, FULL_BACKBONE, *settings)


def create_tiny_model(
    input_shape,
    anchors,
    num_classes,
    load_pretrained=True,
    freeze_body=2,
    weights_path="model_data/tiny_yolo_weights.h5",
    anchor_mask=None,
    ignore_thresh=0.7,
):
    """Return the training model of YOLOv3-tiny: :func:`create_model` with two targets.

    ``freeze_body`` 1 freezes the five convolutions down to stride 16, as keras-yolo3 did.
    """
    weights_path = _check_weights_path(weights_path) if load_pretrained else None
    settings = (input_shape, anchors, num_classes, weights_path, freeze_body, anchor_mask, ignore_thresh)
    return _create(tiny_yolo_body, TINY_BACKBONE, *settings)


def _create(build, backbone, input_shape, anchors, num_classes, weights_path, freeze_body, anchor_mask, ignore_thresh):
    """Build the body, load and freeze it if there is a ``weights_path``, and put the loss on top."""
    mask = check_anchor_mask(anchor_mask, len(anchors))
    if len(mask) != NUM_SCALES[build]:
        raise ValueError(f"{build.__name__}: expected anchors for {NUM_SCALES[build]} scales, got them for {len(mask)}")
    grids = grid_shapes(check_input_shape(input_shape), len(mask))
    body = build(Input((None, None, 3)), len(mask[0]), num_classes)
    if weights_path is not None:
        load_weights_by_name(body, weights_path)
        _freeze(body, freeze_body, backbone)
    y_true = [Input((*grid, len(mask[0]), num_classes + 5)) for grid in grids]
    arguments = {
        "anchors": np.asarray(anchors, np.float32),
        "num_classes": num_classes,
        "ignore_thresh": ignore_thresh,
        "anchor_mask": mask,
    }
    loss = Lambda(yolo_loss, output_shape=(1,), name="yolo_loss", arguments=arguments)([*body.outputs, *y_true])
    return keras.Model([*body.inputs, *y_true], loss)


# Pretrained weights


def _check_weights_path(weights_path):
    if not os.path.isfile(weights_path):
        raise FileNotFoundError(
            f"{weights_path}: expected pretrained weights, found no such file; convert Darknet's with "
            "convert_darknet.py, or say load_pretrained=False"
        )
    return weights_path


def _freeze(body, freeze_body, backbone_convolutions):
    """Set ``trainable`` of the layers of ``body``: see :func:`create_model`."""
    outputs = {tensor._keras_history.operation.name for tensor in body.outputs}
    for layer in body.layers:
        if freeze_body == 1:
            layer.trainable = not (layer.weights and layer_number(layer.name) < backbone_convolutions)
        elif freeze_body == 2:
            layer.trainable = layer.name in outputs


# Data


def data_generator(annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask=None):
    """Yield without end ``((images, *y_true), zeros)``: a batch of augmented samples, as ``fit`` takes it.

    ``annotation_lines``: lines of text, left unchanged; blank ones do not count. Lines are shuffled anew for each
    pass over them; a batch may hold the end of one pass and the beginning of the next.
    """
    batch = []
    for line in _endless_passes(annotation_lines):
        batch.append(get_random_data(line, input_shape, random=True))
        if len(batch) == batch_size:
            images, boxes = zip(*batch)
            y_true = preprocess_true_boxes(_stack_boxes(boxes), input_shape, anchors, num_classes, anchor_mask)
            yield (np.stack(images), *y_true), np.zeros(batch_size)
            batch = []


def _endless_passes(annotation_lines):
    lines = [line for line in annotation_lines if parse_line(line) is not None]
    while lines:
        yield from (lines[index] for index in np.random.permutation(len(lines)))


def _stack_boxes(boxes):
    """Return [B, T, 5] from arrays [T_i, 5]; rows of zeros fill the shorter ones up."""
    stacked = np.zeros((len(boxes), max(map(len, boxes)), 5), np.float32)
    for rows, target in zip(boxes, stacked):
        target[: len(rows)] = rows
    return stacked


def data_generator_wrapper(annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask=None):
    """Return :func:`data_generator`, or ``None`` when there are no lines or no batch to fill."""
    if len(annotation_lines) == 0 or batch_size <= 0:
        return None
    return data_generator(annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask)
