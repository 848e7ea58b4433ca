"""Every finding is seen to fire, and what is left out is counted."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets import check_images as checks
from yolo3.datasets.annotation import Box, Dataset, Finding, build_annotation
from yolo3.datasets.formats import pascal_voc
from yolo3.datasets.usable import usable_annotations
from yolo3.training.checks import best_shape_iou, check_dataset, count_shared

BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd"
ANCHORS = np.array([[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]], float)
MASK = [[3, 4, 5], [0, 1, 2]]
GOOD = (10, 10, 91, 92)  # 81x82, just an anchor


def write_image(path, height=416, width=416, seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return str(path)


def annotate(path, *boxes, source=None):
    """Boxes are (x_min, y_min, x_max, y_max) or those with a class id; lines count from 1."""
    built = [Box(box[:4], box[4] if len(box) > 4 else 0, line=line) for line, box in enumerate(boxes, 1)]
    return build_annotation(str(path), built, source or f"{Path(path).stem}.txt")


def dataset_of(*annotations, names=("cat",), findings=()):
    return Dataset(list(annotations), list(names), "voc", list(findings), "set [train]")


def check(dataset, **more):
    settings = {"anchors": ANCHORS, "anchor_mask": MASK, "input_shape": (416, 416)} | more
    return check_dataset(dataset, **settings)


def kinds(findings):
    return [(finding.severity, finding.kind) for finding in findings]


def one_image(tmp_path, *boxes, names=("cat",), **more):
    return check(dataset_of(annotate(write_image(tmp_path / "a.png"), *boxes), names=names), **more)


def test_a_good_data_set_has_no_findings_and_is_left_as_it_is(tmp_path):
    dataset = dataset_of(annotate(write_image(tmp_path / "a.jpg"), GOOD, (0, 0, 416, 416)))
    before = dataset.annotations[0].boxes.copy()
    findings = check(dataset)
    assert findings == []
    annotations, left_out = usable_annotations(dataset, findings)
    assert left_out == {} and len(annotations) == 1
    np.testing.assert_array_equal(annotations[0].boxes, before)
    np.testing.assert_array_equal(dataset.annotations[0].boxes, before)


def test_an_empty_data_set_and_images_without_boxes_are_no_trouble(tmp_path):
    assert check(dataset_of(names=())) == []
    assert check(dataset_of(annotate(write_image(tmp_path / "a.jpg")), names=())) == []


def test_findings_of_the_reader_come_first(tmp_path):
    known = Finding("error", "bad-box", "train.txt:3", "expected five numbers")
    dataset = dataset_of(annotate(write_image(tmp_path / "a.jpg"), GOOD), findings=[known])
    assert check(dataset) == [known]
    assert usable_annotations(dataset, check(dataset))[1] == {"bad-box": 1}
    assert str(known) == "train.txt:3: expected five numbers"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("keep, kind", [(0, "empty-image"), (0.5, "truncated-image"), (0.995, "truncated-image")])
def test_images_that_end_too_early_are_errors(tmp_path, suffix, keep, kind):
    path = tmp_path / f"a{suffix}"
    write_image(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    dataset = dataset_of(annotate(path, GOOD))
    findings = check(dataset)
    assert kinds(findings) == [("error", kind)] and findings[0].where == "a.txt"
    assert usable_annotations(dataset, findings) == ([], {kind: 1})


def test_images_that_cannot_be_decoded_are_errors(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>not found</html>")
    findings = check(dataset_of(annotate(tmp_path / "a.jpg", GOOD), annotate(tmp_path / "absent.jpg", GOOD)))
    assert kinds(findings) == [("error", "unreadable-image")] * 2


def test_a_thumbnails_end_does_not_make_a_torn_image_whole(tmp_path):
    write_image(tmp_path / "thumb.jpg", 16, 16)
    write_image(tmp_path / "a.jpg")
    thumb, content = (tmp_path / "thumb.jpg").read_bytes(), (tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb
    whole = content[:2] + segment + content[2:]
    assert checks.image_fault(whole) is None and checks.image_fault(whole + b"trailing bytes") is None
    assert checks.image_fault(whole[:-2])[0] == "truncated-image"


@pytest.mark.parametrize("flags", [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]])
def test_progressive_and_restarted_images_are_whole(tmp_path, flags):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8), flags)
    assert checks.image_fault((tmp_path / "a.jpg").read_bytes()) is None


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
    findings = [finding for finding in check(dataset) if finding.kind != "anchor-fit"]
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


def test_ids_that_start_at_one_are_said_to(tmp_path):
    findings = one_image(tmp_path, (*GOOD, 1), (100, 100, 181, 182, 2), names=("cat", "dog"))
    assert ("error", "one-based-ids") in kinds(findings) and ("error", "bad-class-id") in kinds(findings)
    assert any("your ids look like they start at 1" in str(finding) for finding in findings)
    fine = one_image(tmp_path, (*GOOD, 0), (100, 100, 181, 182, 2), names=("cat", "dog"))
    assert ("error", "one-based-ids") not in kinds(fine)


def test_classes_without_boxes_are_warned_of_in_training_alone(tmp_path):
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


def test_a_image_listed_twice_with_the_same_boxes_is_a_warning(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    dataset = dataset_of(annotate(path, GOOD, source="t:1"), annotate(tmp_path / "." / "a.jpg", GOOD, source="t:2"))
    findings = check(dataset)
    assert kinds(findings) == [("warning", "duplicate-image")] and findings[0].where == "t:2"
    ((item,), left_out) = usable_annotations(dataset, findings)
    assert len(item.boxes) == 1 and left_out == {"duplicate-image": 1}


def test_a_image_listed_twice_with_other_boxes_is_an_error_and_keeps_all_of_them(tmp_path):
    path, other = write_image(tmp_path / "a.jpg"), (200, 200, 281, 282)
    dataset = dataset_of(annotate(path, GOOD, source="t:1"), annotate(path, GOOD, other, source="t:2"))
    findings = check(dataset)
    assert kinds(findings) == [("error", "duplicate-image")]
    ((item,), left_out) = usable_annotations(dataset, findings)
    assert item.boxes.tolist() == [list(GOOD), list(other)] and left_out == {"duplicate-image": 1}


def test_two_files_with_the_same_bytes_are_a_warning(tmp_path):
    dataset = dataset_of(*(annotate(write_image(tmp_path / f"{name}.jpg"), GOOD) for name in "ab"))
    findings = check(dataset)
    assert kinds(findings) == [("warning", "same-image")] and findings[0].where == "b.txt"
    assert len(usable_annotations(dataset, findings)[0]) == 2


def test_boxes_that_share_a_slot_are_counted_in_one_warning(tmp_path):
    # Cells of 32 pixels: centres (50.5, 51) and (52.5, 51) are both in column 1, row 1, of the same anchor.
    (finding,) = one_image(tmp_path, GOOD, (12, 10, 93, 92), (200, 200, 281, 282))
    assert finding.kind == "shared-slot" and finding.message.startswith("1 boxes in 1 images")
    assert one_image(tmp_path, GOOD, (12, 10, 93, 92), (200, 200, 281, 282), train=False) == []


def test_taken_slots_are_counted_as_a_slow_loop_counts_them():
    slots = np.random.default_rng(0).integers(0, 3, (40, 4))
    seen, taken = set(), 0
    for slot in slots.tolist():
        taken += tuple(slot) in seen
        seen.add(tuple(slot))
    assert count_shared(slots) == taken and count_shared(slots[:0]) == 0


def test_boxes_too_small_for_the_network_are_warned_of(tmp_path):
    # The 832x832 image is halved: 3 pixels become 1.5; 4 become 2, which is enough.
    path = write_image(tmp_path / "a.png", 832, 832)
    findings = check(dataset_of(annotate(path, (10, 10, 13, 40), (100, 100, 104, 104))))
    assert "1 boxes are less than 2 pixels" in next(str(item) for item in findings if item.kind == "small-box")


def test_anchors_that_fit_badly_are_warned_of_with_advice(tmp_path):
    # 300x10 against the anchors: the best is 81x82 with 810 / (3000 + 6642 - 810) = .09.
    (finding,) = one_image(tmp_path, (10, 10, 310, 20))
    assert finding.kind == "anchor-fit" and "IoU 0.09" in finding.message and "yolo3 anchors" in finding.message


def test_the_best_shape_iou_is_that_of_concentric_boxes():
    # 20x28 over 10x14: 140 / 560 = .25; over 23x27: 20*27 / (560 + 621 - 540) = .842.
    iou = best_shape_iou(np.array([[20.0, 28.0], [10.0, 14.0]]), ANCHORS)
    np.testing.assert_allclose(iou, [540 / 641, 1.0])


def test_stretching_is_taken_into_account(tmp_path):
    # 832x416 stretched to 416x416 halves the width: 162x82 becomes 81x82, an anchor; letterboxed it is 81x41.
    path = write_image(tmp_path / "a.png", 416, 832)
    dataset = dataset_of(annotate(path, (10, 10, 172, 92)))
    assert check(dataset, resize="stretch") == []
    assert kinds(check(dataset, resize="letterbox")) == [("warning", "anchor-fit")]


def test_crowd_regions_take_no_slot(tmp_path):
    path = write_image(tmp_path / "a.png")
    item = build_annotation(path, [Box(GOOD, 0), Box((12, 10, 93, 92), 0, crowd=True)], "a.json")
    assert check(dataset_of(item)) == []


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


def test_progress_is_told_of_every_image(tmp_path):
    paths = [write_image(tmp_path / f"{number}.jpg", 8, 8, number) for number in range(70)]
    calls = []
    assert len(list(checks.check_images(paths, 2, lambda done, all: calls.append((done, all))))) == 70
    assert calls == [(number, 70) for number in range(1, 71)]


def test_images_in_two_lists_are_found_by_path_and_by_content(tmp_path):
    paths = [
        write_image(tmp_path / f"{name}.jpg", seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 2))
    ]
    a, b, c, d = (annotate(path, GOOD) for path in paths)
    lost = annotate(tmp_path / "lost.jpg", GOOD)
    findings = checks.check_overlap([a, c, lost], [b, c, d, lost])
    assert [(finding.kind, finding.where) for finding in findings] == [
        ("overlap", "b.txt"),
        ("overlap", "c.txt"),
        ("overlap", "lost.txt"),
    ]
    assert checks.check_overlap([a], [d]) == []


@pytest.mark.skipif(not BCCD.is_dir(), reason="the photographs of blood cells are not beside the repository")
def test_real_photographs_have_no_errors():
    dataset = pascal_voc.read(str(BCCD), list_name="test")
    findings = check(dataset)
    assert not [finding for finding in findings if finding.severity == "error"]
    assert len(usable_annotations(dataset, findings)[0]) == 72
