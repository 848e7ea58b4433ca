"""The lists of a run: names of images that read back to the same images, also where the data has moved."""

import os

import numpy as np
import pytest

from yolo3.datasets.annotation import build_annotation
from yolo3.training.image_lists import image_names, read_names, select_images, write_names


def annotations(*paths):
    return [build_annotation(path, [], "a.txt") for path in paths]


def paths_of(selected):
    return [annotation.image_path for annotation in selected]


@pytest.mark.parametrize(
    "path, name",
    [
        ("/data/set/images/1.jpg", "images/1.jpg"),
        ("/data/set/./images/../1.jpg", "1.jpg"),
        ("/data/settle/1.jpg", "/data/settle/1.jpg"),
        ("/elsewhere/1.jpg", "/elsewhere/1.jpg"),
    ],
)
def test_names_are_relative_to_the_data_and_absolute_outside_it(path, name):
    assert image_names(annotations(path), "/data/set") == [name]


def test_a_list_reads_back_to_the_same_names_of_any_characters(tmp_path):
    names = [" a b.jpg ", "ü/é.jpg", os.fsdecode(b"\xff.jpg"), "/abs/c.jpg", "x#y.jpg"]
    write_names(tmp_path / "val.txt", names)
    assert read_names(tmp_path / "val.txt") == names
    write_names(tmp_path / "val.txt", [])
    assert read_names(tmp_path / "val.txt") == []


def test_a_list_edited_on_windows_reads_the_same(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"a.jpg\r\nb.jpg\r\n")
    assert read_names(tmp_path / "val.txt") == ["a.jpg", "b.jpg"]


def test_images_are_selected_in_the_order_of_the_list():
    data = annotations("/d/1.jpg", "/d/2.jpg", "/d/3.jpg")
    selected, gone = select_images(data, ["3.jpg", "1.jpg", "4.jpg"], "/d")
    assert paths_of(selected) == ["/d/3.jpg", "/d/1.jpg"] and gone == ["4.jpg"]


@pytest.mark.parametrize(
    "name, paths, found",
    [
        ("train/1.jpg", ["/new/deep/train/1.jpg", "/new/deep/val/1.jpg"], "/new/deep/train/1.jpg"),
        ("1.jpg", ["/new/images/1.jpg", "/new/images/2.jpg"], "/new/images/1.jpg"),
        ("1.jpg", ["/new/train/1.jpg", "/new/val/1.jpg"], None),  # which of them?
        ("video2/1.jpg", ["/new/video1/1.jpg"], None),  # another image
        ("/old/set/images/1.jpg", ["/mnt/set/images/1.jpg", "/mnt/other/1.jpg"], "/mnt/set/images/1.jpg"),
        ("/old/set/1.jpg", ["/mnt/a/1.jpg", "/mnt/b/1.jpg"], None),
    ],
)
def test_images_that_have_moved_are_found_by_their_path_and_never_guessed(name, paths, found):
    selected, gone = select_images(annotations(*paths), [name], "/new")
    assert paths_of(selected) == ([found] if found else []) and gone == ([] if found else [name])


def test_an_image_in_its_place_is_not_taken_for_another_name():
    selected, gone = select_images(annotations("/d/a/1.jpg"), ["/old/1.jpg", "a/1.jpg"], "/d")
    assert paths_of(selected) == ["/d/a/1.jpg"] and gone == ["/old/1.jpg"]


def test_thousands_of_names_are_selected_at_once():
    data = annotations(*(f"/d/{number}/1.jpg" for number in np.random.default_rng(0).permutation(3000)))
    selected, gone = select_images(data, [f"{number}/1.jpg" for number in range(3000)], "/d")
    assert paths_of(selected) == [f"/d/{number}/1.jpg" for number in range(3000)] and not gone
