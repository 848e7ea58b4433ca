"""Which anchors of an image are drawn for training."""

import numpy as np
import tensorflow as tf

from tests.models.cases import random_rows
from yolo3.models.rpn.sampling import draw_ranks, sample_anchors


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


def test_few_anchors_are_all_drawn_and_ignored_ones_never():
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
