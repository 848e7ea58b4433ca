"""YOLO label files and the ways to find them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.formats import yolo_txt

LINE = "1 0.5 0.5 0.25 0.5\n"


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write_pair(image, label, text=LINE):
    write_image(image)
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text(text)


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def stems(dataset):
    return [Path(item.image_path).stem for item in dataset.annotations]


@pytest.mark.parametrize(
    "image, label",
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("train/images/a.jpg", "train/labels/a.txt"),
        ("images/a.JPG", "labels/a.txt"),
        ("JPEGImages/a b.png", "labels/a b.txt"),
        ("a.jpg", "a.txt"),
        ("photos/a.jpg", "photos/labels/a.txt"),
        ("images/images/a.jpg", "images/labels/a.txt"),
    ],
)
def test_label_files_are_found(tmp_path, image, label):
    write_pair(tmp_path / image, tmp_path / label)
    assert yolo_txt.matches(str(tmp_path))
    (item,) = yolo_txt.read(str(tmp_path)).annotations
    assert item.boxes.tolist() == [[75, 25, 125, 75]] and item.where(0) == f"{tmp_path / label}:1"


def test_folders_of_images_are_lists(tmp_path):
    for part in ("train", "val"):
        write_pair(tmp_path / "images" / part / f"{part}1.jpg", tmp_path / "labels" / part / f"{part}1.txt")
    assert yolo_txt.list_names(str(tmp_path)) == ["train", "val"]
    assert stems(yolo_txt.read(str(tmp_path), list_name="val")) == ["val1"]
    assert stems(yolo_txt.read(str(tmp_path))) == ["train1", "val1"]
    with pytest.raises(ValueError, match="got 'test'; it has train, val"):
        yolo_txt.read(str(tmp_path), list_name="test")


@pytest.mark.parametrize("names", ["[no, dog]", "{0: no, 1: dog}", "\n  1: dog\n  0: no", "\n- no\n- dog"])
def test_data_yaml_names_lists_and_classes(tmp_path, names):
    write_pair(tmp_path / "data" / "train" / "images" / "a.jpg", tmp_path / "data" / "train" / "labels" / "a.txt")
    write_pair(tmp_path / "data" / "valid" / "images" / "b.jpg", tmp_path / "data" / "valid" / "labels" / "b.txt")
    yaml = tmp_path / "data" / "data.yaml"
    yaml.write_text(f"train: ../train/images\nval: valid/images\ntest:\nnc: 2\nnames: {names}\n")
    for path in (yaml, yaml.parent):
        assert yolo_txt.matches(str(path)) and yolo_txt.list_names(str(path)) == ["train", "val"]
        dataset = yolo_txt.read(str(path), list_name="val")
        assert stems(dataset) == ["b"] and dataset.class_names == ["no", "dog"]


def test_data_yaml_may_name_a_folder_and_several_parts(tmp_path):
    write_pair(tmp_path / "set" / "images" / "a.jpg", tmp_path / "set" / "labels" / "a.txt")
    write_pair(tmp_path / "set" / "images" / "b.jpg", tmp_path / "set" / "labels" / "b.txt")
    (tmp_path / "set" / "val.txt").write_text("./images/b.jpg\n./images/lost.jpg\n")
    (tmp_path / "my.yaml").write_text(
        "path: set\ntrain: [images/a.jpg, images/b.jpg]\nval: val.txt\nnames: [cat, dog]\n"
    )
    assert stems(yolo_txt.read(str(tmp_path / "my.yaml"), list_name="train")) == ["a", "b"]
    dataset = yolo_txt.read(str(tmp_path / "my.yaml"), list_name="val")
    assert stems(dataset) == ["b"] and kinds(dataset) == ["missing-image"]
    assert dataset.findings[0].where.endswith("val.txt:2")


@pytest.mark.parametrize(
    "text, says",
    [
        ("train: nowhere\nnames: [a]", "got nothing there"),
        ("train: .\nnames: {1: a}", "ids from 0"),
        ("train: .\nnames: [a, a]", "once"),
        ("train: .\nnames: 3", "'names'"),
        ("train: [\nnames: 3", r"data\.yaml:\d+: expected YAML"),
    ],
)
def test_a_bad_data_yaml_is_an_error(tmp_path, text, says):
    (tmp_path / "data.yaml").write_text(text + "\n")
    with pytest.raises(ValueError, match=says):
        yolo_txt.read(str(tmp_path / "data.yaml"))


def test_darknets_data_file_and_lists_are_read(tmp_path):
    data = tmp_path / "data"
    write_pair(data / "obj" / "a.jpg", data / "obj" / "a.txt")
    (data / "train.txt").write_text("data/obj/a.jpg\n")
    (data / "obj.names").write_text("cat\ndog\n")
    (data / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nvalid = data/train.txt\nnames = data/obj.names\n"
    )
    for path in (data / "obj.data", data):
        assert yolo_txt.list_names(str(path)) == ["train", "valid"]
        dataset = yolo_txt.read(str(path), list_name="valid")
        assert stems(dataset) == ["a"] and dataset.class_names == ["cat", "dog"]
    (data / "obj.data").unlink()
    assert yolo_txt.list_names(str(data)) == ["train"] and yolo_txt.matches(str(data / "train.txt"))
    assert yolo_txt.read(str(data / "train.txt")).class_names == ["cat", "dog"]


def test_class_names_are_found_beside_the_data_or_among_the_labels(tmp_path):
    write_pair(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.txt")
    assert yolo_txt.read(str(tmp_path)).class_names == ["class_0", "class_1"]
    (tmp_path / "labels" / "classes.txt").write_text("cat\ndog\n")
    assert yolo_txt.read(str(tmp_path)).class_names == ["cat", "dog"]
    mapped = yolo_txt.read(str(tmp_path), class_names=["dog"])
    assert mapped.annotations[0].class_ids.tolist() == [0]


def test_images_without_a_label_file_are_background_and_counted_once(tmp_path):
    write_pair(tmp_path / "a.jpg", tmp_path / "a.txt")
    write_image(tmp_path / "b.jpg")
    write_pair(tmp_path / "c.jpg", tmp_path / "c.txt", "")
    dataset = yolo_txt.read(str(tmp_path))
    assert [len(item.boxes) for item in dataset.annotations] == [1, 0, 0]
    assert kinds(dataset) == ["no-annotation"] and "1 images" in dataset.findings[0].message


def test_errors_are_listed_and_the_rest_is_read(tmp_path):
    write_pair(tmp_path / "a.jpg", tmp_path / "a.txt", f"0 1 2\n{LINE}")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "b.txt").write_text(LINE)
    dataset = yolo_txt.read(str(tmp_path))
    assert stems(dataset) == ["a"] and len(dataset.annotations[0].boxes) == 1
    assert [(finding.kind, Path(finding.where).name) for finding in dataset.findings] == [
        ("bad-box", "a.txt:1"),
        ("empty-image", "b.jpg"),
    ]


def test_other_folders_are_not_yolo(tmp_path):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("A photograph of a cat.\n")
    (tmp_path / "settings.yaml").write_text("names: [a]\n")
    assert not yolo_txt.matches(str(tmp_path)) and not yolo_txt.matches(str(tmp_path / "a.txt"))


def test_written_data_are_read_back(tmp_path):
    write_image(tmp_path / "in" / "my photo.png", 97, 131)
    boxes = np.array([[0, 0, 131, 97], [1 / 3, 2.5, 99.9, 50]], np.float32)
    item = Annotation(
        str(tmp_path / "in" / "my photo.png"),
        boxes,
        np.array([1, 0], np.int32),
        np.zeros(2, bool),
        np.zeros(2, bool),
        "x",
    )
    for part in ("train", "val"):
        yolo_txt.write(Dataset([item], ["cat", "dog: big"], "voc", [], f"set [{part}]"), str(tmp_path / "out"))
    assert yolo_txt.list_names(str(tmp_path / "out")) == ["train", "val"]
    for part in ("train", "val"):
        again = yolo_txt.read(str(tmp_path / "out"), list_name=part)
        assert again.class_names == ["cat", "dog: big"] and not again.findings
        np.testing.assert_allclose(again.annotations[0].boxes, boxes, atol=1e-5)
        assert again.annotations[0].class_ids.tolist() == [1, 0]


@pytest.mark.parametrize(
    "image, label",
    [
        ("photos/a.JPG", "annotations/a.txt"),
        ("images/a.jpg", "labels/a.txt"),
        ("images/x/a.jpg", "labels/x/A.TXT"),
        ("IMG/a.jpg", "IMG/a.jpg.txt"),
    ],
)
def test_labels_in_folders_of_any_name_are_found(tmp_path, image, label):
    write_pair(tmp_path / image, tmp_path / label)
    assert yolo_txt.matches(str(tmp_path))
    dataset = yolo_txt.read(str(tmp_path))
    assert len(dataset.annotations[0].boxes) == 1 and not dataset.findings


def test_a_label_of_another_image_is_not_borrowed(tmp_path):
    write_pair(tmp_path / "images" / "val" / "1.jpg", tmp_path / "labels" / "val" / "1.txt")
    write_image(tmp_path / "images" / "train" / "1.jpg")
    train = yolo_txt.read(str(tmp_path), list_name="train")
    assert len(train.annotations[0].boxes) == 0 and kinds(train) == ["no-annotation"]


def test_ambiguous_label_files_are_not_guessed(tmp_path):
    write_image(tmp_path / "photos" / "1.jpg")
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text(LINE)
    assert not yolo_txt.matches(str(tmp_path))
    assert kinds(yolo_txt.read(str(tmp_path))) == ["no-annotation", "no-image"]


@pytest.mark.parametrize(
    "train", ["/content/cells/train/images", "../train/images", "cells/train/images", "D:\\x\\train\\images"]
)
def test_a_data_yaml_that_has_moved_is_read(tmp_path, train):
    write_pair(tmp_path / "train" / "images" / "a.jpg", tmp_path / "train" / "labels" / "a.txt")
    (tmp_path / "data.yaml").write_text(f"train: {train}\ntest: ../test/images\nnames: [ant, bee]\n")
    assert stems(yolo_txt.read(str(tmp_path), list_name="train")) == ["a"]
    assert stems(yolo_txt.read(str(tmp_path))) == ["a"]  # the list test is nowhere
    with pytest.raises(ValueError, match="test/images, got nothing there"):
        yolo_txt.read(str(tmp_path), list_name="test")


def test_a_last_folder_alone_does_not_stand_for_a_list(tmp_path):
    write_pair(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.txt")
    (tmp_path / "data.yaml").write_text("train: /gone/train/images\nval: /gone/val/images\nnames: [ant, bee]\n")
    with pytest.raises(ValueError, match="/gone/train/images, got nothing there"):
        yolo_txt.read(str(tmp_path), list_name="train")


def test_an_export_of_cvat_is_read_wherever_it_lies(tmp_path):
    folder = tmp_path / "obj_train_data"
    write_pair(folder / "a b.jpg", folder / "a b.txt")
    (tmp_path / "obj.names").write_text("ant\nbee\n")
    (tmp_path / "obj.data").write_text(
        "classes = 2\nnames = data/obj.names\nbackup = backup/\ntrain = data/train.txt\n"
    )
    (tmp_path / "train.txt").write_text("data/obj_train_data/a b.jpg\n")
    for path in (tmp_path, tmp_path / "obj.data"):
        dataset = yolo_txt.read(str(path))
        assert stems(dataset) == ["a b"] and dataset.class_names == ["ant", "bee"] and not dataset.findings


def test_a_broken_yaml_file_of_another_program_is_skipped(tmp_path):
    write_pair(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.txt")
    (tmp_path / "compose.yml").write_text("services: [1\n b: '")
    assert stems(yolo_txt.read(str(tmp_path))) == ["a"]
    (tmp_path / "cells.yaml").write_text("names: [ant\ntrain: images\n")
    with pytest.raises(ValueError, match="cells.yaml:2: expected YAML"):
        yolo_txt.read(str(tmp_path))


def test_labels_and_names_in_utf_16_are_read(tmp_path):
    write_pair(tmp_path / "a.jpg", tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(LINE.encode("utf-16"))
    (tmp_path / "classes.txt").write_bytes("ant\r\nbee\r\n".encode("utf-16"))
    dataset = yolo_txt.read(str(tmp_path))
    assert dataset.class_names == ["ant", "bee"] and dataset.annotations[0].class_ids.tolist() == [1]


def test_the_only_subfolder_is_searched(tmp_path):
    project = tmp_path / "project-1"
    write_pair(project / "train" / "images" / "a.jpg", project / "train" / "labels" / "a.txt")
    (project / "data.yaml").write_text("train: ../train/images\nnames: [ant, bee]\n")
    (tmp_path / "README.txt").write_text("cells")
    assert yolo_txt.read(str(tmp_path)).class_names == ["ant", "bee"]
    assert yolo_txt.list_names(str(tmp_path)) == ["train"]


def test_label_files_without_an_image_are_counted(tmp_path):
    write_pair(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.txt")
    for name in ("labels/b.txt", "labels/c.txt"):
        (tmp_path / name).write_text(LINE)
    (tmp_path / "labels" / "notes.txt").write_text("labelled in May\n")
    (tmp_path / "labels" / "classes.txt").write_text("cat\ndog\n")
    (finding,) = yolo_txt.read(str(tmp_path)).findings
    assert (finding.kind, finding.severity) == ("no-image", "warning")
    assert finding.message.startswith("2 label files belong to no image") and finding.message.endswith("b.txt")


def test_images_that_share_a_label_file_are_reported(tmp_path):
    write_pair(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.txt")
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt")
    dataset = yolo_txt.read(str(tmp_path))
    assert len(dataset.annotations) == 2 and kinds(dataset) == ["shared-label"]
    assert "a.jpg" in dataset.findings[0].message and "a.png" in dataset.findings[0].message
