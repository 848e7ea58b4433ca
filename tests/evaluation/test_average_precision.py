"""Average precision: hand-worked cases, a slow loop, and properties that must hold."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.examples import NAMES, annotated, detected, random_images
from yolo3.detections import Detections
from yolo3.evaluation.average_precision import (
    CONVENTIONS,
    Convention,
    average_precision,
    evaluate_detections,
    precision_recall,
)
from yolo3.evaluation.coco import coco_results
from yolo3.evaluation.errors import confusion_matrix, error_kinds
from yolo3.evaluation.matching import match_detections

COURSE_GROUND_TRUTHS = [
    annotated([(106, 195, 303, 352), (548, 250, 841, 419)]),  # image 297
    annotated([(207, 108, 624, 474)]),  # image 363
    annotated([(434, 223, 715, 386)]),  # image 299
]


COURSE_DETECTIONS = [
    detected((499, 286, 791, 455, 0.77, 0), (138, 173, 335, 330, 0.33, 0)),
    detected((280, 69, 696, 435, 0.92, 0)),
    detected(),
]


@pytest.mark.parametrize(("convention", "expected"), [("voc2010", 3 / 4), ("voc2007", 8 / 11), ("darknet", 3 / 4)])
def test_the_textbook_example_gives_its_known_average_precision(convention, expected):
    # Three detections, all hits, of four objects: precision 1 to recall .75; of eleven points 0 to .7 are 8.
    result = evaluate_detections(COURSE_GROUND_TRUTHS, COURSE_DETECTIONS, ["object"], 0.3, convention)
    assert result.mean == pytest.approx(expected, abs=1e-12)
    assert result.ap[0] == result.mean
    assert (result.overall_precision, result.overall_recall) == (1.0, 0.75)
    assert result.f1[0] == pytest.approx(6 / 7)


def test_average_precision_by_hand_when_a_false_detection_comes_second():
    # Hit, false, hit of 2 objects: precision 1, 1/2, 2/3 at recall .5, .5, 1. Area: .5 * 1 + .5 * 2/3 = 5/6.
    # Eleven points: six of 1 (recall 0 to .5), five of 2/3: (6 + 10/3) / 11. 101 points: 51 of 1, 50 of 2/3.
    flags, scores = [True, False, True], [0.9, 0.8, 0.7]
    assert average_precision(flags, scores, 2) == pytest.approx(5 / 6)
    assert average_precision(flags, scores, 2, "11_points") == pytest.approx((6 + 10 / 3) / 11)
    assert average_precision(flags, scores, 2, "101_points") == pytest.approx((51 + 100 / 3) / 101)


def test_eleven_points_count_a_recall_of_three_tenths_as_reached():
    # 3 of 10 objects: recall points 0, .1, .2, .3 hold 1; in floating point 3 * .1 > .3 would lose the last.
    assert average_precision([True] * 3, [0.9, 0.8, 0.7], 10, "11_points") == pytest.approx(4 / 11)


def test_precision_recall_and_f1_by_hand():
    curve = precision_recall([False, True, True], [0.5, 0.9, 0.7], 4)
    np.testing.assert_allclose(curve.scores, [0.9, 0.7, 0.5])
    np.testing.assert_allclose(curve.precision, [1, 1, 2 / 3])
    np.testing.assert_allclose(curve.recall, [0.25, 0.5, 0.5])
    np.testing.assert_allclose(curve.f1, [0.4, 2 / 3, 4 / 7])
    assert curve.best_threshold == 0.7


def test_average_iou_is_darknets_sum_over_hits_by_all_claims():
    # One hit of IoU 1 and one false detection: 1 / 2.
    ground_truths = [annotated([(0, 0, 10, 10)])]
    detections = [detected((0, 0, 10, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 0), (0, 0, 10, 10, 0.1, 0))]
    assert evaluate_detections(ground_truths, detections, ["a"]).average_iou == pytest.approx(0.5)


def test_darknet_counts_ignored_detections_as_false_at_the_threshold_but_not_in_ap():
    ground_truths = [annotated([(0, 0, 10, 10), (50, 0, 60, 10)], difficult=[True, False])]
    detections = [detected((0, 0, 10, 10, 0.9, 0), (50, 0, 60, 10, 0.8, 0))]
    darknet = evaluate_detections(ground_truths, detections, ["a"], convention="darknet")
    voc = evaluate_detections(ground_truths, detections, ["a"])
    assert (darknet.mean, darknet.overall_precision) == (1.0, 0.5)
    assert (voc.mean, voc.overall_precision) == (1.0, 1.0)


def test_a_class_without_ground_truth_is_left_out_of_the_mean_but_is_zero_for_darknet():
    ground_truths, detections = [annotated([(0, 0, 10, 10)])], [detected((0, 0, 10, 10, 0.9, 0))]
    assert evaluate_detections(ground_truths, detections, ["a", "b"]).mean == 1.0
    assert np.isnan(evaluate_detections(ground_truths, detections, ["a", "b"]).ap[1])
    assert evaluate_detections(ground_truths, detections, ["a", "b"], convention="darknet").mean == 0.5


def test_single_fields_of_a_convention_can_be_changed():
    strict = replace(CONVENTIONS["voc2010"], strict=True)
    ground_truths, detections = [annotated([(0, 0, 10, 10)])], [detected((0, 0, 10, 5, 0.9, 0))]
    assert evaluate_detections(ground_truths, detections, ["a"], convention=strict).mean == 0.0
    assert evaluate_detections(ground_truths, detections, ["a"]).mean == 1.0


def slow_iou(a, b, crowd):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    own, other = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return common / own if crowd else common / (own + other - common)


def slow_flags(ground_truths, detections, class_id, threshold, convention):
    """One detection after the other, written to be read: (score, hit) of those that count, and the ground_truths."""
    ranked = [
        (-float(d.scores[k]), image, k)
        for image, d in enumerate(detections)
        for k in range(len(d))
        if d.class_ids[k] == class_id
    ]
    used, flags, total = set(), [], 0
    for annotation in ground_truths:
        for k in range(len(annotation.boxes)):
            excused = annotation.crowd[k] or annotation.difficult[k]
            total += bool(annotation.class_ids[k] == class_id and not excused)
    for score, image, k in sorted(ranked):
        annotation = ground_truths[image]
        ordinary, excused = [], []
        for m in range(len(annotation.boxes)):
            overlap = slow_iou(
                detections[image].boxes[k].astype(float), annotation.boxes[m].astype(float), annotation.crowd[m]
            )
            enough = overlap > threshold if convention.strict else overlap >= threshold
            free = not convention.fallback or (image, m) not in used or annotation.crowd[m]
            if annotation.class_ids[m] == class_id and enough and free:
                aside = annotation.crowd[m] or (annotation.difficult[m] and convention.difficult == "after")
                (excused if aside else ordinary).append((overlap, m))
        chosen = max(ordinary or excused, default=(0, None))[1]
        if chosen is None:
            flags.append((-score, False))
        elif annotation.crowd[chosen] or annotation.difficult[chosen]:
            used.add((image, chosen))
        else:
            flags.append((-score, (image, chosen) not in used))
            used.add((image, chosen))
    return flags, total


def slow_ap(flags, total, method):
    if not total:
        return float("nan")
    points, hits = [(0.0, 0.0)], 0
    for rank, (_, hit) in enumerate(flags, 1):
        hits += hit
        points.append((hits / total, hits / rank))
    best = lambda recall: max((p for r, p in points if r >= recall - 1e-12), default=0.0)  # noqa: E731
    if method == "all_points":
        recalls = sorted({r for r, _ in points})
        return sum((high - low) * best(high) for low, high in zip(recalls, recalls[1:], strict=False))
    count = int(method.split("_")[0])
    return sum(best(k / (count - 1)) for k in range(count)) / count


@pytest.mark.parametrize("name", ["voc2007", "voc2010", "darknet", "coco"])
@pytest.mark.parametrize("seed", [0, 1])
def test_vectorised_evaluation_equals_the_slow_loop(name, seed):
    ground_truths, detections = random_images(seed)
    convention = CONVENTIONS[name]
    result = evaluate_detections(ground_truths, detections, NAMES, 0.5, name)
    for class_id in range(len(NAMES)):
        flags, total = slow_flags(ground_truths, detections, class_id, 0.5, convention)
        assert result.num_ground_truths[class_id] == total
        assert 0 < sum(hit for _, hit in flags) < len(flags)  # the data asks both questions
        slow = slow_ap(flags, total, convention.ap_method)
        tolerance = 0.01 if name == "coco" else 1e-9  # COCO's recall grid is compared in floating point
        assert result.ap[class_id] == pytest.approx(slow, abs=tolerance)


def test_the_order_of_images_and_of_detections_changes_nothing():
    ground_truths, detections = random_images(3)
    rng = np.random.default_rng(0)
    images = rng.permutation(len(ground_truths))
    mixed = []
    for image in images:
        order, found = rng.permutation(len(detections[image])), detections[image]
        mixed.append(Detections(found.boxes[order], found.scores[order], found.class_ids[order]))
    one = evaluate_detections(ground_truths, detections, NAMES)
    other = evaluate_detections([ground_truths[k] for k in images], mixed, NAMES)
    np.testing.assert_allclose(one.ap, other.ap, rtol=1e-12)
    np.testing.assert_array_equal(one.precision, other.precision)


def test_equal_scores_keep_their_order():
    ground_truths = [annotated([(0, 0, 10, 10)])]
    right, wrong = (0, 0, 10, 10, 0.5, 0), (50, 50, 60, 60, 0.5, 0)
    assert evaluate_detections(ground_truths, [detected(right, wrong)], ["a"]).mean == 1.0
    assert evaluate_detections(ground_truths, [detected(wrong, right)], ["a"]).mean == 0.5


def test_a_duplicate_is_a_false_positive():
    ground_truths = [annotated([(0, 0, 10, 10), (20, 0, 30, 10)])]
    detections = [detected((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (20, 0, 30, 10, 0.7, 0))]
    result = evaluate_detections(ground_truths, detections, ["a"])
    assert result.mean == pytest.approx(5 / 6)
    assert result.precision[0] == pytest.approx(2 / 3)


def test_perfect_detections_score_one_everywhere():
    ground_truths, _ = random_images(5, hard=False)
    detections = [Detections(t.boxes, np.full(len(t.boxes), 0.9), t.class_ids) for t in ground_truths]
    for convention in CONVENTIONS:
        result = evaluate_detections(ground_truths, detections, NAMES, 0.99, convention)
        assert (result.mean, result.overall_f1) == (1.0, 1.0)
    matrix = confusion_matrix(ground_truths, detections, 4)
    assert matrix.sum() == np.trace(matrix) == sum(len(t.boxes) for t in ground_truths)


def test_empty_sets_give_nan_or_zero_and_no_warning(recwarn):
    nothing, empty = annotated([]), detected()
    for convention in CONVENTIONS:
        assert evaluate_detections([annotated([(0, 0, 9, 9)])], [empty], ["a"], convention=convention).mean == 0.0
    for ground_truths, detections in (([], []), ([nothing], [empty]), ([nothing], [detected((0, 0, 9, 9, 0.9, 0))])):
        result = evaluate_detections(ground_truths, detections, ["a"])
        assert np.isnan(result.mean)
        assert np.isnan(coco_results(ground_truths, detections, ["a"])["AP"])
        assert confusion_matrix(ground_truths, detections, 1).sum() == sum(len(d) for d in detections)
        assert error_kinds(ground_truths, detections).counts["missed"] == 0
    assert np.isnan(average_precision([], [], 0))
    assert average_precision([], [], 3) == 0.0
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_inputs_stay_unchanged():
    ground_truths, detections = random_images(2)
    before = [(t.boxes.copy(), d.boxes.copy(), d.scores.copy()) for t, d in zip(ground_truths, detections, strict=True)]
    evaluate_detections(ground_truths, detections, NAMES, convention="coco")
    error_kinds(ground_truths, detections)
    for (boxes, found, scores), t, d in zip(before, ground_truths, detections, strict=True):
        np.testing.assert_array_equal(boxes, t.boxes)
        np.testing.assert_array_equal(found, d.boxes)
        np.testing.assert_array_equal(scores, d.scores)


def test_invalid_arguments_are_named():
    one = [annotated([(0, 0, 10, 10)])]
    with pytest.raises(ValueError, match="1 images with ground truth and 0 with detections"):
        evaluate_detections(one, [], ["a"])
    with pytest.raises(ValueError, match="class ids 0 to 0, got 3"):
        evaluate_detections(one, [detected((0, 0, 1, 1, 0.5, 3))], ["a"])
    with pytest.raises(ValueError, match="convention: expected one of voc2007"):
        evaluate_detections(one, [detected()], ["a"], convention="voc")
    with pytest.raises(ValueError, match="difficult"):
        match_detections(one[0], detected(), difficult="maybe")
    with pytest.raises(ValueError, match="iou_threshold"):
        match_detections(one[0], detected(), 0.0)
    with pytest.raises(ValueError, match="method"):
        average_precision([], [], 1, "12_points")
    with pytest.raises(ValueError, match="2 boxes, 1 scores"):
        Detections(np.zeros((2, 4)), [0.5], [0, 0])
    assert Convention() == CONVENTIONS["voc2010"]
