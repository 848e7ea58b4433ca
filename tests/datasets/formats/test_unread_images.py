"""Images of kinds that are not read, such as HEIC of phones, are named by every reader, with what to do."""

import json

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats.registry import read_dataset

CONVERT = "convert it to JPEG or PNG"


def write_file(path, content=b"\0\0\0\x18ftypheic"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_image(path):
    write_file(path, cv2.imencode(".png", np.zeros((100, 200, 3), np.uint8))[1].tobytes())


def coco(root, names):
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    write_file(root / "a.json", json.dumps({"images": images, "categories": [{"id": 1, "name": "cat"}]}))


def voc(root, names):
    for name in names:
        write_file(
            root / name.replace(name[name.rfind(".") :], ".xml"),
            f"<annotation><filename>{name}</filename></annotation>",
        )


def keras_yolo3(root, names):
    write_file(root / "train.txt", "".join(f"{name} 1,2,3,4,0\n" for name in names))


def csv(root, names):
    rows = "".join(f"{name},1,2,3,4,cat\n" for name in names)
    write_file(root / "a.csv", "filename,xmin,ymin,xmax,ymax,class\n" + rows)


def labelme(root, names):
    for name in names:
        shape = {"label": "cat", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"}
        text = json.dumps({"version": "5.0.1", "imagePath": name, "shapes": [shape], "flags": {}, "imageData": None})
        write_file(root / f"{name}.json", text)


def yolo(root, names):
    for name in names:
        write_file(root / name.replace(name[name.rfind(".") :], ".txt"), "0 .5 .5 .1 .1\n")


@pytest.mark.parametrize("write", [coco, voc, keras_yolo3, csv, labelme, yolo])
@pytest.mark.parametrize("suffix", [".HEIC", ".avif", ".gif"])
def test_an_image_that_is_not_read_is_named_with_what_to_do(tmp_path, write, suffix):
    write_image(tmp_path / "a.png")
    write_file(tmp_path / f"IMG_1{suffix}")
    write(tmp_path, ["a.png", f"IMG_1{suffix}"])
    dataset = read_dataset(tmp_path)
    assert [item.image_path for item in dataset.annotations] == [str(tmp_path / "a.png")]
    assert any(f"IMG_1{suffix}" in str(found) and CONVERT in found.message for found in dataset.findings)


@pytest.mark.parametrize("write", [coco, voc, keras_yolo3, csv, labelme])
@pytest.mark.parametrize("named", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_the_error_about_the_entry_says_why_its_image_is_missing(tmp_path, write, named):
    write_file(tmp_path / "IMG_1.HEIC")
    write(tmp_path, [named])
    (error,) = [found for found in read_dataset(tmp_path).findings if found.severity == "error"]
    assert error.kind == "missing-image"
    assert str(tmp_path / "IMG_1.HEIC") in error.message and CONVERT in error.message


@pytest.mark.parametrize("write", [coco, voc, keras_yolo3, csv, labelme])
def test_an_entry_that_names_it_means_the_converted_image(tmp_path, write):
    write_image(tmp_path / "IMG_1.png")
    write_file(tmp_path / "IMG_1.HEIC")
    write(tmp_path, ["IMG_1.HEIC"])
    (item,) = read_dataset(tmp_path).annotations
    assert item.image_path == str(tmp_path / "IMG_1.png")


def test_a_folder_of_nothing_else_is_told_so(tmp_path):
    write_file(tmp_path / "IMG_1.HEIC")
    yolo(tmp_path, ["IMG_1.HEIC"])
    with pytest.raises(ValueError, match="not read .*IMG_1.HEIC"):
        read_dataset(tmp_path)


def test_the_folders_of_a_data_yaml_are_looked_at(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    write_file(tmp_path / "images" / "IMG_1.HEIC")
    write_file(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", "train: images\nnames: [cat]\n")
    (found,) = read_dataset(tmp_path / "data.yaml").findings
    assert found.kind == "unread-image" and "IMG_1.HEIC" in found.message
