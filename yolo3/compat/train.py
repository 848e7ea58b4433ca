"""The functions that code written for keras-yolo3 takes from its ``train.py``: the training model and its generator.

They serve old scripts and notebooks, which compile with ``loss={"yolo_loss": lambda y_true, y_pred: y_pred}`` and call
``fit`` on the generator. The command ``yolo3 train`` goes through :mod:`yolo3.training.loop` instead.
"""

import os

import numpy as np

from yolo3.compat.training_model import check_weights_path, pretrained_body, target_inputs, training_model
from yolo3.compat.utils import get_random_data
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.models.architecture import check_input_shape
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.networks import tiny_yolo_body, yolo_body
from yolo3.models.yolov3.scales import make_scales
from yolo3.models.yolov3.targets import preprocess_true_boxes

FULL_BACKBONE = 52  # convolutions of Darknet-53; keras-yolo3 froze its first 185 layers, which end there
TINY_BACKBONE = 5  # convolutions of the tiny body down to stride 16; keras-yolo3 froze its first 20 layers
NUM_SCALES = {yolo_body: 3, tiny_yolo_body: 2}


def get_classes(classes_path):
    """Return the class names of a file, one per line; blank lines are skipped."""
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
    """Return the training model of YOLOv3: inputs are an image and three targets, the output is ``yolo_loss``.

    Args:
        input_shape: (height, width), multiples of 32.
        anchors: Nine anchors [9, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        load_pretrained: Whether to load ``weights_path`` by layer name. What does not fit is left as it is and logged.
        freeze_body: 1 freezes Darknet-53, 2 all but the output layers, 0 nothing; only if weights are loaded.
        weights_path: A file that :func:`yolo3.models.loading.load_weights_by_name` reads.
        anchor_mask: Anchor indices of each scale, by default keras-yolo3's.
        ignore_thresh: IoU above which a prediction without an object is not penalized.

    Returns:
        A :class:`yolo3.compat.training_model.TrainingModel` whose layer ``yolo_loss`` is the loss of a batch.

    Raises:
        FileNotFoundError: If weights are to be loaded and there is no such file.
        ValueError: For sizes, anchors or weights that do not fit.
    """
    return _training_model(
        yolo_body,
        num_backbone_convolutions=FULL_BACKBONE,
        input_shape=input_shape,
        anchors=anchors,
        num_classes=num_classes,
        weights_path=weights_path if load_pretrained else None,
        freeze_body=freeze_body,
        anchor_mask=anchor_mask,
        ignore_thresh=ignore_thresh,
    )


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
    """Return the training model of YOLOv3-tiny: as :func:`create_model`, with six anchors and two targets.

    ``freeze_body`` 1 freezes the five convolutions down to stride 16, as keras-yolo3 did.
    """
    return _training_model(
        tiny_yolo_body,
        num_backbone_convolutions=TINY_BACKBONE,
        input_shape=input_shape,
        anchors=anchors,
        num_classes=num_classes,
        weights_path=weights_path if load_pretrained else None,
        freeze_body=freeze_body,
        anchor_mask=anchor_mask,
        ignore_thresh=ignore_thresh,
    )


def _training_model(
    build_body,
    *,
    num_backbone_convolutions,
    input_shape,
    anchors,
    num_classes,
    weights_path,
    freeze_body,
    anchor_mask,
    ignore_thresh,
):
    """Build the body, load and freeze it if there is a ``weights_path``, and put the loss on top."""
    if weights_path is not None:
        check_weights_path(weights_path)
    scales = make_scales(anchors, anchor_mask)
    num_scales = NUM_SCALES[build_body]
    if len(scales) != num_scales:
        raise ValueError(f"{build_body.__name__}: expected anchors for {num_scales} scales, got them for {len(scales)}")
    input_shape = check_input_shape(input_shape, scales[0].stride)

    body = pretrained_body(
        build_body,
        scales=scales,
        num_classes=num_classes,
        weights_path=weights_path,
        freeze_body=freeze_body,
        num_backbone=num_backbone_convolutions,
    )
    return training_model(
        body.inputs,
        body.outputs,
        target_inputs(scales, input_shape, num_classes),
        scales=scales,
        anchors=anchors,
        num_classes=num_classes,
        ignore_thresh=ignore_thresh,
    )


def data_generator(annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask=None):
    """Yield batches of augmented samples without end, as ``fit`` takes them.

    Lines are reshuffled for each pass over them; a batch may hold the end of one pass and the start of the next.

    Args:
        annotation_lines: Lines ``path x_min,y_min,x_max,y_max,class_id ...``, left unchanged; blank ones are skipped.
        batch_size: Images in a batch.
        input_shape: (height, width) of the network input.
        anchors: [N, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        anchor_mask: Anchor indices of each scale, by default keras-yolo3's.

    Yields:
        ((images, *y_true), zeros): float32 [B, h, w, 3] in 0..1, targets [B, H, W, A, 5 + C], zeros [B].
    """
    lines = [line for line in annotation_lines if parse_line(line) is not None]
    batch = []
    while lines:
        for index in np.random.permutation(len(lines)):
            batch.append(get_random_data(lines[index], input_shape, random=True))
            if len(batch) != batch_size:
                continue

            images, boxes = zip(*batch)
            y_true = batch_targets(boxes, input_shape, anchors, num_classes, anchor_mask=anchor_mask)
            yield (np.stack(images), *y_true), np.zeros(batch_size)
            batch = []


def batch_targets(boxes, input_shape, anchors, num_classes, anchor_mask=None):
    """Return ``preprocess_true_boxes`` of images with different numbers of boxes, a list of float32 [T, 5]."""
    padded = np.zeros((len(boxes), max(map(len, boxes)), 5), np.float32)  # [B, T, 5]
    for rows, target in zip(boxes, padded):
        target[: len(rows)] = rows
    return preprocess_true_boxes(padded, input_shape, anchors, num_classes, anchor_mask=anchor_mask)


def data_generator_wrapper(annotation_lines, batch_size, input_shape, anchors, num_classes, anchor_mask=None):
    """Return :func:`data_generator`, or ``None`` when there are no lines or no batch to fill."""
    if len(annotation_lines) == 0 or batch_size <= 0:
        return None
    return data_generator(
        annotation_lines,
        batch_size=batch_size,
        input_shape=input_shape,
        anchors=anchors,
        num_classes=num_classes,
        anchor_mask=anchor_mask,
    )
