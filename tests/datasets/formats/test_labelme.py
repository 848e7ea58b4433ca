"""LabelMe's JSON files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import labelme
from yolo3.datasets.formats import registry as formats


def write_image(path, height=100, width=200, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))


def shape(label="cat", points=((10, 20), (60, 80)), shape_type="rectangle", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": shape_type, "flags": {}} | more


def write_json(path, *shapes, image="a.jpg", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": "AAAA"}
    path.write_text(json.dumps(content | {"imageHeight": 100, "imageWidth": 200} | more))
    return str(path)


def read_shapes(tmp_path, *shapes, **more):
    write_image(tmp_path / "a.jpg")
    return labelme.read(write_json(tmp_path / "a.json", *shapes, **more))


@pytest.mark.parametrize(
    "item, box",
    [
        (shape(), [10, 20, 60, 80]),
        (shape(points=[[60, 20], [10, 80]]), [10, 20, 60, 80]),
        (shape(points=[[10, 20], [60, 30], [35.5, 80]], shape_type="polygon"), [10, 20, 60, 80]),
        # A circle of radius 5 around 50, 40: 3 and 4 from its centre to the point on it.
        (shape(points=[[50, 40], [53, 44]], shape_type="circle"), [45, 35, 55, 45]),
        (shape(points=[[10, 20], [59, 79]], shape_type="mask", mask="iVBOR"), [10, 20, 60, 80]),
        (shape(points=[[35, 20], [60, 50], [35, 80], [10, 50]], shape_type="rotation"), [10, 20, 60, 80]),
        ({"label": "cat", "line_color": None, "points": [[10, 20], [60, 20], [60, 80]]}, [10, 20, 60, 80]),
    ],
    ids=["rectangle", "corners-swapped", "polygon", "circle", "mask", "rotated", "version-3"],
)
def test_each_shape_becomes_the_box_around_it(tmp_path, item, box):
    dataset = read_shapes(tmp_path, item)
    assert dataset.annotations[0].boxes.tolist() == [box] and not dataset.findings
    assert dataset.class_names == ["cat"]
    assert formats.detect_format(tmp_path) == formats.detect_format(tmp_path / "a.json") == "labelme"


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    left, right = ([[0, 10], [20, 10], [20, 30]], [[50, 20], [70, 20], [70, 40]])
    dataset = read_shapes(
        tmp_path,
        shape(points=left, shape_type="polygon", group_id=1),
        shape(points=right, shape_type="polygon", group_id=1),
        shape("dog", points=right, shape_type="polygon", group_id=1),
        shape(points=right, shape_type="polygon"),
        shape(points=right, shape_type="polygon"),
    )
    assert dataset.annotations[0].boxes.tolist() == [[0, 10, 70, 40]] + [[50, 20, 70, 40]] * 3


def test_a_file_without_shapes_is_a_background_image(tmp_path):
    dataset = read_shapes(tmp_path)
    assert [len(item.boxes) for item in dataset.annotations] == [0] and not dataset.findings


def test_points_lines_and_ignored_regions_give_no_box_and_are_counted(tmp_path):
    dataset = read_shapes(
        tmp_path,
        shape(),
        shape(points=[[1, 2]], shape_type="point"),
        shape(points=[[1, 2], [3, 4]], shape_type="line"),
        shape("__ignore__"),
    )
    assert len(dataset.annotations[0].boxes) == 1 and dataset.class_names == ["cat"]
    (finding,) = dataset.findings
    assert (finding.severity, finding.kind) == ("warning", "without-area") and finding.message.startswith("2 points")


@pytest.mark.parametrize(
    "bad",
    [
        5,
        {"points": [[1, 2], [3, 4]]},
        shape(label=" "),
        shape(points=[[1, 2]]),
        shape(points=[[1, 2], [3]]),
        shape(points=[[1, 2], [3, None]]),
        shape(points=[[1, 2], [3, 10**400]]),
        shape(points=[[1, 2], [3, float("nan")]]),
        shape(points="1155"),
        shape(points=None),
    ],
)
def test_a_bad_shape_is_reported_and_the_rest_is_read(tmp_path, bad):
    dataset = read_shapes(tmp_path, bad, shape())
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 60, 80]]
    (finding,) = dataset.findings
    assert finding.kind == "bad-box" and finding.where == str(tmp_path / "a.json") and "\n" not in finding.message


@pytest.mark.parametrize("start", ["[" * 100_000, "1" * 5000 + "]}", "x"])
def test_a_file_that_cannot_be_parsed_is_one_finding_and_the_rest_is_read(tmp_path, start):
    (tmp_path / "b.json").write_text('{"shapes": [' + start)
    read_shapes(tmp_path, shape())
    dataset = labelme.read(str(tmp_path))
    assert len(dataset.annotations) == 1
    (finding,) = dataset.findings
    assert finding.kind == "bad-json" and finding.where.startswith(str(tmp_path / "b.json"))


@pytest.mark.parametrize("text, kind", [("{", "bad-json"), ("[]", "bad-json"), ('{"shapes": 3}', "bad-line")])
def test_a_file_of_another_kind_is_reported_where_it_is_named(tmp_path, text, kind):
    write_image(tmp_path / "b.jpg")
    (tmp_path / "b.json").write_text(text)
    assert [finding.kind for finding in labelme.read(str(tmp_path / "b.json")).findings] == [kind]


def test_the_image_is_found_by_its_path_then_by_the_files_name(tmp_path):
    write_image(tmp_path / "images" / "a b.jpg")
    for name in ("..\\images\\a b.jpg", "C:\\set\\images\\a%20b.jpg", "old name.jpg", None):
        write_json(tmp_path / "json" / "a b.json", shape(), image=name)
        (item,) = labelme.read(str(tmp_path)).annotations
        assert item.image_path == str(tmp_path / "images" / "a b.jpg") and len(item.boxes) == 1
    (tmp_path / "images" / "a b.jpg").unlink()
    (finding,) = labelme.read(str(tmp_path / "json" / "a b.json")).findings
    assert finding.kind == "missing-image"


def test_labels_txt_orders_the_classes(tmp_path):
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    assert read_shapes(tmp_path, shape("fox"), shape()).class_names == ["dog", "cat", "fox"]


def test_folders_are_lists_of_the_same_classes(tmp_path):
    for part, label in (("train", "cat"), ("val", "dog")):
        write_image(tmp_path / part / f"{part}.jpg")
        write_json(tmp_path / part / f"{part}.json", shape(label), image=f"{part}.jpg")
    assert formats.find_default_lists(tmp_path) == ("train", "val")
    dataset = formats.read_dataset(tmp_path, list_name="val")
    assert [Path(item.image_path).name for item in dataset.annotations] == ["val.jpg"]
    assert dataset.class_names == ["cat", "dog"]
    with pytest.raises(ValueError, match="got 'test'; it has train, val"):
        labelme.read(str(tmp_path), list_name="test")


def test_faults_of_another_list_do_not_count(tmp_path):
    for part, points in (("train", [[1, 2], [3, 4]]), ("val", [[1, 2]])):
        write_image(tmp_path / part / f"{part}.jpg")
        extra = shape(points=[[1, 2]], shape_type="point")
        shapes = [shape(points=points)] + [extra] * (part == "val")
        write_json(tmp_path / part / f"{part}.json", *shapes, image=f"{part}.jpg")
    assert not labelme.read(str(tmp_path), list_name="train").findings
    found = labelme.read(str(tmp_path), list_name="val").findings
    assert [finding.kind for finding in found] == ["bad-box", "without-area"]


def test_a_stated_size_is_compared_with_the_image(tmp_path):
    (finding,) = read_shapes(tmp_path, shape(), imageWidth=400).findings
    assert finding.kind == "size-mismatch"
    assert not read_shapes(tmp_path, shape(), imageWidth=None).findings


def test_other_json_is_not_labelme(tmp_path):
    for number, content in enumerate(({"images": [], "categories": []}, [], {"a": 1}, {"name": "shapes"})):
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    assert not labelme.matches(str(tmp_path))


def test_sorted_keys_and_a_large_embedded_image_are_recognised(tmp_path):
    content = {"flags": {}, "imageData": "A" * 100_000, "imagePath": "a.jpg", "shapes": [shape()]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert labelme.matches(str(tmp_path))
