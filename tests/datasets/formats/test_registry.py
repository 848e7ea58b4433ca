"""Which format a path is in, its lists, and round trips through all formats."""

from pathlib import Path

import numpy as np
import pytest

from yolo3.datasets import shapes
from yolo3.datasets.formats import registry as formats


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return shapes.write_shapes(tmp_path_factory.mktemp("set") / "shapes", num_train=4, num_val=2, image_size=64)


def boxes_by_image(dataset):
    return {Path(item.image_path).name: np.column_stack([item.boxes, item.class_ids]) for item in dataset.annotations}


@pytest.mark.parametrize("format", list(formats.FORMATS))
def test_every_format_keeps_lists_names_and_boxes(source, tmp_path, format):
    for part in ("train", "val"):
        formats.write_dataset(formats.read_dataset(source, list_name=part), tmp_path / "out", format)
    assert formats.detect_format(tmp_path / "out") == format
    assert formats.find_default_lists(tmp_path / "out") == ("train", "val")
    for part in ("train", "val"):
        old = boxes_by_image(formats.read_dataset(source, list_name=part))
        new = formats.read_dataset(tmp_path / "out", list_name=part)
        assert not new.findings and new.format == format and new.name == f"out [{part}]"
        assert new.class_names == ["circle", "square", "triangle"]
        assert boxes_by_image(new).keys() == old.keys()
        for name, rows in boxes_by_image(new).items():
            np.testing.assert_allclose(rows, old[name], atol=1e-5)


@pytest.mark.parametrize(
    "content, format",
    [
        ("photo 1.jpg 1,2,3,4,0\n", "keras-yolo3"),
        ("<annotation></annotation>", "voc"),
        ('{"images": [], "categories": []}', "coco"),
        ("train: x\nnames: [a]\n", "yolo"),
    ],
)
def test_a_file_is_recognised_by_its_content(tmp_path, content, format):
    path = tmp_path / ("a.yaml" if format == "yolo" else "a.txt")
    path.write_text(content)
    assert formats.detect_format(path) == format


def test_an_unknown_path_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match="nothing there"):
        formats.detect_format(tmp_path / "absent")
    with pytest.raises(ValueError, match="got an empty folder") as caught:
        formats.detect_format(tmp_path)
    assert all(name in str(caught.value) for name in formats.FORMATS) and "\n" not in str(caught.value)
    (tmp_path / "cat.gif").write_bytes(b"GIF")
    with pytest.raises(ValueError, match="a folder with cat.gif"):
        formats.read_dataset(tmp_path)
    with pytest.raises(ValueError, match="a file of 3 bytes"):
        formats.list_names(tmp_path / "cat.gif")


def test_a_folder_in_two_formats_is_an_error_until_one_is_named(source, tmp_path):
    dataset = formats.read_dataset(source, list_name="val")
    for format in ("voc", "coco"):
        formats.write_dataset(dataset, tmp_path / "out", format)
    with pytest.raises(ValueError, match="got voc and coco; choose with --format"):
        formats.read_dataset(tmp_path / "out")
    assert len(formats.read_dataset(tmp_path / "out", format="coco").annotations) == 2


def test_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="expected one of keras-yolo3, voc, coco, yolo, got 'csv'"):
        formats.read_dataset(tmp_path, format="csv")


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
def test_default_lists_are_those_that_belong_together(monkeypatch, tmp_path, names, pair):
    monkeypatch.setattr(formats.FORMATS["voc"], "list_names", lambda path: names)
    assert formats.find_default_lists(tmp_path, "voc") == pair


def test_paths_may_be_path_objects_or_text(source):
    assert formats.list_names(Path(source)) == formats.list_names(source) == ["train", "val"]
