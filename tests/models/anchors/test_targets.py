"""Labels of anchors by hand and against a slow loop."""

import numpy as np
import pytest

from tests.models.cases import SHAPE, random_rows, to_rows
from yolo3.models.anchors.deltas import decode_deltas
from yolo3.models.anchors.grid import lie_inside
from yolo3.models.anchors.targets import anchor_targets, match_anchors
from yolo3.models.rpn.architecture import Rpn
from yolo3.ops import boxes as geometry

SMALL = Rpn(strides=(16,), scales=(1.0, 2.0), width=8)


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
    index, quality = match_anchors(anchors, boxes)
    np.testing.assert_array_equal(index, [[1, 0]])
    np.testing.assert_allclose(quality, [[2.25, 3]], rtol=1e-6)


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


def test_blocks_of_padding_at_the_end_are_not_compared(monkeypatch):
    compared = []
    pairwise_iou = geometry.pairwise_iou
    monkeypatch.setattr(geometry, "pairwise_iou", lambda *boxes: compared.append(1) or pairwise_iou(*boxes))
    boxes = random_rows(2, 40, seed=5, padded=0)
    padded = np.concatenate([boxes, np.zeros((2, 88, 5), np.float32)], 1)
    expected, got = (anchor_targets(rows, SHAPE, SMALL.all_anchors(SHAPE), 0.5, 0.4) for rows in (boxes, padded))
    assert len(compared) == 4  # two blocks of 32 hold 40 boxes, in each of the two
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("between", [0, 40])  # 40: the second one is in another block
def test_of_two_boxes_at_one_place_the_first_counts(between):
    place = [10, 10, 30, 30]
    boxes = to_rows([place, *[[0, 0, 0, 0]] * between, place], [2, *[0] * between, 1])
    targets = anchor_targets(boxes, SHAPE, np.array([place], np.float32), 0.7, 0.3)
    assert int(targets.class_ids[0, 0]) == 2
