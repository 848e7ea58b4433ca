"""COCO JSON, alone and in folders."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.formats import coco

CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write_json(path, images, annotations=(), categories=CATEGORIES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": list(annotations), "categories": categories}))
    return str(path)


def image(number=1, name="a.jpg", **more):
    return {"id": number, "file_name": name, "width": 200, "height": 100} | more


def entry(number=1, category=3, bbox=(10, 20, 30.5, 40), **more):
    return {"id": 1, "image_id": number, "category_id": category, "bbox": list(bbox)} | more


def read_one(tmp_path, images, annotations, **more):
    write_image(tmp_path / "a.jpg")
    return coco.read(write_json(tmp_path / "a.json", images, annotations), **more)


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def test_a_box_is_a_corner_and_a_size(tmp_path):
    dataset = read_one(tmp_path, [image()], [entry(), entry(category=7, bbox=(0, 0, 201, 100), iscrowd=1)])
    (item,) = dataset.annotations
    # 10 + 30.5 = 40.5 and 20 + 40 = 60; 201 is one pixel beyond 200.
    np.testing.assert_array_equal(item.boxes, [[10, 20, 40.5, 60], [0, 0, 200, 100]])
    assert item.crowd.tolist() == [False, True] and not dataset.findings


def test_categories_are_numbered_in_the_order_of_their_ids(tmp_path):
    dataset = read_one(tmp_path, [image()], [entry(category=7), entry(category=3)])
    assert dataset.class_names == ["cat", "dog"] and dataset.annotations[0].class_ids.tolist() == [1, 0]


def test_given_class_names_are_matched_by_name(tmp_path):
    dataset = read_one(
        tmp_path, [image()], [entry(category=7), entry(category=3), entry(category=3)], class_names=["dog"]
    )
    assert dataset.annotations[0].class_ids.tolist() == [0]
    (finding,) = dataset.findings
    assert finding.kind == "unknown-class" and "'cat'" in finding.message and "2 boxes" in finding.message


def test_images_without_boxes_stay(tmp_path):
    write_image(tmp_path / "b.jpg")
    dataset = read_one(tmp_path, [image(), image(2, "b.jpg")], [entry()])
    assert [len(item.boxes) for item in dataset.annotations] == [1, 0]


def test_errors_are_listed_and_the_rest_is_read(tmp_path):
    images = [image(), image(), {"id": 5}, image(6, "lost.jpg")]
    annotations = [
        entry(),
        entry(number=99),
        entry(category=99),
        entry(bbox=(1, 2, 3)),
        entry(bbox=(1, 2, 3, None)),
        5,
    ]
    dataset = read_one(tmp_path, images, annotations)
    assert [len(item.boxes) for item in dataset.annotations] == [1]
    assert kinds(dataset) == [
        "bad-line",
        "bad-line",
        "unknown-image",
        "unknown-class",
        "bad-box",
        "bad-box",
        "unknown-image",
        "missing-image",
    ]
    assert all(finding.where.endswith("a.json") and "expected" in finding.message for finding in dataset.findings)


@pytest.mark.parametrize("sizes, kind", [((100, 200), "exif-size"), ((400, 200), "size-mismatch")])
def test_a_stated_size_that_differs_from_the_image_is_a_warning(tmp_path, sizes, kind):
    assert kinds(read_one(tmp_path, [image(width=sizes[0], height=sizes[1])], [entry()])) == [kind]


@pytest.mark.parametrize(
    "photo",
    [
        "train2017/a.jpg",
        "images/a.jpg",
        "images/train2017/a.jpg",
        "a.jpg",
        "deep/down/A.JPG",
        "annotations/a.jpg",
    ],
)
def test_images_are_found_where_folders_keep_them(tmp_path, photo):
    write_image(tmp_path / photo)
    path = write_json(tmp_path / "annotations" / "instances_train2017.json", [image()], [entry()])
    for given in (str(tmp_path), path):
        (item,) = coco.read(given).annotations
        assert Path(item.image_path) == tmp_path / photo


def test_lists_are_named_by_their_files(tmp_path):
    for part in ("train2017", "val2017"):
        write_image(tmp_path / part / "a.jpg")
        write_json(tmp_path / "annotations" / f"instances_{part}.json", [image()], [entry()])
        write_json(tmp_path / "annotations" / f"person_keypoints_{part}.json", [image()], [entry()])
    (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    assert coco.list_names(str(tmp_path)) == ["train2017", "val2017"]
    (item,) = coco.read(str(tmp_path), list_name="val2017").annotations
    assert Path(item.image_path) == tmp_path / "val2017" / "a.jpg"
    assert len(coco.read(str(tmp_path)).annotations) == 2
    with pytest.raises(ValueError, match="it has train2017, val2017"):
        coco.read(str(tmp_path), list_name="val")


def test_json_in_the_folders_of_the_images_is_named_by_the_folder(tmp_path):
    for part in ("train", "valid"):
        write_image(tmp_path / part / "a.jpg")
        write_json(tmp_path / part / "_annotations.coco.json", [image()], [entry()])
    assert coco.list_names(str(tmp_path)) == ["train", "valid"]
    (item,) = coco.read(str(tmp_path), list_name="valid").annotations
    assert Path(item.image_path).parent.name == "valid"


def test_files_with_the_same_name_are_separate_lists(tmp_path):
    for part in ("one", "two"):
        write_json(tmp_path / part / "train.json", [image()])
    assert coco.list_names(str(tmp_path)) == ["train", "two/train.json"]


@pytest.mark.parametrize(
    "text", ["[]", '{"shapes": []}', '{"images": [], "annotations": []}', '[{"image_id": 1, "bbox": []}]', ""]
)
def test_other_json_is_not_coco(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert not coco.matches(str(tmp_path / "a.json")) and not coco.matches(str(tmp_path))


def test_keys_far_into_a_large_file_are_found(tmp_path):
    filler = {"info": "x" * 3_000_000, "images": [image()], "annotations": [], "categories": CATEGORIES}
    (tmp_path / "a.json").write_text(json.dumps(filler))
    assert coco.matches(str(tmp_path / "a.json"))


def test_a_truncated_file_is_an_error_with_its_line(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [],\n"categories": [],\n"annotations": [')
    with pytest.raises(ValueError, match=r"a\.json:3: expected JSON"):
        coco.read(str(tmp_path / "a.json"))


@pytest.mark.parametrize("target", ["out", "out.json"])
def test_written_data_are_read_back(tmp_path, target):
    write_image(tmp_path / "in" / "my photo.png")
    boxes = np.array([[0, 0, 200, 100], [1 / 3, 2.5, 99.9, 50]], np.float32)
    item = Annotation(
        str(tmp_path / "in" / "my photo.png"),
        boxes,
        np.array([1, 0], np.int32),
        np.zeros(2, bool),
        np.array([False, True]),
        "x",
    )
    dataset = Dataset([item, item.select(np.zeros(2, bool))], ["cat", "dog"], "voc", [], "set [val]")
    coco.write(dataset, str(tmp_path / target))
    again = coco.read(str(tmp_path / target))
    assert again.class_names == ["cat", "dog"] and not again.findings
    np.testing.assert_allclose(again.annotations[0].boxes, boxes, rtol=1e-6)
    assert again.annotations[0].class_ids.tolist() == [1, 0]
    assert again.annotations[0].crowd.tolist() == [False, True] and len(again.annotations[1].boxes) == 0


def test_an_annotation_without_bbox_gets_the_box_around_its_polygons(tmp_path):
    polygons = [[10, 20, 40, 25, 30, 60], [50, 30, 60.5, 31, 55, 40]]
    bare = {"id": 1, "image_id": 1, "category_id": 3}
    dataset = read_one(
        tmp_path,
        [image()],
        [
            bare | {"segmentation": polygons},
            bare | {"bbox": [], "segmentation": polygons[:1]},
            bare | {"segmentation": {"counts": [5, 6], "size": [100, 200]}},
            bare | {"segmentation": [[1, 2, 3]]},
            bare | {"segmentation": []},
        ],
    )
    np.testing.assert_array_equal(dataset.annotations[0].boxes, [[10, 20, 60.5, 60], [10, 20, 40, 60]])
    assert kinds(dataset) == ["bad-box"] * 3


@pytest.mark.parametrize("crowd, expected", [(0, False), ("0", False), (None, False), (1, True), ("1", True)])
def test_crowd_may_be_written_as_text(tmp_path, crowd, expected):
    dataset = read_one(tmp_path, [image()], [entry(iscrowd=crowd)])
    assert dataset.annotations[0].crowd.tolist() == [expected]


def test_float_ids_are_ids(tmp_path):
    dataset = read_one(tmp_path, [image(1.0)], [entry(1, 3.0)])
    assert len(dataset.annotations[0].boxes) == 1 and not dataset.findings


@pytest.mark.parametrize("bad", [[1], {"a": 1}, None])
def test_invalid_ids_are_reported(tmp_path, bad):
    assert kinds(read_one(tmp_path, [image()], [entry(bad), entry(category=bad), entry()])) == [
        "unknown-image",
        "unknown-class",
    ]
    assert kinds(read_one(tmp_path, [image(bad), image(2)], [])) == ["bad-line"]
    path = write_json(tmp_path / "a.json", [image()], [entry()], [{"id": bad, "name": "x"}, *CATEGORIES])
    assert coco.read(path).class_names == ["cat", "dog"]


@pytest.mark.parametrize("name", [None, "", " "])
def test_categories_without_a_name_are_ignored_and_blanks_are_stripped(tmp_path, name):
    write_image(tmp_path / "a.jpg")
    path = write_json(
        tmp_path / "a.json", [image()], [entry()], [{"id": 1, "name": name}, {"id": 3, "name": " red\ncell "}]
    )
    dataset = coco.read(path)
    assert dataset.class_names == ["red cell"] and dataset.annotations[0].class_ids.tolist() == [0]


def test_annotations_may_be_null_or_a_list_and_nothing_else(tmp_path):
    write_image(tmp_path / "a.jpg")
    for annotations in ("null", '"x"'):
        (tmp_path / "a.json").write_text(
            '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 3, "name": "cat"}], '
            f'"annotations": {annotations}}}'
        )
        if annotations == "null":
            assert len(coco.read(str(tmp_path)).annotations) == 1
        else:
            with pytest.raises(ValueError, match="expected 'annotations' to be a list"):
                coco.read(str(tmp_path))


@pytest.mark.parametrize("name", ["labels.json", "annotations.json", "coco/result.json"])
def test_files_with_the_same_name_are_named_by_their_folders(tmp_path, name):
    for part in ("train", "validation"):
        write_image(tmp_path / "set" / part / "data" / "a.jpg")
        write_json(tmp_path / "set" / part / name, [image()], [entry()])
    assert sorted(coco.list_names(str(tmp_path))) == ["train", "validation"]
    (item,) = coco.read(str(tmp_path), list_name="validation").annotations
    assert item.image_path.endswith("set/validation/data/a.jpg")


def test_json_of_other_tools_is_told_by_its_first_bytes(tmp_path, monkeypatch):
    """LabelMe's files hold the whole image; reading them to tell that they are not COCO takes minutes."""
    (tmp_path / "a.json").write_text(json.dumps({"version": "5.0.1", "shapes": [], "imageData": "A" * (1 << 21)}))
    monkeypatch.setattr(coco, "_BYTES_LOOKED_AT", 0)  # anything more is an error: a negative number of bytes is all
    monkeypatch.setattr(coco.re, "match", lambda *_: pytest.fail("read on"))
    assert not coco.is_coco_json(str(tmp_path / "a.json"))
