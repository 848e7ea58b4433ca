"""Darknet's .data file: paths from Darknet's own folder, and what is missing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import registry as formats


@pytest.fixture
def darknet(tmp_path):
    """Darknet's folder: cfg/obj.data, data/obj.names, lists and images in data/; all paths are seen from the folder."""
    settings = "classes= 2\ntrain  = data/train.txt\nvalid  = data/test.txt\nnames = data/obj.names\nbackup = backup/\n"
    files = {
        "cfg/obj.data": settings,
        "data/obj.names": "cat\ndog\n",
        "data/train.txt": "data/obj/a.jpg\n",
        "data/test.txt": "data/obj/b.jpg\n",
        "data/obj/a.txt": "1 0.5 0.5 0.25 0.5\n",
        "data/obj/b.txt": "0 0.5 0.5 0.25 0.5\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in "ab":
        cv2.imwrite(str(tmp_path / "data" / "obj" / f"{name}.jpg"), np.zeros((100, 200, 3), np.uint8))
    return tmp_path


def stems(dataset):
    return [Path(item.image_path).stem for item in dataset.annotations]


def test_paths_are_seen_from_darknets_own_folder(darknet):
    data = darknet / "cfg" / "obj.data"
    assert formats.detect_format(data) == "yolo" and formats.find_default_lists(data) == ("train", "valid")
    dataset = formats.read_dataset(data, list_name="valid")
    assert stems(dataset) == ["b"] and dataset.class_names == ["cat", "dog"] and not dataset.findings
    assert stems(formats.read_dataset(data)) == ["a", "b"]


def test_paths_of_another_machine_are_found_beside_the_file(darknet):
    (darknet / "data" / "train.txt").write_text("/home/me/darknet/data/obj/a.jpg\nC:\\darknet\\data\\obj\\b.jpg\n")
    data = darknet / "obj.data"
    data.write_text("train = /home/me/darknet/data/train.txt\nnames = C:\\darknet\\data\\obj.names\n")
    dataset = formats.read_dataset(data)
    assert stems(dataset) == ["a", "b"] and dataset.class_names == ["cat", "dog"]


@pytest.mark.parametrize("key, line", [("train", 2), ("names", 4)])
def test_a_missing_list_or_file_of_names_is_one_line_with_its_place(darknet, key, line):
    data = darknet / "cfg" / "obj.data"
    lost = {"train": "data/train.txt", "names": "data/obj.names"}[key]
    (darknet / lost).unlink()
    with pytest.raises(ValueError) as caught:
        formats.read_dataset(data, list_name="train")
    assert str(caught.value).startswith(f"{data}:{line}: expected") and lost in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_that_a_list_lacks_are_findings_with_its_line(darknet):
    (darknet / "data" / "train.txt").write_text("data/obj/a.jpg\ndata/obj/lost.jpg\n")
    (finding,) = formats.read_dataset(darknet / "cfg" / "obj.data", list_name="train").findings
    assert finding.kind == "missing-image" and finding.where.endswith("train.txt:2")
