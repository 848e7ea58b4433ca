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


POLYGONS = [[10, 20, 40, 25, 30, 60], [50, 30, 60.5, 31, 55, 40]]
# A mask of 100 rows: 1005 zeros, which end in row 5 of column 10, 6 ones, zeros.
RUNS = [1005, 6, 100 * 200 - 1011]


@pytest.mark.parametrize(
    "segmentation, box",
    [
        (POLYGONS, [10, 20, 60.5, 60]),
        (POLYGONS[0], [10, 20, 40, 60]),  # one polygon, flat
        ([[[10, 20], [40, 25], [30, 60]]], [10, 20, 40, 60]),  # points
        ({"counts": RUNS, "size": [100, 200]}, [10, 5, 11, 11]),
        ({"counts": "]o06]ab0", "size": [100, 200]}, [10, 5, 11, 11]),  # the same, compressed
    ],
)
@pytest.mark.parametrize("empty", [{}, {"bbox": None}, {"bbox": []}])
def test_an_annotation_without_bbox_gets_the_box_around_its_segmentation(tmp_path, segmentation, box, empty):
    bare = {"id": 1, "image_id": 1, "category_id": 3, "segmentation": segmentation}
    dataset = read_one(tmp_path, [image()], [bare | empty])
    np.testing.assert_array_equal(dataset.annotations[0].boxes, [box])
    assert not dataset.findings


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        "1155",
        [[1, 2, 3]],
        [[1, 2, 3, 4, 5, "x"]],
        [[1, 2, 3, 4, 5, float("nan")]],
        {"counts": [5, 6], "size": [100, 200]},  # 11 of 20,000 pixels
        {"counts": [-5, 20005], "size": [100, 200]},
        {"counts": RUNS, "size": [0, 0]},
        {"counts": RUNS},
        {"counts": "]o06]abP", "size": [100, 200]},  # ends within a number
        {"counts": "\n", "size": [100, 200]},
        {"counts": [20000], "size": [100, 200]},  # an empty mask
    ],
)
def test_a_segmentation_that_cannot_be_read_is_reported(tmp_path, segmentation):
    bare = {"id": 1, "image_id": 1, "category_id": 3, "segmentation": segmentation}
    assert kinds(read_one(tmp_path, [image()], [bare])) == ["bad-box"]


@pytest.mark.parametrize(
    "bbox",
    ["1155", "1 1 5 5", {"x": 1}, 5, [1, 1, 5], [1, 1, 5, True], [1, 1, 5, float("nan")], [1, 1, 5, float("inf")]]
    + [[1, 1, 5, 10**400], [1e308, 1, 1e308, 5]],
)
def test_a_bbox_that_is_not_four_numbers_is_reported_even_beside_a_segmentation(tmp_path, bbox):
    item = entry() | {"bbox": bbox, "segmentation": POLYGONS}
    (finding,) = read_one(tmp_path, [image()], [item]).findings
    assert finding.kind == "bad-box" and "four numbers" in finding.message and "\n" not in finding.message


@pytest.mark.parametrize("image_id", [1, 1.0, "1"])
@pytest.mark.parametrize("other", [1, 1.0, "1", " 1 "])
def test_ids_are_the_same_as_text_and_as_numbers(tmp_path, image_id, other):
    write_image(tmp_path / "a.jpg")
    path = write_json(tmp_path / "a.json", [image(image_id)], [entry(other, other)], [{"id": image_id, "name": "cat"}])
    dataset = coco.read(path)
    assert len(dataset.annotations[0].boxes) == 1 and not dataset.findings


def test_ids_that_are_no_numbers_are_text(tmp_path):
    write_image(tmp_path / "a.jpg")
    path = write_json(tmp_path / "a.json", [image("01")], [entry("01", "x"), entry(1, "x")], [{"id": "x", "name": "c"}])
    dataset = coco.read(path)
    assert len(dataset.annotations[0].boxes) == 1 and kinds(dataset) == ["unknown-image"]


def test_categories_whose_ids_are_text_are_in_the_order_of_the_numbers(tmp_path):
    write_image(tmp_path / "a.jpg")
    names = [{"id": str(number), "name": f"class {number}"} for number in (10, 9, 1)]
    assert coco.read(write_json(tmp_path / "a.json", [image()], [], names)).class_names == [
        "class 1",
        "class 9",
        "class 10",
    ]


def test_a_category_id_that_is_given_twice_is_reported(tmp_path):
    write_image(tmp_path / "a.jpg")
    path = write_json(tmp_path / "a.json", [image()], [entry()], [*CATEGORIES, {"id": "3", "name": "cow"}])
    dataset = coco.read(path)
    assert kinds(dataset) == ["bad-line"] and dataset.class_names[dataset.annotations[0].class_ids[0]] == "cat"


ROBOFLOW = [
    {"id": 0, "name": "pieces", "supercategory": "none"},
    {"id": 1, "name": "bishop", "supercategory": "pieces"},
    {"id": 2, "name": "king", "supercategory": "pieces"},
]


def write_roboflow(root, categories=ROBOFLOW, train=(1, 2), valid=(2,)):
    for part, used in (("train", train), ("valid", valid)):
        write_image(root / part / f"{part}.jpg")
        entries = [entry(category=number) for number in used]
        write_json(root / part / "_annotations.coco.json", [image(1, f"{part}.jpg")], entries, categories)
    return str(root)


@pytest.mark.parametrize("list_name", [None, "train", "valid"])
def test_the_supercategory_of_all_others_is_not_a_class_and_it_is_said(tmp_path, list_name):
    dataset = coco.read(write_roboflow(tmp_path), list_name=list_name)
    assert dataset.class_names == ["bishop", "king"]
    assert dataset.annotations[-1].class_ids[-1] == 1
    (finding,) = dataset.findings
    assert (finding.severity, finding.kind) == ("warning", "supercategory") and "'pieces'" in finding.message


def test_a_supercategory_stays_a_class_where_a_network_has_it(tmp_path):
    names = ["pieces", "bishop", "king"]
    dataset = coco.read(write_roboflow(tmp_path), class_names=names)
    assert dataset.class_names == names and dataset.annotations[0].class_ids.tolist() == [1, 2]
    assert not dataset.findings


@pytest.mark.parametrize("list_name", [None, "train", "valid"])
def test_a_supercategory_with_a_box_in_any_list_is_a_class(tmp_path, list_name):
    dataset = coco.read(write_roboflow(tmp_path, valid=(0, 2)), list_name=list_name)
    assert dataset.class_names == ["pieces", "bishop", "king"] and not dataset.findings


@pytest.mark.parametrize(
    "categories",
    [
        [{"id": 1, "name": "person", "supercategory": "person"}],
        [{"id": 1, "name": "car", "supercategory": "car"}, {"id": 2, "name": "van", "supercategory": "car"}],
        [{"id": 1, "name": "car"}, {"id": 2, "name": "van", "supercategory": "car"}, {"id": 3, "name": "cat"}],
    ],
)
def test_other_categories_without_a_box_are_classes(tmp_path, categories):
    dataset = coco.read(write_roboflow(tmp_path, categories, train=(), valid=()))
    assert dataset.class_names == [category["name"] for category in categories] and not dataset.findings


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


def test_json_of_other_tools_is_told_by_its_first_bytes(tmp_path):
    """LabelMe's files hold the whole image, so they are not read on to look for COCO's keys at their end."""
    labelme = {"version": "5.0.1", "shapes": [], "imageData": "A" * 10_000, "images": [], "categories": []}
    (tmp_path / "a.json").write_text(json.dumps(labelme))
    assert not coco.is_coco_json(str(tmp_path / "a.json"))
