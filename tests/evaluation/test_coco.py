"""COCO's numbers: ours against pycocotools, and pycocotools through us against itself."""

import contextlib
import io

import numpy as np
import pytest

from tests.evaluation.examples import NAMES, annotated, detected, random_images
from yolo3.evaluation.average_precision import evaluate_detections
from yolo3.evaluation.coco import coco_results
from yolo3.evaluation.matching import match_detections
from yolo3.inference.writers.coco_results import coco_detections_json


def test_of_equal_overlaps_the_coco_convention_takes_the_last_object_as_pycocotools_does():
    annotation = annotated([(0, 0, 10, 10), (4, 0, 14, 10)])
    found = detected(
        (2, 0, 12, 10, 0.9, 0), (-2, 0, 8, 10, 0.8, 0)
    )  # the first: 8 / 12 with both, the second: with one
    assert match_detections(annotation, found, fallback=True).true_positive.tolist() == [True, True]
    assert coco_results([annotation], [found], ["a"])["AP50"] == 1.0


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_coco_convention_agrees_with_pycocotools(seed, hard):
    ground_truths, detections = random_images(seed, images=30, hard=hard)
    reference = coco_results(ground_truths, detections, NAMES)
    for threshold, key in ((0.5, "AP50"), (0.75, "AP75")):
        ours = evaluate_detections(ground_truths, detections, NAMES, threshold, "coco")
        assert ours.mean == pytest.approx(reference[key], abs=1e-6)
    ours = evaluate_detections(ground_truths, detections, NAMES, 0.5, "coco")
    assert 0.1 < ours.mean < 0.95
    for index, name in enumerate(NAMES):
        assert ours.ap[index] == pytest.approx(reference["per_class"][name]["AP50"], abs=1e-6)
        assert ours.num_ground_truths[index] == reference["per_class"][name]["num_truths"]


def test_only_the_hundred_best_detections_of_a_class_count_for_coco():
    ground_truths = [annotated([(0, 0, 10, 10)])]
    rows = [(50, 50, 60, 60, 0.9 - k / 1000, 0) for k in range(100)]
    detections = [detected(*rows, (0, 0, 10, 10, 0.1, 0))]
    assert coco_results(ground_truths, detections, ["a"])["AP50"] == 0.0
    assert evaluate_detections(ground_truths, detections, ["a"], convention="coco").mean == 0.0
    assert evaluate_detections(ground_truths, detections, ["a"]).mean == pytest.approx(1 / 101)


def test_without_the_figures_by_size_the_others_stay_the_same():
    images = random_images(3, images=30, hard=True)
    whole, without = coco_results(*images, NAMES), coco_results(*images, NAMES, by_size=False)
    by_size = {f"{figure}_{size}" for figure in ("AP", "AR") for size in ("small", "medium", "large")}
    assert whole.keys() - without.keys() == by_size
    assert without == {name: value for name, value in whole.items() if name not in by_size}


def test_the_twelve_numbers_are_those_that_pycocotools_prints(capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ground_truths, detections = random_images(7, hard=False)
    ours = coco_results(ground_truths, detections, NAMES)
    assert capsys.readouterr().out == ""
    annotations, number = [], 0
    for image_id, annotation in enumerate(ground_truths):
        for box, class_id in zip(annotation.boxes.astype(float), annotation.class_ids, strict=True):
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
            "images": [{"id": k} for k in range(len(ground_truths))],
            "categories": [{"id": k + 1} for k in range(4)],
            "annotations": annotations,
        }
        dataset.createIndex()
        results = dataset.loadRes(coco_detections_json(detections, range(len(ground_truths))))
        evaluator = COCOeval(dataset, results, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    keys = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
    keys += ["AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"]
    np.testing.assert_allclose([ours[key] for key in keys], evaluator.stats, atol=1e-9)


def test_areas_of_segments_decide_the_size_group():
    # A box of 40 x 40 is medium; the segment in it covers 900 pixels, fewer than 32 x 32, which is small.
    images, found = [annotated([(0, 0, 40, 40)])], [detected((0, 0, 40, 40, 0.9, 0))]
    of_boxes, of_segments = coco_results(images, found, ["a"]), coco_results(images, found, ["a"], areas=[[900.0]])
    assert [of_boxes["AP_medium"], of_segments["AP_small"]] == pytest.approx([1, 1])
    assert np.isnan(of_boxes["AP_small"]) and np.isnan(of_segments["AP_medium"])
