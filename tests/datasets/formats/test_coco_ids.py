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
        ("/data/dusk/2.jpg", 9),  # the only one of its name, in a folder that the file does not know
        ("/data/night/2.jpg", None),  # night/2.jpg, which the file does not have
        ("/data/NIGHT/1.JPG", 4),
        ("/data/night/3.jpg", None),
    ],
)
def test_the_longest_run_of_trailing_parts_says_which_image_is_meant(tmp_path, path, expected):
    ids = ids_of(tmp_path, (4, "night/1.jpg"), (8, "set\\day\\1.jpg"), (6, "./1.jpg"), (9, "day/2.jpg"))
    assert ids.image_id(path) == expected


def test_an_image_of_another_list_has_no_id(tmp_path):
    ids = ids_of(tmp_path, (4, "val/1.jpg"))
    assert ids.image_id("/data/train/1.jpg") is None and ids.image_id("/data/valid/1.jpg") == 4


@pytest.mark.parametrize(
    "name, path",
    [
        ("night%20shift/a%20(1).jpg", "/data/night shift/a (1).jpg"),
        ("/data/local-files/?d=night%2F1.jpg", "/data/night/1.jpg"),
        ("caf\u00e9.jpg", "/data/cafe\u0301.jpg"),
        ("cafe\u0301.jpg", "/data/caf\u00e9.jpg"),
        ("IMG_1.HEIC", "/data/IMG_1.jpg"),  # which was converted
    ],
)
def test_names_are_the_same_in_any_spelling(tmp_path, name, path):
    assert ids_of(tmp_path, (4, name), (5, "other.jpg")).image_id(path) == 4


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
