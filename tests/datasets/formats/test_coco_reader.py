"""Annotations of COCO files are worked on as columns, with the same boxes and findings as one by one."""

import numpy as np
import pytest

from tests.datasets.checked import write_image
from yolo3.datasets.find_images import ImageIndex
from yolo3.datasets.flat_boxes import flatten
from yolo3.datasets.formats import coco_reader
from yolo3.datasets.formats.coco_entries import Entries
from yolo3.datasets.formats.coco_reader import CocoReader
from yolo3.file_states import watching

IMAGES = [
    {"id": 20, "file_name": "b.png", "width": 40, "height": 30},
    {"id": 10, "file_name": "a.png", "width": 40, "height": 30},
    {"id": 30, "file_name": "gone.png", "width": 40, "height": 30},
]
CATEGORIES = [{"id": 5, "name": "cat"}, {"id": 9, "name": "dog"}]


def entry(image_id=10, category_id=5, bbox=(1, 2, 3, 4), **more):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox)} | more


def read(tmp_path, entries, class_names=("cat", "dog"), images=IMAGES):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, 30, 40)
    findings = []
    reader = CocoReader(
        file=str(tmp_path / "x.json"),
        list_name="x",
        index=ImageIndex(str(tmp_path)),
        class_names=class_names,
        findings=findings,
    )
    content = {"images": images, "categories": CATEGORIES, "annotations": Entries(entries)}
    return reader.read(content), findings


def test_boxes_go_to_their_images_in_the_order_of_the_file(tmp_path):
    entries = [
        entry(10),
        entry("20", 9),
        entry(30),
        entry(10.0, 9, (5, 6, 7, 8), iscrowd=1),
        entry(20, bbox=(0, 0, 9, 9)),
    ]
    (b, a), _ = read(tmp_path, entries)
    np.testing.assert_array_equal(b.boxes, np.array([[1, 2, 4, 6], [0, 0, 9, 9]], np.float32))
    np.testing.assert_array_equal(a.boxes, np.array([[1, 2, 4, 6], [5, 6, 12, 14]], np.float32))
    assert (b.class_ids.tolist(), a.class_ids.tolist(), a.crowd.tolist()) == ([1, 0], [0, 1], [False, True])
    assert (a.boxes.dtype, a.class_ids.dtype, a.difficult.tolist()) == (np.float32, np.int32, [False, False])


def test_what_is_wrong_is_told_in_the_order_of_the_file_and_the_rest_is_kept(tmp_path):
    wrong = [entry(99), entry(category_id=7), entry(bbox=(1, 2, 3)), entry(bbox=(1e39, 0, 1, 1)), 17, entry("no")]
    entries = [item for one in wrong for item in (one, entry())]
    (_, a), findings = read(tmp_path, entries)
    kinds = [finding.kind for finding in findings if finding.kind != "missing-image"]
    assert kinds == ["unknown-image", "unknown-class", "bad-box", "bad-box", "unknown-image", "unknown-image"]
    assert len(a.boxes) == len(wrong)


def test_a_box_of_a_class_that_is_not_asked_for_is_counted_and_left_out(tmp_path):
    (_, a), findings = read(tmp_path, [entry(category_id=9), entry(), entry(category_id="9")], class_names=["cat"])
    assert a.class_ids.tolist() == [0]
    assert "2 boxes left out" in str(findings[0])


@pytest.mark.parametrize("at_once", [1, 2, 1 << 16])
def test_each_box_is_clipped_to_its_own_image(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(coco_reader, "_CLIPPED_AT_ONCE", at_once)
    entries = [entry(10, bbox=(-0.5, 2, 41, 28.5)), entry(20, bbox=(-2, 0, 50, 30)), entry(10)]
    (b, a), _ = read(tmp_path, entries)
    assert a.boxes.tolist() == [[0, 2, 40, 30], [1, 2, 4, 6]]  # up to a pixel outside is rounding
    assert b.boxes.tolist() == [[-2, 0, 48, 30]]
    assert flatten([b, a]).image.tolist() == [0, 1, 1]


def test_the_disk_is_asked_about_folders_and_not_about_each_name(tmp_path):
    counts = []
    for number in (2, 40):
        images = [{"id": n, "file_name": f"none/gone{n}.png"} for n in range(number)]
        looks = []
        with watching(lambda looks=looks: looks.append(1)):
            read(tmp_path, [], images=images)
        counts.append(len(looks))
    assert counts[0] == counts[1]
