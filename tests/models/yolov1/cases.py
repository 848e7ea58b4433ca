"""Architectures, boxes and outputs that the tests of YOLOv1 share."""

import numpy as np
import tensorflow as tf

from yolo3.models.yolov1.architecture import YoloV1
from yolo3.models.yolov1.codec import encode_boxes
from yolo3.models.yolov1.layouts import join_cells

SHAPE = (128, 192)  # (height, width)
GRID, CLASSES, BOXES = 3, 4, 2
FLAT = YoloV1(num_classes=CLASSES, grid_size=GRID, num_boxes=BOXES, layout="darknet")
TWO = YoloV1(num_classes=2, grid_size=2)
SCALES = {"coord_scale": 5.0, "object_scale": 1.5, "noobject_scale": 0.5, "class_scale": 0.75}

SMALL_CFG = """[net]
height=128
width=128
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=8
stride=8
padding=0
[local]
filters=4
size=3
pad=1
activation=leaky
[dropout]
probability=.5
[connected]
output= 48
activation=linear
[detection]
classes=2
coords=4
side=2
num=2
sqrt=1
rescore=1
object_scale=1
noobject_scale=.5
class_scale=1
coord_scale=5
"""


def random_boxes(images=2, rows=5, seed=0):
    """Return true boxes [B, T, 5] within the image; two rows of the first image share a cell, one is padding."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.02, 0.98, (images, rows, 2))
    size = rng.uniform(0.05, 0.6, (images, rows, 2))
    boxes = np.concatenate([centre, size, rng.integers(0, CLASSES, (images, rows, 1))], -1).astype(np.float32)
    boxes[0, 1, :2] = boxes[0, 0, :2] + [0.001, -0.001]
    boxes[0, 3] = 0
    return boxes


def random_flat(images=2, seed=0):
    """Return random vectors in Darknet's order, [B, 126]: x, y in the cell, roots of sizes, some boxes far away."""
    rng = np.random.default_rng(seed)
    flat = rng.uniform(-0.2, 1.1, (images, GRID**2 * (CLASSES + 5 * BOXES)))
    flat[:, GRID**2 * (CLASSES + BOXES) :] += rng.choice([0, 4], (images, 1)) * 1.0
    return flat.astype(np.float32)


def terms_of(architecture, feats, boxes, shape=SHAPE):
    terms = architecture.loss_terms([tf.constant(feats)], architecture.build_targets(tf.constant(boxes), shape), shape)
    return {name: float(value) for name, value in terms.items()}


def loss_and_gradient(architecture, feats, boxes, shape=SHAPE):
    feats = tf.convert_to_tensor(feats)
    with tf.GradientTape() as tape:
        tape.watch(feats)
        terms = architecture.loss_terms([feats], architecture.build_targets(tf.convert_to_tensor(boxes), shape), shape)
        loss = sum(terms[name] for name in architecture.terms)
    return loss, tape.gradient(loss, feats)


def one_object():
    """Feats [1, 2, 2, 12] of two classes and two boxes, and one object of class 1 in row 0, column 1.

    Object: x = .875, y = .25, w = h = .25; within its cell at (.875 * 2 - 1, .25 * 2) = (.75, .5); roots .5.
    """
    feats = np.zeros((1, 2, 2, 12), np.float32)
    feats[0, 0, 1] = [0.75, 0.5, 0.5, 0.75, 0.5, 0.5, 0.1, 0.25, 0.5, 0.5, 0.5, 0.4]
    feats[0, 1, 0, 2] = 0.1  # a confidence in an empty cell
    return feats, np.array([[[0.875, 0.25, 0.25, 0.25, 1]]], np.float32)


def encoded(architecture, boxes):
    """Return feats that say exactly the targets of ``boxes``, with the box twice in each cell."""
    y_true = np.array(architecture.build_targets(boxes, SHAPE))
    truth = np.repeat(y_true[..., None, :4], architecture.num_boxes, -2)
    raw = encode_boxes(truth[..., :2], truth[..., 2:], architecture.size_form)
    confidence = np.repeat(y_true[..., 4:5], architecture.num_boxes, -1)
    return np.array(join_cells(y_true[..., 5:], confidence, raw))


def slow_targets(boxes):
    """The first box of each cell, by (row, column), of one image [T, 5]."""
    cells = {}
    for x, y, w, h, class_id in boxes.astype(float):
        cell = min(int(y * GRID), GRID - 1), min(int(x * GRID), GRID - 1)
        if w > 0 and h > 0 and cell not in cells:
            cells[cell] = (x * GRID - cell[1], y * GRID - cell[0], w, h, int(class_id))
    return cells


def overlap(a, b):
    """IoU of two boxes (x, y, w, h)."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    common = width * height if width > 0 and height > 0 else 0.0
    return common / (a[2] * a[3] + b[2] * b[3] - common)
