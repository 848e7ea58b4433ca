"""Suppression: by hand, against a slow loop on random boxes, in graphs, compiled, under other backends."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from yolo3 import boxes as geometry
from yolo3 import nms
from yolo3.nms import non_max_suppression


def slow_nms(boxes, scores, score_threshold, iou_threshold, max_boxes):
    """Greedy suppression of one image as (score, box index, class id), best first."""
    kept = []
    for class_id in range(scores.shape[1]):
        of_class = []
        for index in np.argsort(-scores[:, class_id], kind="stable"):
            rivals = [geometry.iou(boxes[index], boxes[other]) for other in of_class]
            if scores[index, class_id] > score_threshold and all(
                overlap <= iou_threshold for overlap in rivals
            ):
                of_class.append(index)
        kept += [(scores[index, class_id], index, class_id) for index in of_class]
    return sorted(kept, key=lambda item: -item[0])[:max_boxes]


def random_case(images=3, boxes=200, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 100, (images, boxes, 2)), rng.uniform(10, 60, (images, boxes, 2))
    scores = rng.uniform(0, 1, (images, boxes, classes)) ** 4
    return np.concatenate([corner, corner + size], -1).astype(np.float32), scores.astype(np.float32)


def run(boxes, scores, *args, **options):
    tensors = ops.convert_to_tensor(boxes), ops.convert_to_tensor(scores)
    return [ops.convert_to_numpy(array) for array in non_max_suppression(*tensors, *args, **options)]


def assert_equals_slow_loop(result, boxes, scores, *args):
    for image, (found, found_scores, class_ids, num) in enumerate(zip(*result)):
        expected = slow_nms(boxes[image], scores[image], *args)
        assert num == len(expected)
        np.testing.assert_array_equal(found[:num], boxes[image][[index for _, index, _ in expected]])
        np.testing.assert_array_equal(found_scores[:num], [score for score, _, _ in expected])
        np.testing.assert_array_equal(class_ids[:num], [class_id for _, _, class_id in expected])


def test_the_weaker_of_two_overlapping_boxes_goes_only_within_its_class():
    # boxes 0 and 1: common area 8 x 10 = 80 of 100 + 100 - 80 = 120, IoU 2/3
    boxes = np.array([[[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]]], np.float32)
    scores = np.array([[[0.9, 0.0], [0.8, 0.7], [0.5, 0.0]]], np.float32)
    found, found_scores, class_ids, num = run(boxes, scores, 0.3, 0.5, max_boxes=5)
    assert num.tolist() == [3]
    np.testing.assert_allclose(found_scores[0], [0.9, 0.7, 0.5, 0, 0])
    assert class_ids[0].tolist() == [0, 1, 0, -1, -1]
    np.testing.assert_array_equal(found[0], [boxes[0, 0], boxes[0, 1], boxes[0, 2], [0] * 4, [0] * 4])
    assert class_ids.dtype == np.int32 and num.dtype == np.int32


def test_overlap_equal_to_the_threshold_is_allowed():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 5]]], np.float32)  # IoU exactly 1/2
    scores = np.array([[[0.9], [0.8]]], np.float32)
    assert run(boxes, scores, 0.3, 0.5)[3] == 2
    assert run(boxes, scores, 0.3, 0.49)[3] == 1


def test_what_is_suppressed_does_not_suppress():
    # a chain: each box overlaps the next by 6/10 (IoU 60/140 = .43), so the second goes, the third stays
    boxes = np.array([[[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]], np.float32)
    scores = np.array([[[0.9], [0.8], [0.7]]], np.float32)
    np.testing.assert_allclose(run(boxes, scores, 0.1, 0.4)[1][0, :3], [0.9, 0.7, 0])


def test_a_score_has_to_be_above_the_threshold():
    boxes = np.array([[[0, 0, 10, 10], [20, 0, 30, 10]]], np.float32)
    scores = np.array([[[0.5], [0.25]]], np.float32)
    assert run(boxes, scores, 0.25, 0.5)[3] == 1
    assert run(boxes, np.zeros_like(scores), 0.0, 0.5)[3] == 0


def test_random_boxes_equal_the_slow_loop():
    boxes, scores = random_case()
    before = boxes.copy(), scores.copy()
    result = run(boxes, scores, 0.2, 0.45, max_boxes=60)
    assert_equals_slow_loop(result, boxes, scores, 0.2, 0.45, 60)
    assert result[3].min() == 60  # the limit was reached
    result = run(boxes, scores, 0.6, 0.3, max_boxes=300)
    assert_equals_slow_loop(result, boxes, scores, 0.6, 0.3, 300)
    assert result[3].max() < 300
    np.testing.assert_array_equal(before[0], boxes)
    np.testing.assert_array_equal(before[1], scores)


def test_more_candidates_than_are_looked_at_leave_the_best_right():
    boxes, scores = random_case(images=1, boxes=300, classes=3, seed=1)
    found = run(boxes, scores, 0.0, 0.3, max_boxes=30, candidates=256)  # of 900 pairs
    assert_equals_slow_loop(found, boxes, scores, 0.0, 0.3, 30)


def test_a_graph_of_unknown_shape_and_a_compiled_one_give_the_same():
    tf = pytest.importorskip("tensorflow")
    boxes, scores = random_case(images=2, boxes=150, classes=2)
    signature = [tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None, 2))]

    def select(boxes, scores):
        return non_max_suppression(boxes, scores, 0.2, 0.45, 40)

    for function in (tf.function(select, input_signature=signature), tf.function(select, jit_compile=True)):
        result = [array.numpy() for array in function(tf.constant(boxes), tf.constant(scores))]
        assert_equals_slow_loop(result, boxes, scores, 0.2, 0.45, 40)


def test_no_boxes_and_values_that_are_not_finite_give_nothing():
    assert run(np.zeros((2, 0, 4), np.float32), np.zeros((2, 0, 3), np.float32), 0.1, 0.5)[3].tolist() == [
        0,
        0,
    ]
    boxes, scores = random_case(images=1, boxes=4, classes=1)
    scores[0, :, 0] = [0.9, np.nan, 0.8, np.nan]
    assert run(boxes, scores, 0.1, 1.0)[3].tolist() == [2]


def test_many_blocks_are_decided_in_order():
    # 300 equal boxes: only the best survives, however many blocks lie between
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (1, 300, 1))
    scores = np.linspace(0.2, 0.9, 300, dtype=np.float32).reshape(1, 300, 1)
    assert 300 > 2 * nms._BLOCK
    result = run(boxes, scores, 0.1, 0.5)
    assert result[3].tolist() == [1] and result[1][0, 0] == np.float32(0.9)


OTHER_BACKEND = """
import sys
sys.path.insert(0, {folder!r})
import keras
from test_nms import random_case, run, assert_equals_slow_loop
assert keras.backend.backend() == {backend!r}
boxes, scores = random_case(images=2, boxes=150, classes=2)
assert_equals_slow_loop(run(boxes, scores, 0.2, 0.45, max_boxes=40), boxes, scores, 0.2, 0.45, 40)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder = os.path.dirname(__file__)
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.path.dirname(folder)}
    code = OTHER_BACKEND.format(folder=folder, backend=backend)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
