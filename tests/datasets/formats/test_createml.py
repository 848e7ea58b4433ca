"""CreateML's JSON."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import createml
from yolo3.datasets.formats import registry as formats


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


def item(label="cat", **more):
    """A box from (10, 20) to (60, 80): centre (35, 50)."""
    return {"label": label, "coordinates": {"x": 35, "y": 50, "width": 50, "height": 60}} | more


def entry(*items, name="a.jpg"):
    return {"image": name, "annotations": list(items)}


def read_entries(tmp_path, *entries):
    write_image(tmp_path / "a.jpg")
    return createml.read(write_json(tmp_path / "a.json", list(entries)))


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


@pytest.mark.parametrize(
    "content",
    [
        entry(item()),
        {"image": "a.jpg", "verified": True, "annotations": [item(type="rectangle")]},
        {"imagefilename": "a.jpg", "annotation": [item()]},
        {"annotations": [item()], "imageURL": "/Users/me/set/a.jpg"},
        {"annotations": [item(coordinates={"x": "35", "y": 50.0, "width": 50, "height": 60})], "image": "a.jpg"},
    ],
    ids=["roboflow", "labelimg", "apple", "sorted-keys", "numbers-as-text"],
)
def test_each_dialect_gives_the_box_around_the_centre(tmp_path, content):
    dataset = read_entries(tmp_path, content)
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 60, 80]]
    assert not dataset.findings and dataset.class_names == ["cat"]
    assert formats.detect_format(tmp_path) == formats.detect_format(tmp_path / "a.json") == "createml"


def test_images_without_annotations_are_background(tmp_path):
    dataset = read_entries(tmp_path, entry())
    assert [len(one.boxes) for one in dataset.annotations] == [0] and not dataset.findings


def test_roboflows_folders_are_lists(tmp_path):
    for part in ("train", "valid"):
        write_image(tmp_path / part / f"{part}.jpg")
        write_json(tmp_path / part / "_annotations.createml.json", [entry(item(part), name=f"{part}.jpg")])
    assert formats.find_default_lists(tmp_path) == ("train", "valid")
    dataset = formats.read_dataset(tmp_path, list_name="valid")
    assert [Path(one.image_path).name for one in dataset.annotations] == ["valid.jpg"]
    assert dataset.class_names == ["train", "valid"]
    with pytest.raises(ValueError, match="got 'test'; it has train, valid"):
        createml.read(str(tmp_path), list_name="test")


def test_a_list_of_which_nothing_can_be_read_says_why(tmp_path):
    for part in ("train", "valid"):
        write_image(tmp_path / part / f"{part}.jpg")
        path = write_json(tmp_path / part / "_annotations.createml.json", [entry(item(), name=f"{part}.jpg")])
    Path(path).write_text(Path(path).read_text()[:-5])
    dataset = createml.read(str(tmp_path), list_name="valid")
    assert kinds(dataset) == ["bad-json"] and not dataset.annotations
    assert not createml.read(str(tmp_path), list_name="train").findings


def test_many_files_of_an_image_each_are_divided_by_their_folders(tmp_path):
    for part in ("train", "val"):
        for number in range(6):
            write_image(tmp_path / part / f"{part}{number}.jpg")
            write_json(tmp_path / part / f"{part}{number}.json", [entry(item(), name=f"{part}{number}.jpg")])
    assert formats.list_names(tmp_path) == ["train", "val"]
    assert len(formats.read_dataset(tmp_path, list_name="val").annotations) == 6


@pytest.mark.parametrize(
    "bad",
    [
        5,
        item(label=None),
        item(label=" "),
        item(coordinates=None),
        item(coordinates="1155"),
        item(coordinates={"x": 1, "y": 2, "width": 3}),
        item(coordinates={"x": 1, "y": 2, "width": 3, "height": 10**400}),
        item(coordinates={"x": 1, "y": 2, "width": 3, "height": float("inf")}),
    ],
)
def test_a_bad_annotation_is_reported_with_its_image_and_the_rest_is_read(tmp_path, bad):
    dataset = read_entries(tmp_path, entry(bad, item()))
    assert len(dataset.annotations[0].boxes) == 1
    (finding,) = dataset.findings
    assert finding.kind == "bad-box" and finding.message.startswith("a.jpg: expected")


@pytest.mark.parametrize("bad", [5, None, {}, {"image": "b.jpg"}, {"image": 3, "annotations": []}, {"annotations": []}])
def test_a_bad_entry_is_reported_and_the_rest_is_read(tmp_path, bad):
    dataset = read_entries(tmp_path, bad, entry(item()))
    assert len(dataset.annotations) == 1 and kinds(dataset) == ["bad-line"]


def test_a_missing_image_is_reported(tmp_path):
    assert kinds(read_entries(tmp_path, entry(item(), name="lost.jpg"))) == ["missing-image"]


def test_other_json_is_not_createmls(tmp_path):
    results = [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]
    for number, content in enumerate((results, {"images": [], "categories": []}, [], [{"image": "a.jpg"}])):
        write_json(tmp_path / f"{number}.json", content)
    assert not createml.matches(str(tmp_path))
