"""Deltas by hand, as a round trip, and at the bounds."""

import math

import numpy as np

from yolo3.models.anchors.deltas import decode_deltas, encode_deltas


def test_deltas_by_hand():
    # Anchor: centre (5, 10), 10 x 20. Box: centre (15, 10), 20 x 10.
    deltas = encode_deltas(np.array([[5.0, 5, 25, 15]], np.float32), np.array([[0.0, 0, 10, 20]], np.float32))
    np.testing.assert_allclose(deltas, [[1, 0, math.log(2), -math.log(2)]], rtol=1e-6)


def test_deltas_make_the_round_trip():
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
