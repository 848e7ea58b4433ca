"""The terms of the YOLOv1 loss, before they are weighted and summed.

For one image, predictions with a hat:

    coord_scale/2    sum over responsible boxes   (x - x^)^2 + (y - y^)^2 + (sqrt w - sqrt w^)^2 + (sqrt h - sqrt h^)^2
    object_scale/2   sum over responsible boxes   (IoU - c^)^2
    noobject_scale/2 sum over all other boxes     c^^2
    class_scale/2    sum over cells with objects  sum over the classes (p - p^)^2

added up, and averaged over the images. This is half of the paper's equation 3 (Redmon et al. 2016), so that its
gradient is minus the deltas of Darknet's src/detection_layer.c. The paper's lambda_coord and lambda_noobj are
``coord_scale`` 5 and ``noobject_scale`` 0.5. All arithmetic is float32 whatever the precision of the network.

Shapes: ``class_probs`` [B, S, S, C], ``confidence`` and ``responsible`` [B, S, S, A], ``raw_boxes`` [B, S, S, A, 4],
``y_true`` [B, S, S, 5 + C].
"""

from keras import ops

from yolo3.models.yolov1.codec import size_errors
from yolo3.ops.cells import encode_offsets

TERMS = ("xy", "wh", "objectness", "no_object", "class")


def xy_loss(raw_boxes, y_true, responsible):
    """Return [B, S, S, A]: half the squared error of the centre's place in its cell, for responsible boxes."""
    offsets = encode_offsets(y_true[..., None, 0:2], ops.shape(y_true)[1:3])
    return responsible * 0.5 * ops.sum(ops.square(offsets - raw_boxes[..., :2]), -1)


def wh_loss(raw_boxes, y_true, responsible, size_form: str):
    """Return [B, S, S, A]: half the squared error of sizes or of their roots, for responsible boxes."""
    errors = size_errors(raw_boxes[..., 2:], y_true[..., None, 2:4], size_form)
    return responsible * 0.5 * ops.sum(ops.square(errors), -1)


def objectness_loss(confidence, target, responsible):
    """Return [B, S, S, A]: half the squared error of responsible boxes' confidence; ``target`` is their IoU, or 1."""
    return responsible * 0.5 * ops.square(target - confidence)


def no_object_loss(confidence, responsible):
    """Return [B, S, S, A]: half the squared confidence of all boxes that are not responsible."""
    return (1 - responsible) * 0.5 * ops.square(confidence)


def class_loss(class_probs, y_true):
    """Return [B, S, S]: half the squared error of the class probabilities, for cells with an object."""
    return y_true[..., 4] * 0.5 * ops.sum(ops.square(y_true[..., 5:] - class_probs), -1)
