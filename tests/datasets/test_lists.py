"""Which lists belong together, folders as lists."""

import pytest

from yolo3.datasets.lists import default_pair, group_by_folder


def test_folders_divide_files_below_what_they_share():
    files = ["/d/ann/train/1.xml", "/d/ann/train/2.xml", "/d/ann/val/3.xml"]
    assert group_by_folder(files, "/d") == {"train": files[:2], "val": files[2:]}
    assert group_by_folder(files[:2], "/d") == {} == group_by_folder([], "/d")
    assert group_by_folder([*files, "/d/ann/4.xml"], "/d") == {}


@pytest.mark.parametrize(
    "names, pair",
    [
        (["train", "val", "trainval", "test"], ("train", "val")),
        (["trainval", "test"], ("trainval", "test")),
        (["train", "test"], ("train", "test")),
        (["train", "valid", "test"], ("train", "valid")),
        (["training", "validation"], ("training", "validation")),
        (["train2017", "val2017"], ("train2017", "val2017")),
        (["2007_train", "2007_val"], ("2007_train", "2007_val")),
        (["train", "2007_train", "val"], ("train", "val")),
        (["trainval", "test", "train"], ("trainval", "test")),
        (["train", "extra_train", "test"], ("train", "test")),
        (["train"], None),
        (["trainval", "val"], None),
        (["day1", "day2"], None),
        ([], None),
    ],
)
def test_default_lists_are_a_matching_pair(names, pair):
    assert default_pair(names) == pair
