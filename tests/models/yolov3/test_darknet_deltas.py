"""Darknet's deltas for IoU losses and for new_coords, each against a loop of plain numbers and against derivatives."""

import math

import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.yolov3.darknet_deltas import overlap_deltas
from yolo3.models.yolov3.head import yolo_head
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions
from yolo3.models.yolov3.losses import loss_terms
from yolo3.models.yolov3.scales import make_scales

PAIRS = np.float64(
    [  # (x, y, w, h) of a prediction, then of the ground truth
        [0.50, 0.50, 0.30, 0.20, 0.55, 0.47, 0.25, 0.30],
        [0.20, 0.30, 0.10, 0.40, 0.24, 0.33, 0.30, 0.10],
        [0.50, 0.50, 0.20, 0.20, 0.52, 0.51, 0.60, 0.70],  # within the ground truth
        [0.10, 0.10, 0.10, 0.12, 0.60, 0.70, 0.20, 0.30],  # apart
    ]
)


def corners(box):
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def metric(box, true, kind):
    """Return the overlap, in plain numbers; alpha of CIoU is a constant in derivatives, so it is an argument."""
    (l1, t1, r1, b1), (l2, t2, r2, b2) = corners(box), corners(true)
    inter = (min(r1, r2) - max(l1, l2)) * (min(b1, b2) - max(t1, t2))
    union = box[2] * box[3] + true[2] * true[3] - inter
    if kind == "iou":
        return inter / union
    cover = (max(r1, r2) - min(l1, l2)) * (max(b1, b2) - min(t1, t2))
    return inter / union - (cover - union) / cover


def numeric(box, true, kind, step=1e-6):
    rows = []
    for index in range(4):
        shift = np.eye(4)[index] * step
        rows.append((metric(box + shift, true, kind) - metric(box - shift, true, kind)) / (2 * step))
    return np.array(rows)


def deltas(pairs, kind):
    pairs = np.float32(pairs)
    return np.asarray(overlap_deltas(tf.constant(pairs[:, :4]), tf.constant(pairs[:, 4:]), kind))


@pytest.mark.parametrize("kind", ["iou", "giou"])
def test_the_directions_of_iou_and_giou_are_derivatives_those_of_w_and_h_twice(kind):
    for pair, found in zip(PAIRS[:3], deltas(PAIRS[:3], kind), strict=True):
        expected = numeric(pair[:4], pair[4:], kind) * [1, 1, 2, 2]
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", ["diou", "ciou"])
def test_the_directions_of_diou_and_ciou_add_darknets_terms_of_distance_and_aspect(kind):
    for pair, found in zip(PAIRS, deltas(PAIRS, kind), strict=True):
        (x, y, w, h), true = pair[:4], pair[4:]
        (l1, t1, r1, b1), (l2, t2, r2, b2) = corners(pair[:4]), corners(true)
        cover_w, cover_h = max(r1, r2) - min(l1, l2), max(b1, b2) - min(t1, t2)
        diagonal, distance = cover_w**2 + cover_h**2, (x - true[0]) ** 2 + (y - true[1]) ** 2
        is_apart = min(r1, r2) <= max(l1, l2) or min(b1, b2) <= max(t1, t2)
        expected = np.zeros(4) if is_apart else numeric(pair[:4], true, "iou") * [1, 1, 2, 2]

        # d(cover)/dx is +1 where the right edge is the prediction's, -1 where the left one is added with Darknet's sign
        turn_x, turn_y = float(r1 > r2) - float(l1 < l2), float(b1 > b2) - float(t1 < t2)
        grow_x, grow_y = (float(r1 > r2) + float(l1 < l2)) / 2, (float(b1 > b2) + float(t1 < t2)) / 2
        expected += [
            (2 * (true[0] - x) * diagonal - 2 * cover_w * turn_x * distance) / diagonal**2,
            (2 * (true[1] - y) * diagonal - 2 * cover_h * turn_y * distance) / diagonal**2,
            2 * cover_w * grow_x * distance / diagonal**2,
            2 * cover_h * grow_y * distance / diagonal**2,
        ]
        if kind == "ciou":
            turn = math.atan(true[2] / true[3]) - math.atan(w / h)
            aspect = 4 / math.pi**2 * turn**2
            inter = (min(r1, r2) - max(l1, l2)) * (min(b1, b2) - max(t1, t2))
            iou = inter / (w * h + true[2] * true[3] - inter)  # of boxes apart too: Darknet does not ask
            alpha = aspect / (1 - iou + aspect + 1e-6)
            expected += [0, 0, alpha * 8 / math.pi**2 * turn * h, -alpha * 8 / math.pi**2 * turn * w]
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


ANCHORS = [[20, 30]]
SHAPE = (64, 64)  # two cells of 32 pixels by two


def gradients(raw, y_true, options=DARKNET, **scale):
    """Return the gradient [7] of the loss by the raw values of the cell in row 1, column 0, of one anchor."""
    feats = tf.constant(np.tile(np.float32(raw), (1, 2, 2, 1)))
    scales = make_scales(ANCHORS, [[0]], strides=[32], ignore_thresh=1.0, **scale)
    with tf.GradientTape() as tape:
        tape.watch(feats)
        terms = loss_terms([feats], [y_true], scales, 2, options=options)
        loss = sum(terms[name] for name in options.terms)
    return tape.gradient(loss, feats).numpy()[0, 1, 0]


def one_object(box, class_id=1):
    y_true = np.zeros((1, 2, 2, 1, 7), np.float32)
    y_true[0, 1, 0, 0, :5] = [*box, 1]
    y_true[0, 1, 0, 0, 5 + class_id] = 1
    return y_true


BOX = (0.2, 0.7, 0.25, 0.5)


def test_the_gradient_of_a_ciou_loss_is_minus_darknets_deltas_with_its_factors_and_its_limit():
    raw = np.float64([0.3, -0.2, 0.4, -0.1, 0.5, 0.1, -0.3])
    sigmoid = 1 / (1 + np.exp(-raw))
    pred = [(sigmoid[0] + 0) / 2, (sigmoid[1] + 1) / 2, math.exp(0.4) * 20 / 64, math.exp(-0.1) * 30 / 64]
    ascent = deltas([[*pred, *BOX]], "ciou")[0] * [1, 1, math.exp(0.4), math.exp(-0.1)]
    options = LossOptions(
        box_loss="ciou",
        box_gradient="darknet",
        box_scale=0.7,
        objectness_target="one",
        max_delta=0.6,
        objectness_scale=0.4,
        class_weights=(1.0, 3.0),
        class_scale=0.5,
        label_smoothing=0.1,
    )
    found = gradients(raw, one_object(BOX), options)
    expected = np.clip(0.7 * 3 * ascent, -0.6, 0.6)
    assert (np.abs(0.7 * 3 * ascent) > 0.6).any() and (np.abs(0.7 * 3 * ascent) < 0.6).any()
    np.testing.assert_allclose(-found[:4], expected, rtol=1e-4, atol=1e-5)
    assert -found[4] == pytest.approx(3 * 0.4 * (1 - sigmoid[4]), rel=1e-5)
    assert -found[5] == pytest.approx(0.05 - sigmoid[5], rel=1e-5)
    assert -found[6] == pytest.approx(3 * 0.5 * (0.95 - sigmoid[6]), rel=1e-5)


def test_with_new_coords_outputs_are_probabilities_and_sizes_four_squares():
    raw = np.float32([0.6, 0.3, 0.5, 0.25, 0.9, 0.2, 0.7]).reshape(1, 1, 1, 7)
    xy, wh, objectness, classes = yolo_head(raw, ANCHORS, 2, (32, 32), scale_x_y=2.0, new_coords=True)
    np.testing.assert_allclose(np.ravel(xy), [2 * 0.6 - 0.5, 2 * 0.3 - 0.5], rtol=1e-5)  # one cell
    np.testing.assert_allclose(np.ravel(wh), [4 * 0.25 * 20 / 32, 4 * 0.0625 * 30 / 32], rtol=1e-5)
    np.testing.assert_allclose([np.ravel(objectness)[0], *np.ravel(classes)], [0.9, 0.2, 0.7], rtol=1e-5)


def test_with_new_coords_the_gradient_is_minus_darknets_deltas_of_the_outputs():
    raw = np.float64([0.6, 0.3, 0.5, 0.25, 0.9, 0.2, 0.7])
    found = -gradients(raw, one_object(BOX), new_coords=True, scale_x_y=2.0)
    weight = 2 - 0.25 * 0.5
    expected = [
        weight * (0.2 * 2 - 0 - (2 * 0.6 - 0.5)),  # x of cell 0 of two, of the stretched output
        weight * (0.7 * 2 - 1 - (2 * 0.3 - 0.5)),
        weight * (math.sqrt(0.25 * 64 / (4 * 20)) - 0.5),
        weight * (math.sqrt(0.5 * 64 / (4 * 30)) - 0.25),
        1 - 0.9,
        0 - 0.2,
        1 - 0.7,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_with_new_coords_the_deltas_of_an_overlap_go_to_the_outputs_as_they_are():
    raw = np.float64([0.6, 0.3, 0.5, 0.45, 0.9, 0.2, 0.7])
    pred = [0.6 / 2, (0.3 + 1) / 2, 4 * 0.25 * 20 / 64, 4 * 0.45**2 * 30 / 64]
    options = LossOptions(box_loss="ciou", box_gradient="darknet", box_scale=0.05)
    found = -gradients(raw, one_object(BOX), options, new_coords=True)
    np.testing.assert_allclose(found[:4], 0.05 * deltas([[*pred, *BOX]], "ciou")[0], rtol=1e-4)
