"""Images listed twice, equal files, and images in two lists."""

from tests.datasets.checked import GOOD, annotate, check, dataset_of, kinds, write_image
from yolo3.datasets.check_duplicates import check_overlap
from yolo3.datasets.usable import usable_annotations


def test_an_image_listed_twice_with_the_same_boxes_is_a_warning(tmp_path):
    path = write_image(tmp_path / "a.jpg")
    dataset = dataset_of(annotate(path, GOOD, source="t:1"), annotate(tmp_path / "." / "a.jpg", GOOD, source="t:2"))
    findings = check(dataset)
    assert kinds(findings) == [("warning", "duplicate-image")] and findings[0].where == "t:2"
    ((item,), left_out) = usable_annotations(dataset, findings)
    assert len(item.boxes) == 1 and left_out == {"duplicate-image": 1}


def test_an_image_listed_twice_with_other_boxes_is_an_error_and_keeps_all_of_them(tmp_path):
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


def test_images_in_two_lists_are_found_by_path_and_by_content(tmp_path):
    paths = [
        write_image(tmp_path / f"{name}.jpg", seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 2))
    ]
    a, b, c, d = (annotate(path, GOOD) for path in paths)
    lost = annotate(tmp_path / "lost.jpg", GOOD)
    findings = check_overlap([a, c, lost], [b, c, d, lost])
    assert [(finding.kind, finding.where) for finding in findings] == [
        ("overlap", "b.txt"),
        ("overlap", "c.txt"),
        ("overlap", "lost.txt"),
    ]
    assert check_overlap([a], [d]) == []
