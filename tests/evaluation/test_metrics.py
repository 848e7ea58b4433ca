"""yolo3.evaluation.average_precision: hand-worked cases, a slow loop, pycocotools, and properties that must hold."""

import contextlib
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from yolo3.detections import Detections, coco_detections_json
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


def truth_of(boxes, class_ids=None, difficult=None, crowd=None):
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return SimpleNamespace(
        boxes=boxes,
        class_ids=np.zeros(count, np.int32) if class_ids is None else np.asarray(class_ids, np.int32),
        difficult=np.zeros(count, bool) if difficult is None else np.asarray(difficult, bool),
        crowd=np.zeros(count, bool) if crowd is None else np.asarray(crowd, bool),
    )


def found_of(*rows):
    """Rows of (x_min, y_min, x_max, y_max, score, class id)."""
    table = np.asarray(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5])


def random_images(seed, images=25, classes=4, hard=True):
    """Truths and detections that are near them, near others, doubled, of the wrong class, and nowhere."""
    rng = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(images):
        count = rng.integers(0, 9)
        corner, size = rng.uniform(0, 200, (count, 2)), rng.uniform(4, 150, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, classes, count)
        difficult, crowd = rng.random(count) < 0.15, rng.random(count) < 0.1
        truths.append(truth_of(boxes, ids, difficult & hard, crowd & hard))
        source = rng.integers(0, count, 3 * count) if count else np.zeros(0, int)
        near = boxes[source] + rng.normal(0, 8, (len(source), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        near_ids = np.where(rng.random(len(source)) < 0.8, ids[source], rng.integers(0, classes, len(source)))
        stray = rng.uniform(0, 150, (3, 2))
        stray = np.concatenate([stray, stray + rng.uniform(5, 100, (3, 2))], axis=1)
        found = np.concatenate([near, stray])
        found_ids = np.concatenate([near_ids, rng.integers(0, classes, 3)])
        detections.append(Detections(found, rng.random(len(found)), found_ids))
    return truths, detections


NAMES = ("a", "b", "c", "d")


# ------------------------------------------------------------------------------------ hand-worked cases


COURSE_TRUTHS = [
    truth_of([(106, 195, 303, 352), (548, 250, 841, 419)]),  # image 297
    truth_of([(207, 108, 624, 474)]),  # image 363
    truth_of([(434, 223, 715, 386)]),  # image 299
]
COURSE_DETECTIONS = [
    found_of((499, 286, 791, 455, 0.77, 0), (138, 173, 335, 330, 0.33, 0)),
    found_of((280, 69, 696, 435, 0.92, 0)),
    found_of(),
]


@pytest.mark.parametrize(("convention", "expected"), [("voc2010", 3 / 4), ("voc2007", 8 / 11), ("darknet", 3 / 4)])
def test_the_case_of_detection_courses_gives_its_known_average_precision(convention, expected):
    # Three detections, all hits, of four truths: precision 1 to recall .75; of eleven points 0 to .7 are 8.
    result = evaluate_detections(COURSE_TRUTHS, COURSE_DETECTIONS, ["object"], 0.3, convention)
    assert result.mean == pytest.approx(expected, abs=1e-12)
    assert result.ap[0] == result.mean
    assert (result.overall_precision, result.overall_recall) == (1.0, 0.75)
    assert result.f1[0] == pytest.approx(6 / 7)


def test_average_precision_by_hand_when_a_false_detection_comes_second():
    # Hit, false, hit of 2 truths: precision 1, 1/2, 2/3 at recall .5, .5, 1. Area: .5 * 1 + .5 * 2/3 = 5/6.
    # Eleven points: six of 1 (recall 0 to .5), five of 2/3: (6 + 10/3) / 11. 101 points: 51 of 1, 50 of 2/3.
    flags, scores = [True, False, True], [0.9, 0.8, 0.7]
    assert average_precision(flags, scores, 2) == pytest.approx(5 / 6)
    assert average_precision(flags, scores, 2, "11_points") == pytest.approx((6 + 10 / 3) / 11)
    assert average_precision(flags, scores, 2, "101_points") == pytest.approx((51 + 100 / 3) / 101)


def test_eleven_points_count_a_recall_of_three_tenths_as_reached():
    # 3 of 10 truths: recall points 0, .1, .2, .3 hold 1; in floating point 3 * .1 > .3 would lose the last.
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
    truths = [truth_of([(0, 0, 10, 10)])]
    detections = [found_of((0, 0, 10, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 0), (0, 0, 10, 10, 0.1, 0))]
    assert evaluate_detections(truths, detections, ["a"]).average_iou == pytest.approx(0.5)


# ------------------------------------------------------------------------------------------- conventions


def test_strict_refuses_an_iou_equal_to_the_threshold():
    truth, found = truth_of([(0, 0, 10, 10)]), found_of((0, 0, 10, 5, 0.9, 0))  # IoU .5 exactly
    assert match_detections(truth, found).true_positive[0]
    assert not match_detections(truth, found, strict=True).true_positive[0]


def test_iou_offset_adds_a_pixel_to_width_and_height():
    # Inclusive pixels 0..9 and 0..4: ten by ten and ten by five. As edges: 9 x 9 and 9 x 4, IoU .444.
    truth, found = truth_of([(0, 0, 9, 9)]), found_of((0, 0, 9, 4, 0.9, 0))
    assert match_detections(truth, found, iou_offset=True).iou[0] == pytest.approx(0.5)
    assert not match_detections(truth, found).true_positive[0]


def test_only_with_fallback_a_second_detection_takes_the_next_best_truth():
    truth = truth_of([(0, 0, 10, 10), (0, 2, 10, 12)])
    found = found_of((0, 0, 10, 10, 0.9, 0), (0, 0.5, 10, 10.5, 0.8, 0))  # both are nearest to the first
    assert match_detections(truth, found).true_positive.tolist() == [True, False]
    assert match_detections(truth, found, fallback=True).true_positive.tolist() == [True, True]


def test_of_equal_overlaps_the_coco_convention_takes_the_last_truth_as_pycocotools_does():
    truth = truth_of([(0, 0, 10, 10), (4, 0, 14, 10)])
    found = found_of(
        (2, 0, 12, 10, 0.9, 0), (-2, 0, 8, 10, 0.8, 0)
    )  # the first: 8 / 12 with both, the second: with one
    assert match_detections(truth, found, fallback=True).true_positive.tolist() == [True, True]
    assert coco_results([truth], [found], ["a"])["AP50"] == 1.0


@pytest.mark.parametrize(
    ("rule", "hits", "ignored", "counted"),
    [("ignore", 0, 2, 0), ("after", 0, 2, 0), ("count", 1, 0, 1), ("drop", 0, 0, 0)],
)
def test_difficult_truths_follow_the_rule(rule, hits, ignored, counted):
    truth = truth_of([(0, 0, 10, 10)], difficult=[True])
    found = found_of((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 9, 0.8, 0))
    matches = match_detections(truth, found, difficult=rule)
    assert (matches.true_positive.sum(), matches.ignored.sum(), matches.counted.sum()) == (
        hits,
        ignored,
        counted,
    )


def test_voc_prefers_a_nearer_difficult_truth_and_darknet_an_ordinary_one():
    truth = truth_of([(0, 0, 10, 10), (0, 2, 10, 12)], difficult=[True, False])
    found = found_of((0, 0, 10, 10, 0.9, 0))  # IoU 1 with the difficult one, 2/3 with the other
    assert match_detections(truth, found, difficult="ignore").ignored[0]
    assert match_detections(truth, found, difficult="after").true_positive[0]


def test_darknet_counts_ignored_detections_as_false_at_the_threshold_but_not_in_ap():
    truths = [truth_of([(0, 0, 10, 10), (50, 0, 60, 10)], difficult=[True, False])]
    detections = [found_of((0, 0, 10, 10, 0.9, 0), (50, 0, 60, 10, 0.8, 0))]
    darknet = evaluate_detections(truths, detections, ["a"], convention="darknet")
    voc = evaluate_detections(truths, detections, ["a"])
    assert (darknet.mean, darknet.overall_precision) == (1.0, 0.5)
    assert (voc.mean, voc.overall_precision) == (1.0, 1.0)


def test_a_crowd_swallows_every_detection_inside_it():
    # Each detection covers a tenth of the crowd, but lies in it whole: intersection / own area is 1.
    truth = truth_of([(0, 0, 100, 10)], crowd=[True])
    found = found_of(*[(10 * k, 0, 10 * k + 10, 10, 0.9, 0) for k in range(10)])
    assert match_detections(truth, found).ignored.all()
    assert match_detections(truth, found, crowd="drop").ignored.sum() == 0
    assert match_detections(truth, found, crowd="count").true_positive.sum() == 0


def test_a_class_without_truths_is_left_out_of_the_mean_but_for_darknet_zero():
    truths, detections = [truth_of([(0, 0, 10, 10)])], [found_of((0, 0, 10, 10, 0.9, 0))]
    assert evaluate_detections(truths, detections, ["a", "b"]).mean == 1.0
    assert np.isnan(evaluate_detections(truths, detections, ["a", "b"]).ap[1])
    assert evaluate_detections(truths, detections, ["a", "b"], convention="darknet").mean == 0.5


def test_a_convention_may_be_changed_by_field():
    strict = replace(CONVENTIONS["voc2010"], strict=True)
    truths, detections = [truth_of([(0, 0, 10, 10)])], [found_of((0, 0, 10, 5, 0.9, 0))]
    assert evaluate_detections(truths, detections, ["a"], convention=strict).mean == 0.0
    assert evaluate_detections(truths, detections, ["a"]).mean == 1.0


# ------------------------------------------------------------------------------------------ slow loop


def slow_iou(a, b, crowd):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    own, other = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return common / own if crowd else common / (own + other - common)


def slow_flags(truths, detections, class_id, threshold, convention):
    """One detection after the other, written to be read: (score, hit) of those that count, and the truths."""
    ranked = [
        (-float(d.scores[k]), image, k)
        for image, d in enumerate(detections)
        for k in range(len(d))
        if d.class_ids[k] == class_id
    ]
    used, flags, total = set(), [], 0
    for truth in truths:
        for k in range(len(truth.boxes)):
            excused = truth.crowd[k] or truth.difficult[k]
            total += bool(truth.class_ids[k] == class_id and not excused)
    for score, image, k in sorted(ranked):
        truth = truths[image]
        ordinary, excused = [], []
        for m in range(len(truth.boxes)):
            overlap = slow_iou(detections[image].boxes[k].astype(float), truth.boxes[m].astype(float), truth.crowd[m])
            enough = overlap > threshold if convention.strict else overlap >= threshold
            free = not convention.fallback or (image, m) not in used or truth.crowd[m]
            if truth.class_ids[m] == class_id and enough and free:
                aside = truth.crowd[m] or (truth.difficult[m] and convention.difficult == "after")
                (excused if aside else ordinary).append((overlap, m))
        chosen = max(ordinary or excused, default=(0, None))[1]
        if chosen is None:
            flags.append((-score, False))
        elif truth.crowd[chosen] or truth.difficult[chosen]:
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
    truths, detections = random_images(seed)
    convention = CONVENTIONS[name]
    result = evaluate_detections(truths, detections, NAMES, 0.5, name)
    for class_id in range(len(NAMES)):
        flags, total = slow_flags(truths, detections, class_id, 0.5, convention)
        assert result.num_truths[class_id] == total
        assert 0 < sum(hit for _, hit in flags) < len(flags)  # the data asks both questions
        slow = slow_ap(flags, total, convention.ap_method)
        tolerance = 0.01 if name == "coco" else 1e-9  # COCO's recall grid is compared in floating point
        assert result.ap[class_id] == pytest.approx(slow, abs=tolerance)


# ----------------------------------------------------------------------------------------- pycocotools


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_coco_convention_agrees_with_pycocotools(seed, hard):
    truths, detections = random_images(seed, images=30, hard=hard)
    reference = coco_results(truths, detections, NAMES)
    for threshold, key in ((0.5, "AP50"), (0.75, "AP75")):
        ours = evaluate_detections(truths, detections, NAMES, threshold, "coco")
        assert ours.mean == pytest.approx(reference[key], abs=1e-6)
    ours = evaluate_detections(truths, detections, NAMES, 0.5, "coco")
    assert 0.1 < ours.mean < 0.95
    for index, name in enumerate(NAMES):
        assert ours.ap[index] == pytest.approx(reference["per_class"][name]["AP50"], abs=1e-6)
        assert ours.num_truths[index] == reference["per_class"][name]["num_truths"]


def test_only_the_hundred_best_of_a_class_count_for_coco():
    truths = [truth_of([(0, 0, 10, 10)])]
    rows = [(50, 50, 60, 60, 0.9 - k / 1000, 0) for k in range(100)]
    detections = [found_of(*rows, (0, 0, 10, 10, 0.1, 0))]
    assert coco_results(truths, detections, ["a"])["AP50"] == 0.0
    assert evaluate_detections(truths, detections, ["a"], convention="coco").mean == 0.0
    assert evaluate_detections(truths, detections, ["a"]).mean == pytest.approx(1 / 101)


def test_the_twelve_numbers_are_those_that_pycocotools_prints(capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths, detections = random_images(7, hard=False)
    ours = coco_results(truths, detections, NAMES)
    assert capsys.readouterr().out == ""
    annotations, number = [], 0
    for image_id, truth in enumerate(truths):
        for box, class_id in zip(truth.boxes.astype(float), truth.class_ids, strict=True):
            number += 1
            width, height = box[2] - box[0], box[3] - box[1]
            annotations.append(
                {"id": number, "image_id": image_id, "category_id": int(class_id) + 1, "iscrowd": 0,
                 "bbox": [box[0], box[1], width, height], "area": width * height}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = {
            "info": {},
            "images": [{"id": k} for k in range(len(truths))],
            "categories": [{"id": k + 1} for k in range(4)],
            "annotations": annotations,
        }
        dataset.createIndex()
        results = dataset.loadRes(coco_detections_json(detections, range(len(truths))))
        evaluator = COCOeval(dataset, results, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    keys = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
    keys += ["AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"]
    np.testing.assert_allclose([ours[key] for key in keys], evaluator.stats, atol=1e-9)


# ------------------------------------------------------------------------------------------- properties


def test_the_order_of_images_and_of_detections_changes_nothing():
    truths, detections = random_images(3)
    rng = np.random.default_rng(0)
    images = rng.permutation(len(truths))
    mixed = []
    for image in images:
        order, found = rng.permutation(len(detections[image])), detections[image]
        mixed.append(Detections(found.boxes[order], found.scores[order], found.class_ids[order]))
    one = evaluate_detections(truths, detections, NAMES)
    other = evaluate_detections([truths[k] for k in images], mixed, NAMES)
    np.testing.assert_allclose(one.ap, other.ap, rtol=1e-12)
    np.testing.assert_array_equal(one.precision, other.precision)


def test_equal_scores_keep_their_order():
    truths = [truth_of([(0, 0, 10, 10)])]
    right, wrong = (0, 0, 10, 10, 0.5, 0), (50, 50, 60, 60, 0.5, 0)
    assert evaluate_detections(truths, [found_of(right, wrong)], ["a"]).mean == 1.0
    assert evaluate_detections(truths, [found_of(wrong, right)], ["a"]).mean == 0.5


def test_a_duplicate_is_false():
    truths = [truth_of([(0, 0, 10, 10), (20, 0, 30, 10)])]
    detections = [found_of((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (20, 0, 30, 10, 0.7, 0))]
    result = evaluate_detections(truths, detections, ["a"])
    assert result.mean == pytest.approx(5 / 6)
    assert result.precision[0] == pytest.approx(2 / 3)


def test_perfect_detections_score_one_everywhere():
    truths, _ = random_images(5, hard=False)
    detections = [Detections(t.boxes, np.full(len(t.boxes), 0.9), t.class_ids) for t in truths]
    for convention in CONVENTIONS:
        result = evaluate_detections(truths, detections, NAMES, 0.99, convention)
        assert (result.mean, result.overall_f1) == (1.0, 1.0)
    matrix = confusion_matrix(truths, detections, 4)
    assert matrix.sum() == np.trace(matrix) == sum(len(t.boxes) for t in truths)


def test_empty_sets_give_nan_or_zero_and_no_warning(recwarn):
    nothing, empty = truth_of([]), found_of()
    for convention in CONVENTIONS:
        assert evaluate_detections([truth_of([(0, 0, 9, 9)])], [empty], ["a"], convention=convention).mean == 0.0
    for truths, detections in (([], []), ([nothing], [empty]), ([nothing], [found_of((0, 0, 9, 9, 0.9, 0))])):
        result = evaluate_detections(truths, detections, ["a"])
        assert np.isnan(result.mean)
        assert np.isnan(coco_results(truths, detections, ["a"])["AP"])
        assert confusion_matrix(truths, detections, 1).sum() == sum(len(d) for d in detections)
        assert error_kinds(truths, detections).counts["missed"] == 0
    assert np.isnan(average_precision([], [], 0))
    assert average_precision([], [], 3) == 0.0
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_boxes_without_area_match_nothing():
    truth, found = truth_of([(5, 5, 5, 5)]), found_of((5, 5, 5, 5, 0.9, 0))
    matches = match_detections(truth, found)
    assert not matches.true_positive.any()
    assert matches.iou[0] == 0


def test_inputs_stay_unchanged():
    truths, detections = random_images(2)
    before = [(t.boxes.copy(), d.boxes.copy(), d.scores.copy()) for t, d in zip(truths, detections, strict=True)]
    evaluate_detections(truths, detections, NAMES, convention="coco")
    error_kinds(truths, detections)
    for (boxes, found, scores), t, d in zip(before, truths, detections, strict=True):
        np.testing.assert_array_equal(boxes, t.boxes)
        np.testing.assert_array_equal(found, d.boxes)
        np.testing.assert_array_equal(scores, d.scores)


def test_users_mistakes_are_named():
    one = [truth_of([(0, 0, 10, 10)])]
    with pytest.raises(ValueError, match="1 images with truths and 0 with detections"):
        evaluate_detections(one, [], ["a"])
    with pytest.raises(ValueError, match="class ids 0 to 0, got 3"):
        evaluate_detections(one, [found_of((0, 0, 1, 1, 0.5, 3))], ["a"])
    with pytest.raises(ValueError, match="convention: expected one of voc2007"):
        evaluate_detections(one, [found_of()], ["a"], convention="voc")
    with pytest.raises(ValueError, match="difficult"):
        match_detections(one[0], found_of(), difficult="maybe")
    with pytest.raises(ValueError, match="iou_threshold"):
        match_detections(one[0], found_of(), 0.0)
    with pytest.raises(ValueError, match="method"):
        average_precision([], [], 1, "12_points")
    with pytest.raises(ValueError, match="2 boxes, 1 scores"):
        Detections(np.zeros((2, 4)), [0.5], [0, 0])
    assert Convention() == CONVENTIONS["voc2010"]


# ------------------------------------------------------------------------------------- what goes wrong


def one_of_each_kind():
    truth = truth_of(
        [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10), (80, 0, 90, 10)],
        [0, 0, 0, 1, 0],
        difficult=[False, False, False, False, True],
    )
    found = found_of(
        (0, 0, 10, 10, 0.9, 0),  # hit
        (0, 0, 10, 9, 0.8, 0),  # the same truth again
        (20, 0, 30, 10, 0.7, 1),  # the other class
        (40, 6, 50, 16, 0.6, 0),  # IoU 40 / 160 = .25
        (200, 0, 210, 10, 0.5, 0),  # nothing there
        (80, 0, 90, 10, 0.5, 0),  # difficult
        (60, 0, 70, 10, 0.1, 1),  # under the score threshold: its truth is missed
    )
    return [truth], [found]


def test_each_kind_of_error_is_recognised():
    result = error_kinds(*one_of_each_kind())
    expected = ["hit", "duplicate", "wrong_class", "badly_placed", "background", "", ""]
    assert result.detection_kinds[0].tolist() == expected
    assert result.missed[0].tolist() == [False, False, False, True, False]
    assert result.counts == dict.fromkeys(
        ["hit", "duplicate", "wrong_class", "badly_placed", "background", "missed"], 1
    )


def test_confusion_matrix_by_hand():
    # Class 0: one hit, one taken for class 1, one badly placed: missed. Class 1: one missed. The duplicate,
    # the badly placed and the stray detection of class 0 lie on background.
    matrix = confusion_matrix(*one_of_each_kind(), 2)
    np.testing.assert_array_equal(matrix, [[1, 1, 1], [0, 0, 1], [3, 0, 0]])


def test_confusion_prefers_the_right_class_to_the_higher_score():
    truths = [truth_of([(0, 0, 10, 10)], [1])]
    detections = [found_of((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.6, 1))]
    np.testing.assert_array_equal(confusion_matrix(truths, detections, 2), [[0, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_confusion_rows_add_up_to_the_truths_and_columns_to_the_detections():
    truths, detections = random_images(4, hard=False)
    matrix = confusion_matrix(truths, detections, 4)
    true_ids = np.concatenate([t.class_ids for t in truths])
    found_ids = np.concatenate([d.class_ids[d.scores >= 0.25] for d in detections])
    np.testing.assert_array_equal(matrix[:4].sum(axis=1), np.bincount(true_ids, minlength=4))
    np.testing.assert_array_equal(matrix[:, :4].sum(axis=0), np.bincount(found_ids, minlength=4))
    assert matrix[4, 4] == 0
    kinds = error_kinds(truths, detections).counts
    assert kinds["hit"] == np.trace(matrix)


def test_coco_results_records_have_width_height_and_the_files_ids():
    record = coco_detections_json([found_of((1, 2, 11, 22, 0.5, 1))], ["x7"], [1, 90])
    assert record == [{"image_id": "x7", "category_id": 90, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.5}]
    assert coco_detections_json([found_of((1, 2, 11, 22, 0.5, 1))], [3])[0]["category_id"] == 2
    with pytest.raises(ValueError, match="expected 1 image ids, got 2"):
        coco_detections_json([found_of()], [1, 2])
