"""COCO's results format: ids from names, by number, and from annotations."""

import json
from pathlib import Path

import pytest

from tests.evaluation.examples import detected
from tests.inference.writers.examples import EMPTY, FOUND, NAMES, SHOTS, STILL, VIDEO, write
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.coco_results import CocoFile, coco_detections_json, read_coco_ids


def coco_file(path, images, categories=("dog", "žába/frog")):
    content = {
        "images": [{"id": image_id, "file_name": name} for image_id, name in images],
        "annotations": [],
        "categories": [{"id": 10 * (number + 1), "name": name} for number, name in enumerate(categories)],
    }
    path.write_text(json.dumps(content))
    return str(path)


def coco_items(tmp_path, sources, ids=None, shots=SHOTS):
    write(CocoFile(tmp_path / "found.json", NAMES, sources, ids), shots=shots)
    return json.loads((tmp_path / "found.json").read_text())


def test_coco_results_records_have_width_height_and_the_files_ids():
    record = coco_detections_json([detected((1, 2, 11, 22, 0.5, 1))], ["x7"], [1, 90])
    assert record == [{"image_id": "x7", "category_id": 90, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.5}]
    assert coco_detections_json([detected((1, 2, 11, 22, 0.5, 1))], [3])[0]["category_id"] == 2
    with pytest.raises(ValueError, match="expected 1 image ids, got 2"):
        coco_detections_json([detected()], [1, 2])


def test_coco_results_number_images_and_frames_and_name_them(tmp_path):
    items = coco_items(tmp_path, [STILL, EMPTY, VIDEO])
    assert items[0] == {
        "image_id": 1, "category_id": 2, "bbox": [8, 10, 16, 20], "score": 0.875, "file_name": "in/a.png",
    }  # fmt: skip
    assert [item["image_id"] for item in items] == [1, 1, 3, 3]  # the second image has none
    assert (items[2]["file_name"], items[2]["frame"]) == ("in/clip.avi", 7)


def test_coco_results_take_numbers_from_names_that_are_numbers(tmp_path):
    sources = [Source("image", f"in/{name}.jpg", name) for name in ("000000000139", "785")]
    shots = [(Shot(source, source.name, source.path), FOUND) for source in sources]
    items = coco_items(tmp_path, sources, shots=shots)
    assert [item["image_id"] for item in items] == [139, 139, 785, 785] and "file_name" not in items[0]
    twice = [sources[0], Source("image", "other/139.jpg", "139")]
    shots = [(Shot(source, source.name, source.path), FOUND) for source in twice]
    assert [item["image_id"] for item in coco_items(tmp_path, twice, shots=shots)] == [1, 1, 2, 2]


def test_coco_results_have_cocos_own_ids_for_its_80_classes(tmp_path):
    names = ["person", *map(str, range(78)), "toothbrush"]
    found = Detections([[0, 0, 8, 8]] * 4, [0.5] * 4, [0, 10, 11, 79])
    write(CocoFile(tmp_path / "found.json", names, [STILL]), shots=[(SHOTS[0][0], found)])
    # fire hydrant, the eleventh, is 11; 12 is not used, so the stop sign is 13; toothbrush is 90
    items = json.loads((tmp_path / "found.json").read_text())
    assert [item["category_id"] for item in items] == [1, 11, 13, 90]


def test_coco_results_take_ids_from_annotations(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "other/a.png"), (6, "a.png"), (7, "in/a.png"), (9, "b.png")])
    ids = read_coco_ids(path, [STILL, EMPTY])
    items = coco_items(tmp_path, [STILL, EMPTY], ids, SHOTS[:2])
    assert [(item["image_id"], item["category_id"]) for item in items] == [(7, 20), (7, 10)]
    assert set(items[0]) == {"image_id", "category_id", "bbox", "score"}


def test_annotations_that_do_not_know_an_image_or_a_class_are_refused(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "a.png")], ["dog"])
    for source in (EMPTY, VIDEO):
        with pytest.raises(ValueError, match=f"gt.json: expected an id for each image, got none for {source.path}"):
            read_coco_ids(path, [STILL, source])
    with pytest.raises(ValueError, match="gt.json: .*got none called žába/frog"):
        CocoFile(tmp_path / "found.json", NAMES, [STILL], read_coco_ids(path, [STILL]))
    assert [item.name for item in tmp_path.iterdir()] == ["gt.json"]


@pytest.mark.parametrize("names", [("train/a.png", "val/a.png"), ("in/a.png", "in/a.png")])
def test_annotations_that_cannot_say_which_image_is_which_are_refused(tmp_path, names):
    path = coco_file(tmp_path / "gt.json", [(5, names[0]), (7, names[1])])
    message = rf"in/a.png can mean, got several: {names[0]} \(id 5\), {names[1]} \(id 7\)"
    with pytest.raises(ValueError, match=message):
        read_coco_ids(path, [STILL])


def test_annotations_without_ids_or_names_of_images_are_refused(tmp_path):
    path = coco_file(tmp_path / "gt.json", [])
    for image in ({"id": 1}, 3, {"file_name": "a.png"}):
        Path(path).write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
        with pytest.raises(ValueError, match="gt.json: expected images with 'id' and 'file_name', got "):
            read_coco_ids(path, [STILL])


def test_the_nearest_folders_say_which_image_of_annotations_is_meant(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "set/out/a.png"), (7, "set\\in\\a.png")])
    assert coco_items(tmp_path, [STILL], read_coco_ids(path, [STILL]), SHOTS[:1])[0]["image_id"] == 7
