"""The codec: decoding by hand and by a slow loop, and its inverse."""

import math

import numpy as np
import pytest
from keras import ops

from yolo3.models.yolov3 import head

ANCHORS = np.array([[10, 14], [37, 58]], np.float32)
INPUT_SHAPE = (64, 96)
GRID = (2, 3)


def random_feats(images=2, num_classes=3, seed=0):
    return np.random.default_rng(seed).normal(0, 2, (images, *GRID, 2 * (5 + num_classes))).astype(np.float32)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_one_cell_by_hand():
    feats = np.zeros((1, *GRID, 2 * 6), np.float32)
    # Row 1, column 2, second anchor: channels 6 to 11.
    feats[0, 1, 2, 6:] = [0, math.log(3), math.log(2), 0, -math.log(4), math.log(9)]
    xy, wh, objectness, classes = (
        ops.convert_to_numpy(part) for part in head.yolo_head(feats, ANCHORS, 1, INPUT_SHAPE)
    )
    # x = (2 + 1/2) / 3, y = (1 + 3/4) / 2; w = 2 * 37 / 96, h = 58 / 64; sigmoid(-ln 4) = 1/5, sigmoid(ln 9) = 9/10.
    np.testing.assert_allclose(xy[0, 1, 2, 1], [2.5 / 3, 1.75 / 2], rtol=1e-6)
    np.testing.assert_allclose(wh[0, 1, 2, 1], [74 / 96, 58 / 64], rtol=1e-6)
    np.testing.assert_allclose([objectness[0, 1, 2, 1, 0], classes[0, 1, 2, 1, 0]], [0.2, 0.9], rtol=1e-6)


def test_head_equals_the_slow_loop_on_a_grid_that_is_not_square():
    feats = random_feats()
    xy, wh, objectness, classes = (
        ops.convert_to_numpy(part) for part in head.yolo_head(feats, ANCHORS, 3, INPUT_SHAPE)
    )
    assert (xy.shape, wh.shape) == ((2, 2, 3, 2, 2),) * 2
    assert (objectness.shape, classes.shape) == ((2, 2, 3, 2, 1), (2, 2, 3, 2, 3))
    for image, row, column, anchor in np.ndindex(2, *GRID, 2):
        t = feats[image, row, column].reshape(2, 8)[anchor]
        where = (image, row, column, anchor)
        np.testing.assert_allclose(xy[where], [(sigmoid(t[0]) + column) / 3, (sigmoid(t[1]) + row) / 2], rtol=1e-5)
        np.testing.assert_allclose(wh[where], np.exp(t[2:4]) * ANCHORS[anchor] / [96, 64], rtol=1e-5)
        np.testing.assert_allclose([*objectness[where], *classes[where]], [sigmoid(v) for v in t[4:]], rtol=1e-5)


def test_for_the_loss_it_returns_grid_raw_output_and_boxes():
    feats = random_feats()
    grid, raw, xy, wh = (ops.convert_to_numpy(part) for part in head.yolo_head(feats, ANCHORS, 3, INPUT_SHAPE, True))
    assert grid.shape == (2, 3, 1, 2)
    assert grid[1, 2, 0].tolist() == [2, 1]  # (column, row)
    np.testing.assert_array_equal(raw, feats.reshape(2, 2, 3, 2, 8))
    plain = head.yolo_head(feats, ANCHORS, 3, INPUT_SHAPE)
    np.testing.assert_array_equal(xy, ops.convert_to_numpy(plain[0]))
    np.testing.assert_array_equal(wh, ops.convert_to_numpy(plain[1]))


def test_input_shape_may_be_a_tensor():
    feats = random_feats()
    of_tensor = head.yolo_head(feats, ANCHORS, 3, ops.convert_to_tensor(np.array(INPUT_SHAPE, np.int32)))
    for one, other in zip(of_tensor, head.yolo_head(feats, ANCHORS, 3, INPUT_SHAPE), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


@pytest.mark.parametrize("scale_x_y", [1.0, 1.2])
def test_encoding_is_the_inverse_of_decoding(scale_x_y):
    raw = np.random.default_rng(1).uniform(-2, 2, (2, *GRID, 2, 8)).astype(np.float32)
    xy, wh = head.decode_boxes(ops.convert_to_tensor(raw), ANCHORS, INPUT_SHAPE, scale_x_y)
    encoded = head.encode_boxes(xy, wh, ANCHORS, INPUT_SHAPE, scale_x_y)
    np.testing.assert_allclose(ops.convert_to_numpy(encoded), raw[..., :4], atol=1e-4)


def test_decoding_is_the_inverse_of_encoding():
    rng = np.random.default_rng(2)
    cells = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1)[None, :, :, None]  # (column, row)
    xy = ((cells + rng.uniform(0.05, 0.95, (2, *GRID, 2, 2))) / [3, 2]).astype(np.float32)
    wh = rng.uniform(0.01, 1, (2, *GRID, 2, 2)).astype(np.float32)
    raw = head.encode_boxes(ops.convert_to_tensor(xy), ops.convert_to_tensor(wh), ANCHORS, INPUT_SHAPE)
    for decoded, expected in zip(head.decode_boxes(raw, ANCHORS, INPUT_SHAPE), (xy, wh), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(decoded), expected, rtol=1e-4)


def test_a_stretched_sigmoid_reaches_beyond_the_cell():
    raw = np.zeros((1, *GRID, 2, 8), np.float32)
    raw[..., 0:2] = 30  # sigmoid 1: 1.2 - .1 = 1.1 cells
    xy, _ = head.decode_boxes(ops.convert_to_tensor(raw), ANCHORS, INPUT_SHAPE, 1.2)
    np.testing.assert_allclose(ops.convert_to_numpy(xy)[0, 0, 0, 0], [1.1 / 3, 1.1 / 2], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_boxes_of_half_precision_outputs_are_float32(dtype):
    feats = ops.cast(random_feats(), dtype)
    parts = head.yolo_head(feats, ANCHORS, 3, INPUT_SHAPE)
    expected = head.yolo_head(ops.cast(feats, "float32"), ANCHORS, 3, INPUT_SHAPE)
    for part, other in zip(parts, expected, strict=True):
        assert "float32" in str(part.dtype)
        np.testing.assert_array_equal(ops.convert_to_numpy(part), ops.convert_to_numpy(other))


def test_huge_logits_give_finite_boxes():
    feats = np.full((1, *GRID, 2 * 8), 1e4, np.float32)
    for sign in (1, -1):
        for part in head.yolo_head(sign * feats, ANCHORS, 3, INPUT_SHAPE):
            assert np.isfinite(ops.convert_to_numpy(part)).all()


def test_a_centre_on_the_border_of_its_cell_and_a_box_without_size_encode_to_finite_values():
    xy, wh = np.zeros((1, *GRID, 2, 2), np.float32), np.zeros((1, *GRID, 2, 2), np.float32)
    encoded = ops.convert_to_numpy(
        head.encode_boxes(ops.convert_to_tensor(xy), ops.convert_to_tensor(wh), ANCHORS, INPUT_SHAPE)
    )
    assert np.isfinite(encoded).all()
    assert encoded[0, 0, 0, 0, 2:].tolist() == [0, 0]
