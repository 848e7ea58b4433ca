"""Folders that hold several formats: which is taken, when that is said, and when it is an error."""

import json
from pathlib import Path

import numpy as np
import pytest

from yolo3.cli.main import main
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.images import write_image

BOXES = {"a": 2, "b": 1, "c": 1}


def boxes_of(stem, count):
    return [(10 * number, 20, 10 * number + 30, 60) for number in range(1, 1 + count)]


@pytest.fixture
def folder(tmp_path):
    """Three images with four boxes, the first of them difficult, as VOC."""
    for value, (stem, count) in enumerate(BOXES.items()):
        write_image(tmp_path / f"{stem}.png", np.full((100, 200, 3), value, np.uint8))
        write_xml(tmp_path / f"{stem}.xml", boxes_of(stem, count))
    return tmp_path


def write_xml(path, boxes):
    tags = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><name>cat</name><difficult>{int(path.stem == 'a' and not number)}</difficult><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + "</bndbox></object>"
        for number, box in enumerate(boxes)
    )
    path.write_text(f"<annotation><filename>{path.stem}.png</filename>{objects}</annotation>")


def write_csv(path, boxes=BOXES, skip=0):
    rows = [
        f"{stem}.png,200,100,cat,{','.join(map(str, box))}"
        for stem, count in boxes.items()
        for box in boxes_of(stem, count)
    ]
    path.write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n" + "\n".join(rows[skip:]) + "\n")


def test_csv_made_of_the_xml_is_no_question_and_the_note_says_what_was_taken(folder):
    write_csv(folder / "labels.csv")
    dataset = formats.read_dataset(folder)
    assert (dataset.format, len(dataset.annotations)) == ("voc", 3) and not dataset.findings
    assert dataset.notes == [f"{folder}: read as voc; csv lies there too and agrees."]
    assert formats.detect_format(folder) == "voc" and formats.matching_formats(folder) == ["voc", "csv"]
    named = formats.read_dataset(folder, format="csv")
    assert named.format == "csv" and not named.notes


def test_a_format_without_the_difficult_objects_or_some_images_agrees(folder):
    write_csv(folder / "labels.csv", {"a": 2, "b": 1}, skip=1)
    assert formats.read_dataset(folder).format == "voc"


def test_other_numbers_of_boxes_are_an_error_that_says_where(folder, capsys):
    write_csv(folder / "labels.csv", {"a": 2, "b": 3, "c": 2})
    with pytest.raises(ValueError) as caught:
        formats.read_dataset(folder)
    says = f"got voc and csv: {folder}/b.png has 1 boxes in voc, 3 in csv, and 1 more images differ; choose with format"
    assert str(caught.value).endswith(says) and "\n" not in str(caught.value)
    assert main(["anchors", "--data", str(folder)]) == 1 and capsys.readouterr().err.endswith("choose with --format\n")
    assert len(formats.read_dataset(folder, format="csv").annotations) == 3


def test_images_that_only_the_other_format_annotates_are_an_error(folder):
    write_csv(folder / "labels.csv")
    (folder / "b.xml").unlink()
    with pytest.raises(ValueError, match="csv has boxes of 1 image that voc lacks, first .*b.png; choose with format"):
        formats.read_dataset(folder)


def test_lists_are_those_of_the_first_format_that_has_them(folder):
    """TensorFlow's tutorials split into CSV; the XML have no lists."""
    write_csv(folder / "train_labels.csv", {"a": 2})
    write_csv(folder / "test_labels.csv", {"b": 1})
    assert formats.list_names(folder) == ["test_labels", "train_labels"]
    assert formats.find_default_lists(folder) == ("train_labels", "test_labels")
    dataset = formats.read_dataset(folder, list_name="train_labels")
    assert (dataset.format, len(dataset.annotations)) == ("csv", 1)
    with pytest.raises(ValueError, match="expected a list of the data set, got 'val'"):
        formats.read_dataset(folder, list_name="val")


def test_copies_of_the_images_in_a_converted_folder_are_the_images(folder):
    formats.write_dataset(formats.read_dataset(folder), folder / "converted", "yolo")
    dataset = formats.read_dataset(folder, format=None)
    assert dataset.format == "voc" and "yolo lies there too and agrees" in dataset.notes[0]


def test_labelme_beside_voc_is_compared_by_numbers_of_boxes(folder):
    shape = {"label": "cat", "points": [[20, 20], [50, 60]], "shape_type": "rectangle"}
    (folder / "b.json").write_text(json.dumps({"shapes": [shape], "imagePath": "b.png"}))
    assert formats.read_dataset(folder).format == "voc"
    (folder / "b.json").write_text(json.dumps({"shapes": [shape, shape], "imagePath": "b.png"}))
    with pytest.raises(ValueError, match="b.png has 1 boxes in voc, 2 in labelme"):
        formats.read_dataset(folder)


def test_a_second_format_that_cannot_be_read_is_told(folder):
    (folder / "a.csv").write_text("a.png,1,2,3,4,0\n")
    (folder / "classes.csv").write_text("cat,0\ndog,0\n")
    assert formats.list_names(folder) == []
    (note,) = formats.read_dataset(folder).notes
    assert note.startswith(f"{folder}: read as voc; csv lies there too and cannot be read") and "classes.csv:2" in note


def test_roboflows_text_and_yolo_labels_in_one_folder_agree(tmp_path):
    for value, part in enumerate(("train", "valid")):
        write_image(tmp_path / part / f"{part}.jpg", np.full((100, 200, 3), value, np.uint8))
        (tmp_path / part / "_annotations.txt").write_text(f"{part}.jpg 50,25,150,75,0\n")
        (tmp_path / part / "_classes.txt").write_text("cat\n")
        (tmp_path / part / f"{part}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    assert formats.find_default_lists(tmp_path) == ("train", "valid")
    dataset = formats.read_dataset(tmp_path, list_name="valid")
    assert (
        dataset.format == "keras-yolo3" and dataset.class_names == ["cat"] and "yolo lies there too" in dataset.notes[0]
    )
    assert [Path(item.image_path).name for item in dataset.annotations] == ["valid.jpg"]


def test_telling_formats_reads_little_of_a_large_folder_of_other_data(tmp_path, monkeypatch):
    """LabelMe's and others' files hold megabytes; each format looks at the first bytes of some."""
    for number in range(200):
        for suffix in ("json", "xml", "csv", "jpg"):
            (tmp_path / f"{number}.{suffix}").write_bytes(b"<x/>" + bytes(10_000))
    opened = []
    real = open
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: opened.append(args[0]) or real(*args, **kwargs))
    with pytest.raises(ValueError, match="expected .* got a folder with"):
        formats.detect_format(tmp_path)
    per_suffix = {suffix: sum(str(path).endswith(suffix) for path in opened) for suffix in ("xml", "csv", "jpg")}
    assert max(per_suffix.values()) <= 2 * 50
