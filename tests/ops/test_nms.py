"""Suppression: by hand, against a slow loop on random boxes, in graphs, compiled, exported, under other backends."""

import argparse
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from yolo3.cli.options import add_detector_options, detector_options
from yolo3.ops import nms
from yolo3.ops.nms import non_max_suppression
from yolo3.ops.nms_methods import METHODS, OVERLAPS

EVERY_WAY = [{"method": method, "overlap": overlap} for method in METHODS for overlap in OVERLAPS]
EVERY_WAY.append({"method": "soft", "sigma": None})


def slow_overlap(weaker, stronger, method, overlap):
    """Overlap of two corner boxes in plain Python, as Zheng et al. 2020 and the module's text define it."""
    width = min(weaker[2], stronger[2]) - max(weaker[0], stronger[0])
    height = min(weaker[3], stronger[3]) - max(weaker[1], stronger[1])
    common = max(width, 0) * max(height, 0)
    area, other = ((box[2] - box[0]) * (box[3] - box[1]) for box in (weaker, stronger))
    whole = area if overlap == "ios" else area + other - common
    result = common / whole if whole > 0 else 0.0
    if method == "diou":
        hull = [max(weaker[i + 2], stronger[i + 2]) - min(weaker[i], stronger[i]) for i in (0, 1)]
        step = [(weaker[i] + weaker[i + 2] - stronger[i] - stronger[i + 2]) / 2 for i in (0, 1)]
        diagonal = hull[0] ** 2 + hull[1] ** 2
        result -= (step[0] ** 2 + step[1] ** 2) / diagonal if diagonal > 0 else 0.0
    return result


def slow_decay(overlap, iou_threshold, sigma):
    if sigma is None:
        return 1 - overlap if overlap > iou_threshold else 1.0
    return math.exp(-(overlap**2) / sigma)


def slow_nms(
    boxes, scores, score_threshold, iou_threshold, max_boxes, candidates=None, method="greedy", overlap="iou", sigma=0.5
):
    """Suppression of one image as (score, box index, class id), best first.

    Of equal scores the one comes first whose box has the best score in any class, then the first box.
    """
    rows = boxes.tolist()
    left = [
        (float(scores[index, class_id]), index, class_id)
        for index, class_id in zip(*np.nonzero(scores > score_threshold))
    ]
    left = sorted(left, key=lambda item: (-item[0], -scores[item[1]].max(), item[1:]))[:candidates]
    kept = []
    while left and len(kept) < max_boxes:
        best = max(left, key=lambda item: item[0])
        kept.append(best)
        left.remove(best)
        for place, (score, index, class_id) in enumerate(left):
            if class_id == best[2]:
                common = slow_overlap(rows[index], rows[best[1]], method, overlap)
                factor = slow_decay(common, iou_threshold, sigma) if method == "soft" else common <= iou_threshold
                left[place] = (score * factor, index, class_id)
        left = [item for item in left if item[0] > score_threshold]
    return kept


def random_case(images=3, boxes=200, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 100, (images, boxes, 2)), rng.uniform(10, 60, (images, boxes, 2))
    scores = rng.uniform(0, 1, (images, boxes, classes)) ** 4
    return np.concatenate([corner, corner + size], -1).astype(np.float32), scores.astype(np.float32)


def hard_case():
    """Three images: equal scores, equal boxes and boxes without area; random boxes; nothing above .2."""
    boxes, scores = random_case(boxes=60, classes=3, seed=2)
    scores[0] = np.round(scores[0] * 16) / 16
    boxes[0, 20:40], scores[0, 20:40] = boxes[0, :20], scores[0, :20]
    boxes[0, 40:50, 2] = boxes[0, 40:50, 0]
    boxes[0, 50:55] = boxes[0, 40]
    boxes[0, 55:60, 2:] = boxes[0, 55:60, :2]
    scores[2] *= 0.2
    return boxes, scores


def run(boxes, scores, *args, **options):
    tensors = ops.convert_to_tensor(boxes), ops.convert_to_tensor(scores)
    return [ops.convert_to_numpy(array) for array in non_max_suppression(*tensors, *args, **options)]


def assert_equals_slow_loop(result, boxes, scores, *args, **options):
    tolerance = 1e-5 if options.get("method") == "soft" else 0  # decayed scores are products of roundings
    for image, (found, found_scores, class_ids, num) in enumerate(zip(*result)):
        expected = slow_nms(boxes[image], scores[image], *args, **options)
        assert num == len(expected)
        np.testing.assert_array_equal(found[:num], boxes[image][[index for _, index, _ in expected]])
        np.testing.assert_allclose(found_scores[:num], [score for score, _, _ in expected], rtol=tolerance)
        np.testing.assert_array_equal(class_ids[:num], [class_id for _, _, class_id in expected])


def test_the_weaker_of_two_overlapping_boxes_is_dropped_only_within_its_class():
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


def test_a_suppressed_box_does_not_suppress_others():
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


def test_with_more_candidates_than_are_examined_the_best_are_still_right():
    boxes, scores = random_case(images=1, boxes=300, classes=3, seed=1)
    found = run(boxes, scores, 0.0, 0.3, max_boxes=30, candidates=256)  # of 900 pairs
    assert_equals_slow_loop(found, boxes, scores, 0.0, 0.3, 30)


@pytest.mark.slow
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


# Other methods and overlaps


def stacked_boxes():
    """Two groups: a tall box over a square and a flat one, and a large box around a narrow one; one class."""
    left = [(100, 200, 350, 300), (100, 200, 400, 500), (100, 200, 300, 800)]
    right = [(1000, 100, 1150, 600), (1000, 100, 1200, 700)]
    return np.array([left + right], np.float32), np.array([[[0.6], [0.7], [0.9], [0.7], [0.8]]], np.float32)


def kept_indices(result, boxes):
    found, num = result[0][0], result[3][0]
    return sorted(boxes[0].tolist().index(box) for box in found[:num].tolist())


def test_suppression_ends_once_every_image_has_all_that_is_asked_for(monkeypatch):
    decided = []
    keep_within = nms._keep_within
    monkeypatch.setattr(nms, "_keep_within", lambda *arrays: decided.append(1) or keep_within(*arrays))
    corners = np.arange(1024, dtype=np.float32)[:, None] * 10
    boxes = np.concatenate([corners, corners, corners + 8, corners + 8], 1)[None]  # none overlaps another
    scores = np.linspace(0.9, 0.1, 1024, dtype=np.float32)[None, :, None]
    for max_boxes, blocks in ((300, 3), (1000, 8)):  # of 128 candidates
        decided.clear()
        found, _, _, num = non_max_suppression(boxes, scores, 0.05, 0.5, max_boxes=max_boxes)
        assert int(num[0]) == max_boxes and len(decided) == blocks
        np.testing.assert_array_equal(found[0], boxes[0, :max_boxes])

    decided.clear()  # with an image that has less, all are looked at
    one_place = np.tile(np.array([0, 0, 8, 8], np.float32), (1, 1024, 1))
    two = np.concatenate([boxes, one_place]), np.concatenate([scores, scores])
    _, _, _, num = non_max_suppression(*two, 0.05, 0.5, max_boxes=300)
    assert num.numpy().tolist() == [300, 1] and len(decided) == 8


def test_ios_takes_the_area_of_the_weaker_box():
    # the third box, 200 x 600, has the best score. With the first, 250 x 100, it shares 200 x 100:
    # IoU 20 / (120 + 25 - 20) = .16, of the first box's area 20 / 25 = .8, of its own 20 / 120 = .17.
    # With the second, 300 x 300: IoU 60 / (120 + 90 - 60) = .4, 60 / 90 = .67.
    # The fourth, 150 x 500, lies inside the fifth, 200 x 600: IoU 75 / 120 = .625, and 1.
    boxes, scores = stacked_boxes()
    assert kept_indices(run(boxes, scores, 0.1, 0.3, overlap="ios"), boxes) == [2, 4]
    assert kept_indices(run(boxes, scores, 0.1, 0.3, overlap="iou"), boxes) == [0, 2, 4]


def test_a_box_inside_another_is_dropped_by_ios_only_if_it_is_the_weaker_one():
    # 10 x 10 inside 20 x 20: IoU 1/4; all of the small one is covered, a quarter of the large one
    boxes = np.array([[[0, 0, 20, 20], [5, 5, 15, 15]]], np.float32)
    small_is_weaker = np.array([[[0.9], [0.8]]], np.float32)
    assert kept_indices(run(boxes, small_is_weaker, 0.1, 0.3, overlap="ios"), boxes) == [0]
    assert kept_indices(run(boxes, small_is_weaker[:, ::-1], 0.1, 0.3, overlap="ios"), boxes) == [0, 1]


def test_diou_keeps_boxes_with_another_centre():
    # 10 x 10 boxes, one moved by 4: IoU 60 / 140 = .429; d^2 = 16, c^2 = 14^2 + 10^2 = 296: .429 - .054 = .375
    boxes = np.array([[[0, 0, 10, 10], [4, 0, 14, 10]]], np.float32)
    scores = np.array([[[0.9], [0.8]]], np.float32)
    for threshold, by_iou, by_diou in ((0.37, 1, 1), (0.4, 1, 2), (0.43, 2, 2)):
        assert run(boxes, scores, 0.1, threshold)[3] == by_iou
        assert run(boxes, scores, 0.1, threshold, method="diou")[3] == by_diou


def test_soft_suppression_lowers_scores_and_orders_by_them():
    # IoU of the first two boxes is 60 / 140 = 3/7: .8 exp(-(3/7)^2 / .5) = .5541, under the third's .6
    boxes = np.array([[[0, 0, 10, 10], [4, 0, 14, 10], [50, 50, 60, 60]]], np.float32)
    scores = np.array([[[0.9], [0.8], [0.6]]], np.float32)
    found, found_scores, _, num = run(boxes, scores, 0.3, 0.3, method="soft")
    assert num == 3
    np.testing.assert_allclose(found_scores[0, :3], [0.9, 0.6, 0.8 * math.exp(-9 / 49 / 0.5)], rtol=1e-6)
    np.testing.assert_array_equal(found[0, :3], boxes[0, [0, 2, 1]])
    assert run(boxes, scores, 0.56, 0.3, method="soft")[3] == 2  # .5541 is not above .56
    np.testing.assert_allclose(run(boxes, scores, 0.3, 0.3, method="soft", sigma=0.1)[1][0, :2], [0.9, 0.6])
    # linear: .8 (1 - 3/7) = .457 above the threshold, untouched below it
    linear = run(boxes, scores, 0.3, 0.3, method="soft", sigma=None)[1]
    np.testing.assert_allclose(linear[0, :3], [0.9, 0.6, 0.8 * 4 / 7], rtol=1e-6)
    np.testing.assert_allclose(run(boxes, scores, 0.3, 0.5, method="soft", sigma=None)[1][0, :3], [0.9, 0.8, 0.6])


def test_soft_suppression_leaves_other_classes_alone():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 10]]], np.float32)
    scores = np.array([[[0.9, 0], [0, 0.8]]], np.float32)
    np.testing.assert_allclose(run(boxes, scores, 0.3, 0.3, method="soft")[1][0, :2], [0.9, 0.8])


@pytest.mark.parametrize("way", EVERY_WAY, ids=lambda way: "-".join(map(str, way.values())))
def test_every_method_equals_the_slow_loop(way):
    boxes, scores = hard_case()
    for score_threshold, max_boxes in ((0.4, 300), (0.05, 20)):
        result = run(boxes, scores, score_threshold, 0.45, max_boxes, **way)
        assert_equals_slow_loop(result, boxes, scores, score_threshold, 0.45, max_boxes, **way)
        assert (result[3][2] > 0) == (score_threshold < 0.2)


@pytest.mark.parametrize("way", [{"method": "soft"}, {"method": "diou"}, {"overlap": "ios"}], ids=str)
def test_more_pairs_than_candidates_equal_the_slow_loop(way):
    boxes, scores = random_case(images=1, boxes=60, classes=4, seed=3)  # 240 pairs, 128 candidates
    result = run(boxes, scores, 0.01, 0.3, 60, candidates=128, **way)
    assert (scores > 0.01).sum() > 128
    assert_equals_slow_loop(result, boxes, scores, 0.01, 0.3, 60, 128, **way)


@pytest.mark.parametrize("method", METHODS)
def test_boxes_that_are_not_finite_disturb_no_others(method):
    boxes = np.array([[[0, 0, 10, 10], [np.nan, 0, np.inf, 10], [0, 0, 10, 9]]], np.float32)
    scores = np.array([[[0.8], [0.9], [0.7]]], np.float32)
    found, found_scores, _, num = run(boxes, scores, 0.3, 0.5, method=method)
    assert num == 2 and found[0, 1].tolist() == [0, 0, 10, 10]
    np.testing.assert_allclose(found_scores[0, :2], [0.9, 0.8])


def test_unknown_names_and_a_bad_sigma_are_refused():
    boxes, scores = random_case(images=1, boxes=3, classes=1)
    with pytest.raises(ValueError, match="method: expected one of greedy, soft, diou, got 'hard'"):
        run(boxes, scores, 0.1, 0.5, method="hard")
    with pytest.raises(ValueError, match="overlap: expected one of iou, ios, got 'giou'"):
        run(boxes, scores, 0.1, 0.5, overlap="giou")
    with pytest.raises(ValueError, match="sigma: expected a number above 0.*got 0"):
        run(boxes, scores, 0.1, 0.5, method="soft", sigma=0)


def test_the_command_line_offers_these_names_to_the_detector():
    parser = argparse.ArgumentParser()
    add_detector_options(parser)
    choices = {action.dest: action.choices for action in parser._actions}
    assert choices["nms"] == METHODS and choices["nms_overlap"] == OVERLAPS
    given = ["--weights", "a.weights", "--cfg", "a.cfg", "--nms", "soft", "--nms-overlap", "ios"]
    options = detector_options(parser.parse_args(given))
    assert (options["nms"], options["nms_overlap"], options["cfg_path"]) == ("soft", "ios", "a.cfg")
    options = detector_options(parser.parse_args(["--weights", "a.h5"]))
    assert (options["nms"], options["nms_overlap"], options["cfg_path"]) == ("greedy", "iou", None)


@pytest.mark.slow
@pytest.mark.parametrize("way", EVERY_WAY, ids=lambda way: "-".join(map(str, way.values())))
def test_graphs_compiled_and_loaded_ones_give_the_same(way, tmp_path):
    tf = pytest.importorskip("tensorflow")
    boxes, scores = hard_case()
    signature = [tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None, 3))]

    def select(boxes, scores):
        return non_max_suppression(boxes, scores, 0.1, 0.45, 40, **way)

    module = tf.Module()
    module.select = tf.function(select, input_signature=signature)
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    for function in (module.select, tf.function(select, jit_compile=True), loaded.select):
        result = [array.numpy() for array in function(tf.constant(boxes), tf.constant(scores))]
        assert_equals_slow_loop(result, boxes, scores, 0.1, 0.45, 40, **way)


OTHER_BACKEND = """
import keras
from tests.ops.test_nms import EVERY_WAY, assert_equals_slow_loop, hard_case, random_case, run
from yolo3.ops.nms import non_max_suppression
assert keras.backend.backend() == {backend!r}
boxes, scores = random_case(images=2, boxes=150, classes=2)
assert_equals_slow_loop(run(boxes, scores, 0.2, 0.45, max_boxes=40), boxes, scores, 0.2, 0.45, 40)
boxes, scores = hard_case()
for way in EVERY_WAY:
    assert_equals_slow_loop(run(boxes, scores, 0.1, 0.45, 40, **way), boxes, scores, 0.1, 0.45, 40, **way)
if {backend!r} == "jax":
    import jax
    for way in EVERY_WAY:
        compiled = jax.jit(lambda boxes, scores: non_max_suppression(boxes, scores, 0.1, 0.45, 40, **way))
        assert_equals_slow_loop(compiled(boxes, scores), boxes, scores, 0.1, 0.45, 40, **way)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    root = os.fspath(Path(__file__).parents[2])
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": root}
    code = OTHER_BACKEND.format(backend=backend)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
