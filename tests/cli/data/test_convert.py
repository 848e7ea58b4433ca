"""Every format that is written reads back to the same images, boxes, classes and lists."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from yolo3.cli.main import main
from yolo3.datasets.formats.registry import list_names, read_dataset, written_formats

SHARED = Path(__file__).parents[4] / "shared" / "data"
FORMATS = ["keras-yolo3", "voc", "coco", "yolo"]


def by_name(dataset):
    """Map the stem of an image to its boxes [N, 5], sorted; a box given twice is one, as chess has it."""
    return {
        Path(item.image_path).stem: np.unique(np.concatenate([item.class_ids[:, None], item.boxes], axis=1), axis=0)
        for item in dataset.annotations
    }


def assert_same(one, other):
    assert one.class_names == other.class_names
    first, second = by_name(one), by_name(other)
    assert first.keys() == second.keys()
    for name, rows in first.items():
        np.testing.assert_allclose(rows, second[name], atol=2e-3)  # pixels


def convert(*words):
    return main(["data", "convert", *map(str, words)])


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_reads_back_to_the_same_boxes_classes_and_lists(small, tmp_path, format, capsys):
    assert convert(small, tmp_path / "to", "--format", format) == 0
    assert "5 images with 8 boxes of 4 classes" in capsys.readouterr().out
    assert sorted(list_names(tmp_path / "to")) == ["train", "val"]
    for name in ("train", "val"):
        assert_same(read_dataset(tmp_path / "to", list_name=name), read_dataset(small, list_name=name))
    inside = [item.image_path for item in read_dataset(tmp_path / "to").annotations]
    assert all(str(tmp_path / "to") in path for path in inside)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bccd", "chess"])
def test_real_data_reads_back_to_the_same_boxes(name, format, tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO3_DATA_CACHE", "off")
    assert convert(SHARED / name, tmp_path / "to", "--format", format, "--link") == 0
    assert_same(read_dataset(tmp_path / "to"), read_dataset(SHARED / name))
    for part in ("train", "test"):
        assert_same(read_dataset(tmp_path / "to", list_name=part), read_dataset(SHARED / name, list_name=part))


def test_what_a_format_cannot_hold_is_said(small, tmp_path, capsys):
    assert convert(small, tmp_path / "a", "--format", "coco") == 0
    assert "1 objects are no longer marked as difficult, which coco cannot say" in capsys.readouterr().out
    file = next((tmp_path / "a").rglob("instances_train.json"))
    content = json.loads(file.read_text())
    content["annotations"][0]["iscrowd"] = 1
    file.write_text(json.dumps(content))
    assert convert(tmp_path / "a", tmp_path / "b", "--format", "yolo") == 0
    said = capsys.readouterr()
    assert "Left out 1 crowd regions, which yolo cannot mark" in said.out and "with 7 boxes of" in said.out
    assert sum(len(item.boxes) for item in read_dataset(tmp_path / "b").annotations) == 7
    assert convert(tmp_path / "a", tmp_path / "c", "--format", "coco") == 0
    assert sum(item.crowd.sum() for item in read_dataset(tmp_path / "c").annotations) == 1
    assert "crowd" not in capsys.readouterr().out


def test_overlapping_lists_stay_in_voc_and_are_told_elsewhere(small, tmp_path, capsys):
    sets = small / "ImageSets" / "Main"
    (sets / "trainval.txt").write_text((sets / "train.txt").read_text() + (sets / "val.txt").read_text())
    assert convert(small, tmp_path / "v", "--format", "voc") == 0
    assert len(read_dataset(tmp_path / "v", list_name="trainval").annotations) == 5
    assert len(os.listdir(tmp_path / "v" / "JPEGImages")) == 5
    capsys.readouterr()
    assert convert(small, tmp_path / "c", "--format", "coco") == 0
    assert "Left out the list 'trainval', which has images of other lists" in capsys.readouterr().out
    assert sorted(list_names(tmp_path / "c")) == ["train", "val"]
    assert convert(small, tmp_path / "t", "--format", "coco", "--list", "trainval") == 0
    assert list_names(tmp_path / "t") == ["trainval"]


def test_images_in_no_list_are_told(small, tmp_path, capsys):
    sets = small / "ImageSets" / "Main"
    first, *others = (sets / "train.txt").read_text().split()
    (sets / "train.txt").write_text("\n".join(others) + "\n")
    assert convert(small, tmp_path / "to", "--format", "yolo") == 0
    assert f"1 images are in no list and are not written, first {small}/JPEGImages/{first}" in capsys.readouterr().out


def test_lists_can_be_drawn_anew(small, tmp_path, capsys):
    options = ["--format", "yolo", "--val-split", "0.2", "--test-split", "0.2", "--seed", "3"]
    assert convert(small, tmp_path / "to", *options) == 0
    sizes = {
        name: len(read_dataset(tmp_path / "to", list_name=name).annotations) for name in list_names(tmp_path / "to")
    }
    assert sizes == {"train": 3, "val": 1, "test": 1}
    with pytest.raises(SystemExit):
        convert(small, tmp_path / "other", "--format", "yolo", "--test-split", "0.2")


def test_nothing_is_written_over_or_left_half_written(small, tmp_path, capsys, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    inside_a_file = tmp_path / "full" / "mine.txt" / "to"
    for target in (tmp_path / "full", tmp_path / "full" / "mine.txt", small / "inside", inside_a_file):
        assert convert(small, target, "--format", "coco") == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert os.listdir(tmp_path / "full") == ["mine.txt"] and not (small / "inside").exists()

    def fail(*args, **options):
        raise OSError(28, "No space left on device", "x")

    before = sorted(os.listdir(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("yolo3.datasets.formats.coco.replace_file", fail)
        assert convert(small, tmp_path / "empty", "--format", "coco") == 1
    assert sorted(os.listdir(tmp_path)) == before and os.listdir(tmp_path / "empty") == []
    assert convert(small, tmp_path / "empty", "--format", "coco") == 0


def test_invalid_annotations_stop_the_command_or_are_skipped(small, tmp_path, capsys):
    (small / "Annotations" / "1.xml").write_text("<annotation><object>")
    assert convert(small, tmp_path / "to", "--format", "coco") == 1
    assert "invalid annotation" in capsys.readouterr().err and not (tmp_path / "to").exists()
    assert convert(small, tmp_path / "to", "--format", "coco", "--skip-bad") == 0
    assert f"skipped: {small}/Annotations/1.xml:1: expected well-formed" in capsys.readouterr().err
    assert len(read_dataset(tmp_path / "to").annotations) == 4


def test_yolo_needs_lists_that_its_yaml_can_name(small, tmp_path, capsys):
    sets = small / "ImageSets" / "Main"
    for old, new in (("train", "day1"), ("val", "day2")):
        (sets / f"{old}.txt").rename(sets / f"{new}.txt")
    assert convert(small, tmp_path / "to", "--format", "yolo") == 1
    assert "expected lists called train, val and test, got" in capsys.readouterr().err
    assert convert(small, tmp_path / "to", "--format", "coco") == 0


def test_only_written_formats_can_be_chosen(capsys):
    assert set(written_formats()) == set(FORMATS)
    with pytest.raises(SystemExit):
        convert("a", "b", "--format", "labelme")


def test_what_is_only_read_can_be_converted(small, tmp_path, capsys):
    names = sorted(path.name for path in (small / "JPEGImages").iterdir())
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax", *(f"{name},60,40,cat,2,3,20,30" for name in names)]
    folder = tmp_path / "csv"
    (small / "JPEGImages").rename(folder)
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    assert convert(folder, tmp_path / "to", "--format", "yolo", "--val-split", "0.4") == 0
    dataset = read_dataset(tmp_path / "to")
    assert len(dataset.annotations) == 5 and dataset.class_names == ["cat"]
    assert_same(dataset, read_dataset(folder))
