"""Which lists belong together, folders as lists, and splits."""

import pytest

from yolo3.datasets.annotation import build_annotation
from yolo3.datasets.lists import default_pair, group_by_folder, split_annotations


def annotations(count):
    return [build_annotation(f"{number}.jpg", [], f"train.txt:{number}") for number in range(count)]


def test_a_split_loses_none_and_repeats_with_its_seed():
    items = annotations(50)
    train, val = split_annotations(items, 0.1, seed=3)
    assert (len(train), len(val)) == (45, 5)
    assert sorted(map(id, train + val)) == sorted(map(id, items))
    assert split_annotations(items, 0.1, seed=3) == (train, val)
    assert split_annotations(items, 0.1, seed=4)[1] != val


@pytest.mark.parametrize(
    "count, fraction, sizes", [(0, 0.5, (0, 0)), (1, 0.9, (1, 0)), (2, 0.01, (1, 1)), (3, 0.99, (1, 2))]
)
def test_both_parts_of_a_split_hold_one_when_there_are_two(count, fraction, sizes):
    train, val = split_annotations(annotations(count), fraction, seed=0)
    assert (len(train), len(val)) == sizes


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_split_needs_a_fraction(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_annotations(annotations(4), fraction, seed=0)


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
