"""What is measured once for a report: that its parts agree with each other and with slow counts."""

import math

import numpy as np
import pytest

from tests.evaluation.examples import annotated, detected, random_images
from yolo3.detections import Detections
from yolo3.evaluation.average_precision import evaluate_detections, precision_recall
from yolo3.evaluation.errors import KINDS
from yolo3.evaluation.matching import match_detections
from yolo3.evaluation.measures import (
    at_thresholds,
    best_point,
    confusions,
    found_by_size,
    image_costs,
    image_errors,
    measure,
    objects_hit,
)

NAMES = ("a", "b", "c", "d")
BOX, OTHER = (10, 10, 50, 50), (100, 10, 140, 50)


@pytest.fixture(scope="module")
def random():
    ground_truths, detections = random_images(11, images=15)
    return ground_truths, detections, measure(ground_truths, detections, NAMES, score_threshold=0.4)


def test_counts_of_all_parts_agree(random):
    ground_truths, detections, measures = random
    hits, false = int(measures.true_positives.sum()), int(measures.false_positives.sum())
    assert hits == int(measures.found.sum()) == measures.kinds.counts["hit"]
    assert false == sum(measures.kinds.counts[kind] for kind in KINDS if kind != "missed")
    assert hits + int(measures.false_negatives.sum()) == len(measures.found) == len(measures.sides)
    assert measures.fixed.overall_precision == pytest.approx(hits / (hits + false))
    assert measures.fixed.overall_recall == pytest.approx(hits / len(measures.found))
    assert int(measures.hit[measures.scores >= 0.4].sum()) == hits
    assert sum(len(scores) for scores in measures.background_scores) == measures.kinds.counts["background"]
    # the keys of earlier versions
    old = {"misclassified": "wrong_class", "localization": "badly_placed"}
    assert measures.at_score()["errors"] == {old.get(kind, kind): measures.kinds.counts[kind] for kind in KINDS}


def test_hits_at_the_threshold_are_those_of_matching_only_detections_above_it(random):
    ground_truths, detections, measures = random
    for annotation, found, matches in zip(ground_truths, detections, measures.matches):
        kept = found.scores >= 0.4
        above = Detections(found.boxes[kept], found.scores[kept], found.class_ids[kept])
        slow = match_detections(annotation, above, fallback=True, difficult="after")
        np.testing.assert_array_equal(matches.true_positive[kept], slow.true_positive)
        expected = np.zeros(len(annotation.boxes), bool)
        expected[slow.ground_truth_index[slow.true_positive]] = True
        np.testing.assert_array_equal(objects_hit(matches, found, 0.4), expected)


def test_a_detection_with_just_the_score_of_the_threshold_counts():
    # .3 as float32 is a little more than .3, .7 a little less
    for score in (0.3, 0.7):
        found = [detected((*BOX, score, 0), (*OTHER, score, 1))]
        measures = measure([annotated([BOX])], found, NAMES, score_threshold=score)
        assert measures.true_positives[0] == measures.found.sum() == measures.kinds.counts["hit"] == 1
        assert measures.false_positives[1] == measures.kinds.counts["background"] == measures.confusion[-1, 1] == 1
        np.testing.assert_allclose(image_costs(measures, found), [score])
        assert (measures.fixed.overall_precision, measures.fixed.overall_recall) == (0.5, 1)


def test_costs_are_misses_and_the_scores_of_false_detections():
    lost = (200, 10, 240, 50)
    ground_truths = [annotated([BOX, OTHER, lost]), annotated([BOX], difficult=[True]), annotated([])]
    found = [detected((*BOX, 0.9, 0), (*BOX, 0.5, 1), (*OTHER, 0.2, 0)), detected((*BOX, 0.9, 0)), detected()]
    # the second object is found with .2, which is not enough, the third not at all: 2; the box of class 1 is false: .5
    costs = image_costs(measure(ground_truths, found, NAMES), found)
    np.testing.assert_allclose(costs, [2.5, 0, 0], atol=1e-6)


def test_errors_of_an_image_come_with_their_numbers():
    missed, taken = (200, 10, 240, 50), (300, 10, 340, 50)
    annotation = annotated([BOX, OTHER, missed, taken], [0, 1, 2, 0])
    found = detected(
        (*BOX, 0.9, 0),  # a hit
        (10, 10, 50, 44, 0.5, 0),  # IoU 34/40 with what is hit already
        (*OTHER, 0.8, 2),  # on one of class 1
        (300, 10, 340, 26, 0.7, 0),  # IoU 16/40
        (400, 400, 440, 440, 0.6, 3),
        (200, 42, 240, 82, 0.55, 1),  # on 8/72 of what is missed, of another class
        (400, 10, 440, 50, 0.1, 3),  # does not score enough
    )
    errors = image_errors(measure([annotation], [found], NAMES), 0, annotation, found)
    told = [
        (item.kind, item.class_id, round(item.score, 3), item.ground_truth_id, round(item.iou, 3)) for item in errors
    ]
    assert math.isnan(told[0][2]) and told[0][:2] == ("missed", 2)
    assert told[1:] == [
        ("misclassified", 2, 0.8, 1, 1.0),
        ("localization", 0, 0.7, 0, 0.4),
        ("background", 3, 0.6, -1, 0.0),
        ("background", 1, 0.55, 2, 0.111),
        ("duplicate", 0, 0.5, 0, 0.85),
    ]
    np.testing.assert_array_equal(errors[0].box, missed)


def test_every_error_of_a_kind_is_listed_once(random):
    ground_truths, detections, measures = random
    listed = [
        error.kind
        for index, (annotation, found) in enumerate(zip(ground_truths, detections))
        for error in image_errors(measures, index, annotation, found)
    ]
    assert {kind: listed.count(kind) for kind in KINDS} == {kind: measures.kinds.counts[kind] for kind in KINDS}


def test_sizes_have_cocos_limits():
    # 31 x 31 is small, 32 x 32 and 95 x 95 medium, 96 x 96 large
    annotation = annotated([(x, 0, x + side, side) for x, side in ((0, 31), (100, 32), (200, 95), (300, 96))])
    found = detected((0, 0, 31, 31, 0.9, 0), (300, 0, 396, 96, 0.9, 0), (200, 0, 295, 95, 0.1, 0))
    groups = found_by_size(measure([annotation], [found], NAMES))
    assert groups == {"small": (1, 1), "medium": (0, 2), "large": (1, 1)}


def test_confusions_come_most_frequent_first():
    annotation = annotated([BOX, OTHER], [3, 1])
    found = [detected((*BOX, 0.9, 0), (*OTHER, 0.9, 3))] * 2 + [detected((*OTHER, 0.9, 3))]
    measures = measure([annotation] * 3, found, NAMES)
    assert confusions(measures) == [(1, 3, 3), (3, 0, 2)]


def test_the_best_threshold_has_the_largest_f1():
    # hit .9, false .8, hit .7 of 2: F1 2/3, 1/2, 4/5
    annotation = annotated([BOX, OTHER])
    measures = measure([annotation], [detected((*BOX, 0.9, 0), (300, 0, 320, 20, 0.8, 0), (*OTHER, 0.7, 0))], NAMES)
    assert measures.best == pytest.approx((0.7, 2 / 3, 1, 0.8))
    assert all(math.isnan(value) for value in measure([annotation], [detected()], NAMES).best)
    assert all(math.isnan(value) for value in measure([annotated([])], [detected((*BOX, 0.9, 0))], NAMES).best)


def test_a_threshold_keeps_all_detections_of_one_score_or_none():
    # a hit and a false one of .9, a hit of .5, of 2 objects. From .9 on: 1/2, 1/2, 1/2; from .5 on: 2/3, 1, 4/5.
    # The hit of .9 alone would have F1 2/3, but no threshold keeps it alone.
    curve = precision_recall([True, False, True], [0.9, 0.9, 0.5], 2)
    np.testing.assert_allclose(at_thresholds(curve), [[0.9, 0.5], [0.5, 2 / 3], [0.5, 1], [0.5, 0.8]])
    equal = precision_recall([True, True, False, False, False], [0.9] * 5, 4)
    assert best_point(equal) == pytest.approx((0.9, 2 / 5, 2 / 4, 4 / 9))
    assert at_thresholds(precision_recall([], [], 2)).shape == (4, 0)


def test_figures_at_each_threshold_are_those_of_an_evaluation_at_it(random):
    ground_truths, detections, measures = random
    for score, precision, recall, f1 in at_thresholds(measures.fixed.overall).T[::25]:
        fixed = evaluate_detections(ground_truths, detections, NAMES, 0.5, "coco", score)
        assert (fixed.overall_precision, fixed.overall_recall) == pytest.approx((precision, recall))
        assert fixed.overall_f1 == pytest.approx(f1)


def test_the_iou_of_hits_leaves_false_detections_out():
    # IoU 1 and .8 of two hits, one false detection: Darknet's 1.8 / 3, of the hits .9
    annotation = annotated([BOX, OTHER])
    found = detected((*BOX, 0.9, 0), (100, 10, 140, 42, 0.9, 0), (300, 0, 320, 20, 0.8, 0))
    measures = measure([annotation], [found], NAMES)
    assert measures.fixed.average_iou == pytest.approx(0.6) and measures.hit_iou == pytest.approx(0.9)
