"""Evaluation with a network whose outputs are known, see test_detector."""

import json
import math

import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network, sample_image
from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.images import write_image
from yolo3.evaluation.evaluate import check_objects, coco_ids, detect_annotations, evaluate, write_coco_detections
from yolo3.inference.detector import Detector
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD

RED = [Box((64, 0, 128, 32), 0), Box((64, 32, 128, 64), 0)]  # the two cells that the network sees as red


@pytest.fixture(scope="module")
def detector():
    return Detector(cell_network(), METADATA, score_threshold=AP_SCORE_THRESHOLD)


def annotate(folder, name, boxes, source="train.txt:1", colour=(255, 0, 0)):
    path = str(folder / name)
    write_image(path, sample_image(colour=colour))
    return build_annotation(path, boxes, source, (64, 128))


def test_a_detector_that_finds_all_has_an_average_precision_of_one(detector, tmp_path):
    annotations = [annotate(tmp_path, "a.png", RED), annotate(tmp_path, "b.png", [], colour=(0, 0, 0))]
    results = evaluate(detector, annotations, ["red", "green", "any"])
    assert results["AP50"] == pytest.approx(1) and results["AP"] == pytest.approx(1)
    assert results["per_class"]["red"] == pytest.approx({"AP50": 1, "AP": 1, "num_truths": 2})
    assert math.isnan(results["per_class"]["green"]["AP50"])


def test_a_missed_object_and_a_false_class_lower_the_score(detector, tmp_path):
    # one of two red objects is really green: red has 1 object and 2 detections of one score, green 1 and none
    annotations = [annotate(tmp_path, "a.png", [RED[0], Box(RED[1].xyxy, 1)])]
    results = evaluate(detector, annotations)
    assert results["per_class"]["green"]["AP50"] == 0
    assert results["per_class"]["red"]["AP50"] in (
        pytest.approx(1),
        pytest.approx(0.5),
    )  # whichever comes first
    assert results["AP50"] == pytest.approx(results["per_class"]["red"]["AP50"] / 2)


def test_detections_come_in_order_and_progress_is_reported(detector, tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 0)]
    annotations = [annotate(tmp_path, f"{i}.png", [], colour=colour) for i, colour in enumerate(colours)]
    told = []
    found = detect_annotations(detector, annotations, lambda *numbers: told.append(numbers))
    assert [set(detections.class_ids.tolist()) for detections in found] == [{0}, {1}, set()]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_classes_other_than_the_networks_are_refused(detector, tmp_path):
    annotations = [annotate(tmp_path, "a.png", RED)]
    with pytest.raises(ValueError, match=r"cell_network knows 3 classes \(red, green, any\), but .* 2 \(red, blue\)"):
        evaluate(detector, annotations, ["red", "blue"])
    wrong = [annotate(tmp_path, "a.png", [Box(RED[0].xyxy, 3)], source="train.txt:7")]
    with pytest.raises(ValueError, match="train.txt:7: .*got 3"):
        evaluate(detector, wrong)


def test_difficult_objects_and_crowds_alone_are_refused(tmp_path):
    aside = [Box(RED[0].xyxy, 0, difficult=True), Box(RED[1].xyxy, 0, crowd=True)]
    path = str(tmp_path / "a.png")
    check_objects([build_annotation(path, [*aside, RED[0]], "t", (64, 128))], "cells")
    with pytest.raises(ValueError, match="cells: .* in 1 images, got only 2 difficult objects and crowds"):
        check_objects([build_annotation(path, aside, "t", (64, 128))], "cells")
    with pytest.raises(ValueError, match="cells: .* got none; "):
        check_objects([build_annotation(path, [], "t", (64, 128))], "cells")


def test_results_for_coco_number_images_by_their_names(detector, tmp_path):
    annotations = [annotate(tmp_path, "000042.png", RED), annotate(tmp_path, "7.png", [])]
    path = tmp_path / "found.json"
    write_coco_detections(path, annotations, detect_annotations(detector, annotations), detector.class_names)
    records = json.loads(path.read_text())
    assert sorted(record["image_id"] for record in records) == [7, 7, 42, 42]
    assert {record["category_id"] for record in records} == {1}
    boxes = sorted(record["bbox"] for record in records if record["image_id"] == 42)
    np.testing.assert_allclose(boxes, [[64, 0, 64, 32], [64, 32, 64, 32]])
    annotations = [annotate(tmp_path, "a.png", RED), annotate(tmp_path, "7.png", [])]
    write_coco_detections(path, annotations, detect_annotations(detector, annotations), detector.class_names)
    assert {record["image_id"] for record in json.loads(path.read_text())} == {1, 2}


def test_images_that_fit_two_entries_of_a_coco_file_are_refused(tmp_path):
    source = tmp_path / "gt.json"
    images = [{"id": 4, "file_name": "night/1.png"}, {"id": 8, "file_name": "day/1.png"}]
    categories = [{"id": 3, "name": "red"}]
    source.write_text(json.dumps({"images": images, "categories": categories, "annotations": []}))
    for folder in ("day", "dusk"):
        (tmp_path / folder).mkdir()
    assert coco_ids([annotate(tmp_path, "day/1.png", [], str(source))], ["red"]) == ([8], [3])
    with pytest.raises(ValueError, match=r"dusk/1.png can mean, got several: night/1.png \(id 4\), day/1.png \(id 8\)"):
        coco_ids([annotate(tmp_path, "dusk/1.png", [], str(source))], ["red"])


def test_ids_come_from_coco_files_where_there_are_any(tmp_path):
    source = tmp_path / "instances_val.json"
    categories = [{"id": 18, "name": "green"}, {"id": 3, "name": "red"}]
    images = [
        {"id": 900, "file_name": "x/a.png"},
        {"id": 901, "file_name": "y/a.png"},
        {"id": 5, "file_name": "b.png"},
    ]
    source.write_text(json.dumps({"images": images, "categories": categories, "annotations": []}))
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    annotations = [annotate(tmp_path, name, [], str(source)) for name in ("y/a.png", "b.png", "x/a.png")]
    assert coco_ids(annotations, ["red", "green"]) == ([901, 5, 900], [3, 18])
    assert coco_ids(annotations, ["red", "blue"]) is None
    assert coco_ids([annotate(tmp_path, "c.png", [], str(source))], ["red"]) is None
    assert coco_ids([annotate(tmp_path, "b.png", [])], ["red"]) is None
