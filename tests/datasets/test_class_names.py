"""Class names in files, by number, and mapped."""

from pathlib import Path

import numpy as np
import pytest

from yolo3.datasets.annotation import Box
from yolo3.datasets.class_names import (
    ClassMap,
    FolderNames,
    bundled_class_names,
    numbered_class_names,
    read_class_names,
    unknown_name_message,
    write_class_names,
)
from yolo3.datasets.images import write_image


def test_class_names_skip_blank_lines_comments_and_byte_order_mark(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes("\ufeff# names\r\ncat\r\n\r\n traffic light \r\n".encode())
    assert read_class_names(path) == ["cat", "traffic light"]


def test_a_class_name_given_twice_is_an_error_with_both_lines(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("cat\n\ndog\ncat\n")
    with pytest.raises(ValueError, match=r"classes\.txt:4: .*'cat' again \(first on line 1\)"):
        read_class_names(path)


def test_an_empty_class_file_is_an_error(tmp_path):
    (tmp_path / "classes.txt").write_text("\n# nothing\n")
    with pytest.raises(ValueError, match="one class name per line"):
        read_class_names(tmp_path / "classes.txt")


def test_class_names_written_are_read_back_and_leave_no_other_file(tmp_path):
    names = ["cat", "traffic light", "\u00e9t\u00e9", "#x", "\U0001f469\u200d\U0001f680"]
    write_class_names(tmp_path / "run" / "classes.txt", names)
    assert read_class_names(tmp_path / "run" / "classes.txt") == names
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["classes.txt"]


@pytest.mark.parametrize(
    "names", [["a", "a"], [""], [" a"], ["\\#a"], ["a\nb"], ["a\x1b[2J"], ["\udc80"], ["a\u2028b"]]
)
def test_class_names_that_would_not_be_read_back_are_refused(tmp_path, names):
    with pytest.raises(ValueError, match="class names"):
        write_class_names(tmp_path / "classes.txt", names)


def test_class_names_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "names.png"
    write_image(path, np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="names.png: expected one class name per line, got bytes that are not text"):
        read_class_names(path)


def test_unknown_names_come_with_the_nearest_known_ones():
    assert "did you mean 'Platelets'?" in unknown_name_message("platelet", ["RBC", "Platelets"])
    assert "the classes are RBC, WBC" in unknown_name_message("zebra", ["RBC", "WBC"])


@pytest.mark.parametrize(("num_classes", "last"), [(80, "toothbrush"), (20, "tvmonitor")])
def test_the_names_of_coco_and_voc_come_from_the_package_whatever_folder_one_is_in(
    num_classes, last, tmp_path, monkeypatch
):
    other = tmp_path / "model_data" / bundled_class_names(num_classes).name
    other.parent.mkdir()
    other.write_text("cat\n" * num_classes)
    monkeypatch.chdir(tmp_path)
    path = bundled_class_names(num_classes)
    names = read_class_names(path)
    assert len(names) == num_classes and names[-1] == last
    assert "datasets" in path.parts, "package data, which a wheel holds"


def test_the_repositorys_copies_of_the_bundled_names_are_the_same():
    for path in (bundled_class_names(80), bundled_class_names(20)):
        copy = Path(__file__).parents[2] / "model_data" / path.name
        assert copy.read_bytes() == path.read_bytes()
    assert bundled_class_names(3) is None


def test_classes_are_numbered_up_to_the_highest_plausible_id():
    assert numbered_class_names([2, 0, -1]) == ["class_0", "class_1", "class_2"]
    assert numbered_class_names([1, 2_000_000_000]) == ["class_0", "class_1"]
    assert numbered_class_names([]) == ["class_0"]


def test_class_ids_are_mapped_by_name():
    findings = []
    boxes = [Box((0, 0, 1, 1), class_id, line=class_id + 1) for class_id in (0, 1, 2, 5)]
    mapped = ClassMap(["cat", "dog", "cow"], ["dog", "cat"]).apply(boxes, "a.txt", findings)
    assert [box.class_id for box in mapped] == [1, 0]
    assert [(finding.kind, finding.where) for finding in findings] == [
        ("unknown-class", "a.txt:3"),
        ("bad-class-id", "a.txt:6"),
    ]


def test_ids_mean_the_names_of_the_nearest_folder():
    own = FolderNames({"/set/train/classes.txt": ["cat", "dog"], "/set/val/labels/classes.txt": ["dog", "cow"]})
    assert own.names == ["cat", "dog", "cow"]
    assert own.of("/set/train/labels/deep/1.txt") == ["cat", "dog"] and own.of("/set/val/labels/1.txt") == [
        "dog",
        "cow",
    ]
    assert own.of("/set/test/1.txt") == ["cat", "dog"]  # the first, where no folder above says
    (finding,) = own.findings("set")
    assert "/set/train/classes.txt and /set/val/labels/classes.txt" in finding.message and finding.severity == "warning"
    assert FolderNames({"/a/classes.txt": ["cat"], "/b/classes.txt": ["cat"]}).findings("set") == []
