"""Anchors, labels, samples and deltas by hand and against a slow loop; region proposals as an architecture; their recall."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.darknet.blocks import Blocks
from yolo3.models import rpn as module
from yolo3.models.rpn import (
    AnchorTargets,
    Rpn,
    anchor_boxes,
    anchor_targets,
    cell_anchors,
    decode_deltas,
    draw_ranks,
    encode_deltas,
    lie_inside,
    match_anchors,
    measure_recall,
    proposal_recall,
    rpn_from_metadata,
    sample_anchors,
    smooth_l1,
)
from yolo3.ops import boxes as geometry

SHAPE = (64, 96)  # (height, width)
SMALL = Rpn(strides=(16,), scales=(1.0, 2.0), width=8)


class SlimBlocks(Blocks):
    """Darknet-53 with all its layers and names and a thirty-second of its filters."""

    def conv_bn_leaky(self, x, filters, size, strides=1, **options):
        return super().conv_bn_leaky(x, max(filters // 32, 4), size, strides, **options)


class PooledBlocks(Blocks):
    """A backbone that is built in no time: means over 8, 16 and 32 pixels."""

    def darknet53(self, x):
        return [keras.layers.AveragePooling2D(stride)(x) for stride in (8, 16, 32)]


def to_rows(boxes_xyxy, class_ids=None, shape=SHAPE):
    """Return boxes [T, 4] in pixels as rows [1, T, 5] relative to the input."""
    boxes = geometry.xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    ids = np.zeros(len(boxes)) if class_ids is None else class_ids
    rows = np.concatenate([boxes / [shape[1], shape[0], shape[1], shape[0]], np.reshape(ids, (-1, 1))], 1)
    return rows[None].astype(np.float32)


def random_rows(images=2, rows=6, seed=0, padded=2):
    """Return rows [B, T, 5] of boxes within the input, the last ``padded`` of them empty."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(math.log(0.05), math.log(0.8), (images, rows, 2)))
    centre = size / 2 + rng.uniform(0, 1, (images, rows, 2)) * (1 - size)
    boxes = np.concatenate([centre, size, rng.integers(0, 3, (images, rows, 1))], -1).astype(np.float32)
    boxes[:, rows - padded :] = 0
    return boxes


# Anchors


def test_anchors_of_a_size_have_one_area_and_the_ratios_asked_for():
    # 4 / sqrt(1/4) = 8 wide and 4 sqrt(1/4) = 2 high; 4 x 4; 2 x 8.
    np.testing.assert_allclose(cell_anchors([4], [0.25, 1, 4]), [[8, 2], [4, 4], [2, 8]])
    anchors = cell_anchors([32, 64])
    np.testing.assert_allclose(anchors.prod(1), [32**2] * 3 + [64**2] * 3)
    np.testing.assert_allclose(anchors[:, 1] / anchors[:, 0], [0.5, 1, 2] * 2)


def test_anchors_stand_on_the_middle_of_their_cells():
    # Two cells of 16 pixels: centres (8, 8) and (24, 8).
    boxes = anchor_boxes((16, 32), [16], [np.array([[8.0, 4]])])
    np.testing.assert_array_equal(boxes, [[4, 6, 12, 10], [20, 6, 28, 10]])
    assert boxes.dtype == np.float32


def test_anchors_come_by_level_row_column_and_place():
    boxes = anchor_boxes((16, 16), [8, 16], [np.array([[2.0, 2], [4, 4]]), np.array([[6.0, 6]])])
    centres = geometry.xyxy_to_cxcywh(boxes)
    np.testing.assert_array_equal(centres[:, 0], [4, 4, 12, 12, 4, 4, 12, 12, 8])
    np.testing.assert_array_equal(centres[:, 1], [4, 4, 4, 4, 12, 12, 12, 12, 8])
    np.testing.assert_array_equal(centres[:, 2], [2, 4] * 4 + [6])


def test_sides_that_a_stride_does_not_divide_have_one_more_cell():
    boxes = anchor_boxes((20, 16), [16], [np.array([[2.0, 2]])])
    np.testing.assert_array_equal(boxes, [[7, 7, 9, 9], [7, 23, 9, 25]])


def test_anchors_that_touch_the_border_lie_inside_and_those_that_cross_it_do_not():
    anchors = np.array([[0, 0, 96, 64], [-0.01, 0, 9, 9], [0, 0, 96.1, 9], [5, 60, 9, 64.5], [5, -1, 9, 9]], np.float32)
    np.testing.assert_array_equal(lie_inside(anchors, SHAPE), [True, False, False, False, False])


# Deltas


def test_deltas_by_hand():
    # Anchor: centre (5, 10), 10 x 20. Box: centre (15, 10), 20 x 10.
    deltas = encode_deltas(np.array([[5.0, 5, 25, 15]], np.float32), np.array([[0.0, 0, 10, 20]], np.float32))
    np.testing.assert_allclose(deltas, [[1, 0, math.log(2), -math.log(2)]], rtol=1e-6)


def test_deltas_there_and_back():
    rng = np.random.default_rng(0)
    low = rng.uniform(-50, 50, (2, 40, 2))
    boxes, anchors = (
        np.concatenate([low[i], low[i] + rng.uniform(5, 200, (40, 2))], -1).astype(np.float32) for i in (0, 1)
    )
    np.testing.assert_allclose(decode_deltas(encode_deltas(boxes, anchors), anchors), boxes, atol=1e-3)


def test_sizes_are_bounded_and_boxes_without_size_have_finite_deltas():
    anchor = np.array([[0.0, 0, 8, 16]], np.float32)
    # 1000 / 16 = 62.5 anchors about the centre (4, 8): 500 x 1000.
    decoded = decode_deltas(np.array([[0.0, 0, 100, 100]], np.float32), anchor)
    np.testing.assert_allclose(decoded, [[-246, -492, 254, 508]], rtol=1e-5)
    assert np.isfinite(encode_deltas(np.array([[3.0, 3, 3, 3]], np.float32), anchor).numpy()).all()


@pytest.mark.parametrize(
    "error, beta, expected",
    [
        (0.5, 1.0, 0.125),  # .5^2 / 2
        (-2.0, 1.0, 1.5),  # 2 - 1/2
        (0.1, 1 / 9, 0.045),  # .01 * 9 / 2
        (1.0, 1 / 9, 1 - 1 / 18),
        (0.0, 1 / 9, 0.0),
    ],
)
def test_smooth_l1_by_hand(error, beta, expected):
    assert float(smooth_l1(tf.constant(error), beta)) == pytest.approx(expected)


def test_the_slope_of_smooth_l1_is_the_error_over_beta_and_at_most_1():
    error = tf.constant([-3.0, -0.5, -0.1, 0.0, 0.05, 0.25, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(error)
        loss = smooth_l1(error, 0.2)
    np.testing.assert_allclose(tape.gradient(loss, error), [-1, -1, -0.5, 0, 0.25, 1, 1], rtol=1e-5)


# Labels


def slow_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0


def slow_labels(boxes, shape, anchors, positive_iou, negative_iou, usable):
    """Labels [N] and rows of the true boxes [N] (-1: none) of one image, one anchor at a time."""
    x, y, w, h = boxes[:, :4].astype(np.float64).T * np.array([[shape[1]], [shape[0]], [shape[1]], [shape[0]]])
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    overlaps = np.array([[slow_iou(a, b) for b in corners] for a in anchors.astype(np.float64)])
    overlaps[~usable] = 0
    labels, rows = np.zeros(len(anchors)), np.full(len(anchors), -1)
    forced = [
        [row for row in range(len(boxes)) if 0 < overlaps[:, row].max() * (1 - 1e-5) <= overlaps[anchor, row]]
        for anchor in range(len(anchors))
    ]
    for anchor in range(len(anchors)):
        if not usable[anchor]:
            labels[anchor] = -1
            continue
        candidates = forced[anchor] or range(len(boxes))
        rows[anchor] = max(candidates, key=lambda row: overlaps[anchor, row])
        best = overlaps[anchor].max()
        labels[anchor] = 1 if forced[anchor] or best >= positive_iou else 0 if best < negative_iou else -1
    return labels, rows


@pytest.mark.parametrize("rows, thresholds", [(6, (0.7, 0.3)), (40, (0.5, 0.4))])  # 40: more than one block
def test_labels_equal_the_slow_loop(rows, thresholds):
    boxes = random_rows(2, rows, seed=rows)
    anchors = SMALL.all_anchors(SHAPE)
    usable = lie_inside(anchors, SHAPE)
    targets = anchor_targets(boxes, SHAPE, anchors, *thresholds, usable)
    assert {-1.0, 0.0, 1.0} == set(np.unique(targets.labels))
    for image in range(2):
        labels, truth = slow_labels(boxes[image], SHAPE, anchors, *thresholds, usable)
        np.testing.assert_array_equal(targets.labels[image], labels)
        positive = labels == 1
        wanted = to_pixels(boxes[image, truth[positive], :4])
        np.testing.assert_allclose(
            decode_deltas(targets.deltas[image][positive], anchors[positive]), wanted, rtol=1e-4, atol=1e-3
        )
        np.testing.assert_array_equal(targets.class_ids[image][positive], boxes[image, truth[positive], 4])


def to_pixels(rows, shape=SHAPE):
    return geometry.cxcywh_to_xyxy(rows) * np.array([shape[1], shape[0]] * 2, np.float32)


def labels_of(anchors, boxes_xyxy, positive_iou=0.7, negative_iou=0.3, usable=None):
    anchors = np.asarray(anchors, np.float32)
    return anchor_targets(to_rows(boxes_xyxy), SHAPE, anchors, positive_iou, negative_iou, usable).labels[0].numpy()


def test_labels_by_hand():
    # Against a box of 20 x 10 the anchors have IoUs of 1, 16/20 = .8, 10/20 = .5, 5/20 = .25 and 0.
    anchors = [[0, 0, 20, 10], [0, 0, 16, 10], [0, 0, 10, 10], [0, 0, 5, 10], [40, 40, 50, 50]]
    np.testing.assert_array_equal(labels_of(anchors, [[0, 0, 20, 10]]), [1, 1, -1, 0, 0])
    np.testing.assert_array_equal(labels_of(anchors, [[0, 0, 20, 10]], 0.5, 0.25), [1, 1, 1, -1, 0])


def test_the_best_anchor_of_an_object_is_positive_and_so_are_those_that_tie_with_it():
    # IoUs with the box of 4 x 4: 16/64 twice, and 16/100.
    anchors = [[0, 0, 8, 8], [-2, 0, 6, 8], [0, 0, 10, 10], [50, 50, 60, 60]]
    np.testing.assert_array_equal(labels_of(anchors, [[1, 1, 5, 5]]), [1, 1, 0, 0])


def test_an_anchor_belongs_to_the_object_that_has_no_better_one_even_if_it_overlaps_another_more():
    anchors = np.array([[0, 0, 10, 10], [0, 0, 30, 10]], np.float32)
    boxes = np.array([[[0, 0, 30, 10], [0, 0, 5, 5]]], np.float32)
    # First anchor: 100/300 with the large box, 25/100 with the small one, which has no better.
    index, claim = match_anchors(anchors, boxes)
    np.testing.assert_array_equal(index, [[1, 0]])
    np.testing.assert_allclose(claim, [[2.25, 3]], rtol=1e-6)


def test_of_two_objects_with_one_best_anchor_the_one_that_it_overlaps_more_gets_it():
    anchors = np.array([[0, 0, 10, 10], [80, 50, 90, 60]], np.float32)
    boxes = np.array([[[0, 0, 4, 10], [2, 0, 10, 10]]], np.float32)  # IoU .4 and .8
    index, _ = match_anchors(anchors, boxes)
    np.testing.assert_array_equal(index, [[1, 0]])


def test_without_boxes_every_usable_anchor_is_negative():
    anchors = SMALL.all_anchors(SHAPE)
    usable = lie_inside(anchors, SHAPE)
    for boxes in (np.zeros((2, 3, 5), np.float32), np.zeros((2, 0, 5), np.float32)):
        targets = anchor_targets(boxes, SHAPE, anchors, 0.7, 0.3, usable)
        np.testing.assert_array_equal(targets.labels, [np.where(usable, 0, -1)] * 2)
        assert np.isfinite(targets.deltas.numpy()).all()


def test_an_object_of_one_pixel_and_one_on_the_border_have_anchors():
    anchors = SMALL.all_anchors(SHAPE)
    inside = lie_inside(anchors, SHAPE)
    boxes = to_rows([[20, 20, 21, 21], [80, 40, 96, 64]])
    targets = anchor_targets(boxes, SHAPE, anchors, 0.7, 0.3, inside)
    positive = targets.labels.numpy()[0] == 1
    found = decode_deltas(targets.deltas[0][positive], anchors[positive]).numpy()
    for box in ([20, 20, 21, 21], [80, 40, 96, 64]):
        assert np.abs(found - box).max(1).min() < 1e-2
    assert not (positive & ~inside).any()


def test_rows_of_padding_and_the_order_of_the_boxes_change_nothing():
    anchors = SMALL.all_anchors(SHAPE)
    boxes = random_rows(1, 5, seed=4, padded=0)
    among = np.concatenate([boxes[:, [3, 1]], np.zeros((1, 35, 5), np.float32), boxes[:, [4, 0, 2]]], 1)
    expected, got = (anchor_targets(rows, SHAPE, anchors, 0.5, 0.4) for rows in (boxes, among))
    np.testing.assert_array_equal(expected.labels, got.labels)
    positive = expected.labels.numpy() == 1
    np.testing.assert_array_equal(expected.deltas.numpy()[positive], got.deltas.numpy()[positive])
    np.testing.assert_array_equal(expected.class_ids.numpy()[positive], got.class_ids.numpy()[positive])


@pytest.mark.parametrize("between", [0, 40])  # 40: the second one is in another block
def test_of_two_boxes_at_one_place_the_first_counts(between):
    place = [10, 10, 30, 30]
    boxes = to_rows([place, *[[0, 0, 0, 0]] * between, place], [2, *[0] * between, 1])
    targets = anchor_targets(boxes, SHAPE, np.array([place], np.float32), 0.7, 0.3)
    assert int(targets.class_ids[0, 0]) == 2


# Sampling


def sampled(labels, num_samples, ranks=None):
    labels = np.asarray(labels, np.float32)[None]
    ranks = np.arange(labels.shape[1])[None] if ranks is None else np.asarray(ranks)[None]
    return sample_anchors(labels, ranks.astype(np.float32), num_samples).numpy()[0]


def test_at_most_half_of_the_samples_are_positive_and_negative_ones_fill_the_rest():
    labels = [1] * 10 + [0] * 20 + [-1] * 5
    drawn = sampled(labels, 8)
    np.testing.assert_array_equal(np.flatnonzero(drawn == 1), [6, 7, 8, 9])  # the largest ranks
    np.testing.assert_array_equal(np.flatnonzero(drawn == 0), [26, 27, 28, 29])
    drawn = sampled([1] + [0] * 20, 8)
    assert (drawn == 1).sum() == 1 and (drawn == 0).sum() == 7


def test_few_anchors_are_all_drawn_and_those_that_do_not_count_never():
    np.testing.assert_array_equal(sampled([1, 0, -1, 0, 1], 256), [1, 0, -1, 0, 1])
    np.testing.assert_array_equal(sampled([-1, -1, -1], 2), [-1, -1, -1])
    np.testing.assert_array_equal(sampled([1, 1, 1, -1], 4, [1, 2, 0, 3]), [1, 1, -1, -1])


def test_each_image_draws_by_itself():
    labels = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32)
    ranks = np.array([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]], np.float32)
    np.testing.assert_array_equal(sample_anchors(labels, ranks, 2), [[-1, 1, -1, -1, 0], [0, 0, -1, -1, -1]])


def test_the_order_of_drawing_is_a_permutation_that_seed_step_and_boxes_change():
    boxes = random_rows(2, 4, seed=1)
    ranks = draw_ranks(boxes, 500, seed=3, step=7).numpy()
    np.testing.assert_array_equal(np.sort(ranks, 1), [np.arange(500)] * 2)
    same = draw_ranks(boxes[::-1, [2, 0, 3, 1]].copy(), 500, seed=3, step=tf.constant(7)).numpy()
    np.testing.assert_array_equal(ranks, same[::-1])
    moved = boxes.copy()
    moved[:, 0, 0] += 0.01
    for other in (draw_ranks(boxes, 500, 4, 7), draw_ranks(boxes, 500, 3, 8), draw_ranks(moved, 500, 3, 7)):
        assert (other.numpy() == ranks).mean() < 0.02


def test_over_the_steps_every_anchor_is_drawn_about_as_often():
    boxes, labels = random_rows(1, 4), np.zeros((1, 30), np.float32)
    counts = sum(sample_anchors(labels, draw_ranks(boxes, 30, 0, step), 4).numpy()[0] == 0 for step in range(30))
    np.testing.assert_array_equal(counts, np.full(30, 4))  # 30 steps begin at 30 places: exactly as often


# The architecture


def perfect_outputs(architecture, targets: AnchorTargets, shape, strides=(16,), logit=8.0):
    """Return raw outputs that say what the targets do."""
    labels, deltas = targets.labels.numpy(), targets.deltas.numpy()
    outputs, first = [], 0
    per_cell = len(architecture.scales) * len(architecture.ratios)
    for stride in strides:
        grid = [-(-side // stride) for side in shape]
        last = first + grid[0] * grid[1] * per_cell
        outputs.append(np.where(labels[:, first:last] > 0, logit, -logit).reshape(-1, *grid, per_cell))
        outputs.append(deltas[:, first:last].reshape(-1, *grid, per_cell * 4))
        first = last
    return [tf.constant(output.astype(np.float32)) for output in outputs]


def test_the_network_has_a_head_on_its_stride_and_nothing_deeper(monkeypatch):
    monkeypatch.setattr(module, "Blocks", SlimBlocks)
    network = SMALL.build_network()
    outputs = network(np.zeros((1, 64, 96, 3), np.float32))
    assert [tuple(output.shape) for output in outputs] == [(1, 4, 6, 6), (1, 4, 6, 24)]
    names = SMALL.backbone_layers(network)
    assert names == [layer.name for layer in network.layers if layer.name.startswith(("conv_", "bn_"))]
    assert len(names) == 2 * 43  # Darknet-53 without the nine convolutions of its last stage
    assert SMALL.stride == 16


def test_a_head_on_each_of_several_strides(monkeypatch):
    monkeypatch.setattr(module, "Blocks", PooledBlocks)
    architecture = Rpn(strides=(8, 32), scales=(4.0,), width=4)
    network = architecture.build_network((64, 96, 3))
    assert [output.shape[1:] for output in network.outputs] == [(8, 12, 3), (8, 12, 12), (2, 3, 3), (2, 3, 12)]
    boxes = random_rows(2, 4)
    targets = architecture.build_targets(boxes, SHAPE)
    found, scores = architecture.decode(perfect_outputs(architecture, targets, SHAPE, (8, 32)), SHAPE)
    assert found.shape == (2, 8 * 12 * 3 + 2 * 3 * 3, 4) and scores.shape == (2, 8 * 12 * 3 + 2 * 3 * 3, 1)


def test_targets_leave_out_what_crosses_the_border_and_what_is_not_drawn():
    boxes = random_rows(2, 4)
    anchors = SMALL.all_anchors(SHAPE)
    few = Rpn(scales=(1.0, 2.0), num_samples=10)
    labels = few.build_targets(boxes, SHAPE).labels.numpy()
    assert (labels[:, ~lie_inside(anchors, SHAPE)] == -1).all()
    np.testing.assert_array_equal((labels >= 0).sum(1), [10, 10])
    assert (labels != few.build_targets(boxes, SHAPE, step=1).labels.numpy()).any()


def test_the_terms_are_means_over_the_sampled_anchors():
    rng = np.random.default_rng(0)
    boxes = random_rows(2, 4, seed=2)
    targets = SMALL.build_targets(boxes, SHAPE)
    logits = rng.normal(size=(2, 4, 6, 6)).astype(np.float32)
    deltas = rng.normal(size=(2, 4, 6, 24)).astype(np.float32)
    terms = SMALL.loss_terms([tf.constant(logits), tf.constant(deltas)], targets, SHAPE)
    labels, wanted = targets.labels.numpy(), targets.deltas.numpy()
    objectness, box = [], []
    for image in range(2):
        drawn = [n for n in range(4 * 6 * 6) if labels[image, n] >= 0]
        z, t = logits[image].reshape(-1), deltas[image].reshape(-1, 4)
        objectness.append(np.mean([math.log1p(math.exp(-z[n] if labels[image, n] else z[n])) for n in drawn]))
        errors = [abs(t[n] - wanted[image, n]) for n in drawn if labels[image, n] == 1]
        box.append(sum(np.where(e < 1 / 9, 4.5 * e * e, e - 1 / 18).sum() for e in errors) / len(drawn))
    assert float(terms["objectness"]) == pytest.approx(np.mean(objectness), rel=1e-5)
    assert float(terms["box"]) == pytest.approx(np.mean(box), rel=1e-5)
    assert tuple(terms) == SMALL.terms


@pytest.mark.parametrize("value", [0.0, 50.0, -1e4])
def test_gradients_are_finite_with_and_without_boxes(value):
    boxes = np.concatenate([random_rows(1, 3), np.zeros((1, 3, 5), np.float32)])
    outputs = [tf.fill((2, 4, 6, 6), value), tf.fill((2, 4, 6, 24), value)]
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = sum(SMALL.loss_terms(outputs, SMALL.build_targets(boxes, SHAPE), SHAPE).values())
    assert np.isfinite(float(loss))
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, outputs)]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert gradients[1][0].any() and not gradients[1][1].any()  # no box, no slope for deltas


def test_classes_count_for_nothing():
    boxes = random_rows(1, 4)
    other = boxes.copy()
    other[..., 4] = 0
    outputs = [tf.zeros((1, 4, 6, 6)), tf.zeros((1, 4, 6, 24))]
    one, two = (SMALL.loss_terms(outputs, SMALL.build_targets(rows, SHAPE), SHAPE) for rows in (boxes, other))
    assert {name: float(value) for name, value in one.items()} == {name: float(value) for name, value in two.items()}


def test_outputs_that_say_what_the_targets_do_are_decoded_to_the_true_boxes():
    boxes = to_rows([[10, 10, 30, 40], [60, 5, 90, 30]])
    outputs = perfect_outputs(SMALL, SMALL.build_targets(boxes, SHAPE), SHAPE)
    found, scores = SMALL.decode(outputs, SHAPE)
    best = found.numpy()[0][scores.numpy()[0, :, 0] > 0.9]
    for truth in ([10, 10, 30, 40], [60, 5, 90, 30]):
        assert np.abs(best - truth).max(1).min() < 1e-2


def test_proposals_are_clipped_to_the_input():
    outputs = [tf.zeros((1, 4, 6, 6)), tf.fill((1, 4, 6, 24), 2.0)]
    found, _ = SMALL.decode(outputs, SHAPE)
    assert found.numpy().min() == 0 and found.numpy()[..., 2:].max((0, 1)).tolist() == [96, 64]


def test_metadata_makes_the_architecture_again():
    architecture = Rpn(strides=(8, 16), scales=(2.0,), ratios=(1.0,), width=32, seed=5)
    assert rpn_from_metadata(json.loads(json.dumps(architecture.metadata()))) == architecture
    assert (architecture.name, architecture.num_classes, architecture.fixed_size) == ("rpn", 1, False)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"rpn: expected strides of 8, 16 and 32, got \(4,\)"):
        Rpn(strides=(4,))
    with pytest.raises(ValueError, match="negative_iou <= positive_iou"):
        Rpn(positive_iou=0.3, negative_iou=0.7)
    with pytest.raises(ValueError, match="expected an anchor that fits into the input"):
        Rpn(scales=(16.0,)).build_targets(random_rows(), SHAPE)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_network_opens_with_plain_keras(suffix, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "Blocks", PooledBlocks)
    network = SMALL.build_network()
    images = np.random.default_rng(0).uniform(size=(1, 32, 32, 3)).astype(np.float32)
    network.save(tmp_path / f"rpn{suffix}")
    opened = keras.models.load_model(tmp_path / f"rpn{suffix}")
    for before, after in zip(network(images), opened(images), strict=True):
        np.testing.assert_array_equal(before, after)


# Recall


def test_recall_by_hand():
    truths = [np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]]), np.zeros((0, 4)), np.array([[0, 0, 10, 10.0]])]
    found = [np.array([[0, 0, 10, 6.0], [50, 50, 60, 60]]), np.array([[0, 0, 5, 5.0]]), np.zeros((0, 4))]
    assert proposal_recall(truths, found) == pytest.approx(1 / 3)  # an IoU of .6; nothing near; no proposal
    assert proposal_recall(truths, found, iou_threshold=0.7) == 0
    assert math.isnan(proposal_recall([np.zeros((0, 4))], [np.zeros((0, 4))]))


@pytest.mark.parametrize("num_proposals, expected", [(1, 0.5), (50, 1.0)])
def test_recall_is_measured_on_batches_with_the_best_proposals_alone(num_proposals, expected):
    boxes = np.concatenate([to_rows([[10, 10, 30, 40], [60, 5, 90, 30]]), np.zeros((1, 3, 5), np.float32)], 1)
    raw = perfect_outputs(SMALL, SMALL.build_targets(boxes, SHAPE), SHAPE)
    images = np.zeros((1, *SHAPE, 3), np.float32)

    def known(photos, training):
        assert not training
        return raw

    assert measure_recall(SMALL, known, [(images, boxes), (images, boxes)], num_proposals) == expected


# Compiled, elsewhere, and in earnest


def terms_of_everything(architecture, outputs, boxes, shape):
    """Return terms of the loss, labels and decoded boxes: all that runs in a graph."""
    targets = architecture.build_targets(boxes, shape)
    return architecture.loss_terms(outputs, targets, shape), targets.labels, architecture.decode(outputs, shape)


@pytest.mark.slow
def test_compiled_and_eager_agree():
    rng = np.random.default_rng(0)
    boxes = tf.constant(random_rows(2, 40, seed=9))
    outputs = [tf.constant(rng.normal(size=(2, 4, 6, size)).astype(np.float32)) for size in (6, 24)]

    def run(outputs, boxes):
        return terms_of_everything(SMALL, outputs, boxes, SHAPE)

    expected = tf.nest.flatten(run(outputs, boxes))
    for compiled in (False, True):
        got = tf.nest.flatten(tf.function(run, jit_compile=compiled, autograph=False)(outputs, boxes))
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


OTHER_BACKEND = """
import json
import keras
import numpy as np
from tests.models.test_rpn import SHAPE, SMALL, random_rows, terms_of_everything
assert keras.backend.backend() == {backend!r}
rng = np.random.default_rng(0)
outputs = [rng.normal(size=(2, 4, 6, size)).astype("float32") for size in (6, 24)]
run = lambda outputs, boxes: terms_of_everything(SMALL, outputs, boxes, SHAPE)
if {backend!r} == "jax":
    import jax
    run = jax.jit(run)
terms, labels, _ = run([keras.ops.convert_to_tensor(o) for o in outputs], random_rows(2, 40, seed=9))
print(json.dumps([[float(terms[name]) for name in sorted(terms)], np.asarray(labels).tolist()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    rng = np.random.default_rng(0)
    outputs = [tf.constant(rng.normal(size=(2, 4, 6, size)).astype(np.float32)) for size in (6, 24)]
    terms, labels, _ = terms_of_everything(SMALL, outputs, random_rows(2, 40, seed=9), SHAPE)
    root = os.fspath(Path(__file__).parents[2])
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": root}
    code = OTHER_BACKEND.format(backend=backend)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    other_terms, other_labels = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose([float(terms[name]) for name in sorted(terms)], other_terms, rtol=1e-5)
    np.testing.assert_array_equal(labels, other_labels)
