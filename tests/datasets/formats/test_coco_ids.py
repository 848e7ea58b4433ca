"""Ids of images and categories in COCO files."""

import json

import pytest

from yolo3.datasets.formats.coco_ids import CocoIds


def ids_of(tmp_path, *images):
    content = {
        "images": [{"id": number, "file_name": name} for number, name in images],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": " cat "}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(content))
    return CocoIds(str(tmp_path / "gt.json"))


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/data/night/1.jpg", 4),  # shares night/1.jpg with the first entry, 1.jpg with the others
        ("/data/set/day/1.jpg", 8),
        ("/data/dusk/1.jpg", 6),  # each shares one part; that is all of the third entry's name
        ("/data/night/2.jpg", 9),  # the only one of its name, wherever it lies
        ("/data/night/3.jpg", None),
    ],
)
def test_the_longest_run_of_trailing_parts_says_which_image_is_meant(tmp_path, path, expected):
    ids = ids_of(tmp_path, (4, "night/1.jpg"), (8, "set\\day\\1.jpg"), (6, "./1.jpg"), (9, "day/2.jpg"))
    assert ids.image_id(path) == expected


def test_images_that_fit_equally_well_are_an_error_that_lists_them(tmp_path):
    ids = ids_of(tmp_path, (4, "night/1.jpg"), (8, "day/1.jpg"))
    with pytest.raises(ValueError, match=r"gt.json: .*/data/1.jpg .* night/1.jpg \(id 4\), day/1.jpg \(id 8\)"):
        ids.image_id("/data/1.jpg")


def test_a_relative_path_counts_with_the_folders_above_it(tmp_path, monkeypatch):
    ids = ids_of(tmp_path, (4, "night/1.jpg"), (8, "day/1.jpg"))
    (tmp_path / "day").mkdir()
    monkeypatch.chdir(tmp_path / "day")
    assert ids.image_id("1.jpg") == 8


def test_categories_are_found_by_name(tmp_path):
    ids = ids_of(tmp_path)
    assert ids.category_ids(["cat", "dog"]) == [3, 18]
    with pytest.raises(ValueError, match="gt.json: .* got none called cow"):
        ids.category_ids(["dog", "cow"])
