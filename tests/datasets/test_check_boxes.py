"""Invalid boxes and class ids are reported."""

import numpy as np
import pytest

from tests.datasets.checked import GOOD, annotate, check, dataset_of, kinds, one_image, write_image
from yolo3.datasets.check_boxes import box_findings, suspect_images
from yolo3.datasets.flat_boxes import flatten
from yolo3.datasets.usable import usable_annotations


@pytest.mark.parametrize("box", [(50, 50, 50, 90), (50, 50, 90, 50), (90, 50, 50, 60), (0, 0, 0, 0)])
def test_boxes_without_area_are_errors(tmp_path, box):
    (finding,) = one_image(tmp_path, GOOD, box)
    assert (finding.kind, finding.severity, finding.where, finding.box) == ("no-area", "error", "a.txt:2", 1)


@pytest.mark.parametrize(
    "box, severity",
    [
        ((-20, 10, 60, 90), "warning"),
        ((350, 350, 440, 440), "warning"),
        ((416, 10, 500, 90), "error"),
        ((-90, 10, -5, 90), "error"),
    ],
)
def test_boxes_outside_are_errors_and_those_partly_outside_are_clipped(tmp_path, box, severity):
    dataset = dataset_of(annotate(write_image(tmp_path / "a.png"), box))
    findings = [finding for finding in check(dataset)]
    assert kinds(findings) == [(severity, "outside")] and "416x416" in findings[0].message
    ((item,), left_out) = usable_annotations(dataset, findings)
    expected = [] if severity == "error" else [np.clip(box, 0, 416).tolist()]
    assert item.boxes.tolist() == expected and left_out == ({"outside": 1} if severity == "error" else {})


def test_one_pixel_outside_is_rounding(tmp_path):
    item = annotate(write_image(tmp_path / "a.png"), (0, 0, 416, 416))
    item.boxes[0] = (-1, -1, 417, 417)
    assert check(dataset_of(item)) == []


def test_ids_out_of_range_are_errors(tmp_path):
    findings = one_image(tmp_path, (*GOOD, 0), (100, 100, 181, 182, -1), (200, 200, 281, 282, 1))
    assert kinds(findings) == [("error", "bad-class-id")] * 2
    assert findings[1].message == "expected a class id from 0 to 0 (1 classes), got 1"


def test_ids_that_start_at_one_are_reported(tmp_path):
    findings = one_image(tmp_path, (*GOOD, 1), (100, 100, 181, 182, 2), names=("cat", "dog"))
    assert ("error", "one-based-ids") in kinds(findings) and ("error", "bad-class-id") in kinds(findings)
    assert any("class ids seem to start at 1" in str(finding) for finding in findings)
    fine = one_image(tmp_path, (*GOOD, 0), (100, 100, 181, 182, 2), names=("cat", "dog"))
    assert ("error", "one-based-ids") not in kinds(fine)


def test_classes_without_boxes_are_a_warning_in_training_only(tmp_path):
    names = tuple(f"class {number}" for number in range(9))
    (finding,) = one_image(tmp_path, GOOD, names=names)
    assert (
        finding.kind == "unused-class" and "8 of 9: class 1, class 2, class 3, class 4, class 5, ..." in finding.message
    )
    assert one_image(tmp_path, GOOD, names=names, train=False) == []


def test_a_box_given_twice_is_used_once(tmp_path):
    dataset = dataset_of(annotate(write_image(tmp_path / "a.png"), GOOD, GOOD, (*GOOD[:3], 93)))
    findings = check(dataset)
    assert ("warning", "duplicate-box") in kinds(findings)
    ((item,), left_out) = usable_annotations(dataset, findings)
    assert len(item.boxes) == 2 and left_out == {"duplicate-box": 1} and item.lines == (1, 3)


def test_exif_rotation_counts_for_the_borders(tmp_path):
    path = tmp_path / "a.jpg"
    write_image(path, 100, 300)
    content = path.read_bytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + content[2:])
    # Upright it is 100 wide and 300 high.
    assert check(dataset_of(annotate(path, (10, 200, 90, 290))), train=False) == []
    assert kinds(check(dataset_of(annotate(path, (200, 10, 290, 90))), train=False)) == [("error", "outside")]


def test_boxes_of_many_images_are_checked_at_once_as_one_by_one():
    rng = np.random.default_rng(0)
    shapes = [None if number % 5 == 0 else (30, 40) for number in range(60)]
    items = []
    for number in range(60):
        low = rng.integers(-3, 42, (number % 4, 2))
        boxes = np.concatenate([low, low + rng.integers(-1, 12, low.shape)], 1).tolist()
        again = [(-0.0, *boxes[0][1:])] if boxes and boxes[0][0] == 0 else boxes[:1]
        odd = (float("nan"), 0, 5, 5) if number == 8 else (1, 1, 9, 9)
        items.append(annotate("x.png", *boxes, *(again if number % 3 == 0 else []), odd))
    faulty = [index for index in range(60) if box_findings(index, items[index], shapes[index])]
    suspects = suspect_images(flatten(items), shapes)
    assert set(faulty) <= set(suspects) and 5 < len(faulty) and len(suspects) < 60


def test_a_data_set_without_boxes_has_no_suspects():
    assert suspect_images(flatten([annotate("a.png")]), [(5, 5)]) == suspect_images(flatten([]), []) == []
