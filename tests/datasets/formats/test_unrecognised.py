"""What is said of a path that is in no format: what it is, and what to do."""

import json

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats.registry import read_dataset

LABEL = "0 .5 .5 .1 .1\n"


def write_file(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_image(path):
    write_file(path, cv2.imencode(".png", np.zeros((10, 20, 3), np.uint8))[1].tobytes())


NEAR_MISSES = [
    ("train.txt", "images/a.png\n", "a list of images without boxes, none of which has a label file; put labels"),
    ("a.json", json.dumps({"images": [{"id": 1}], "annotations": []}), "without 'categories'; export it again"),
    ("a.json", '{"images": [{"id": 1}], "annota', "without 'categories'; export it again"),
    ("a.json", json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]), "results of a detector"),
    ("a.xml", "", "an empty file; export it again"),
    ("set.zip", b"PK", "an archive; unpack it"),
    ("other.yaml", "train: images\nnc: 1\n", "without 'names'; add the names"),
]


@pytest.mark.parametrize("name, content, says", NEAR_MISSES)
@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_near_miss_is_named_with_what_to_do(tmp_path, name, content, says, given):
    write_image(tmp_path / "images" / "a.png")
    write_file(tmp_path / name, content)
    with pytest.raises(ValueError, match=says) as caught:
        read_dataset(tmp_path if given == "folder" else tmp_path / name)
    assert name in str(caught.value) and len(str(caught.value)) < 500


def test_one_half_of_a_data_set_is_told_apart_from_none(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    write_file(tmp_path / "boxes" / "b.txt", LABEL)
    with pytest.raises(ValueError, match="images alone; give the folder that holds their annotations"):
        read_dataset(tmp_path / "images")
    with pytest.raises(ValueError, match="label files without images; give the folder above"):
        read_dataset(tmp_path / "boxes")
    with pytest.raises(ValueError, match="an image; give the file or folder of its annotations"):
        read_dataset(tmp_path / "images" / "a.png")
    with pytest.raises(ValueError, match="a label file of one image; give the folder"):
        read_dataset(tmp_path / "boxes" / "b.txt")


def test_xml_without_any_image_is_one_line(tmp_path):
    for stem in "abc":
        write_file(tmp_path / "Annotations" / f"{stem}.xml", "<annotation></annotation>")
    with pytest.raises(ValueError, match="expected the images of 3 XML files .* give the folder that holds both"):
        read_dataset(tmp_path / "Annotations")
