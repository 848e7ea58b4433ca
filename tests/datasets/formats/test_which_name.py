"""Which class name an id means, where folders of one data set name the classes in different orders."""

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats.registry import list_names, read_dataset

ORDERS = {"train": ["ant", "bee"], "val": ["bee", "ant"]}
LABEL = "0 .5 .5 .1 .1\n"  # an ant in train, a bee in val


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def keras_yolo3_of_roboflow(root):
    for part, names in ORDERS.items():
        write_image(root / part / f"{part}.jpg")
        write_text(root / part / "_annotations.txt", f"{part}.jpg 10,20,50,60,0\n")
        write_text(root / part / "_classes.txt", "\n".join(names))


def yolo_labels_beside_images(root):
    for part, names in ORDERS.items():
        write_image(root / part / f"{part}.jpg")
        write_text(root / part / f"{part}.txt", LABEL)
        write_text(root / part / "classes.txt", "\n".join(names))


def yolo_folders_of_labels(root):
    for part, names in ORDERS.items():
        write_image(root / "images" / part / f"{part}.jpg")
        write_text(root / "labels" / part / f"{part}.txt", LABEL)
        write_text(root / "labels" / part / "classes.txt", "\n".join(names))


LAYOUTS = [keras_yolo3_of_roboflow, yolo_labels_beside_images, yolo_folders_of_labels]


def names_by_part(dataset):
    return {
        item.image_path.split("/")[-2]: [dataset.class_names[number] for number in item.class_ids]
        for item in dataset.annotations
    }


@pytest.mark.parametrize("build", LAYOUTS)
def test_ids_are_mapped_by_name_folder_by_folder(tmp_path, build):
    build(tmp_path)
    dataset = read_dataset(tmp_path)
    assert names_by_part(dataset) == {"train": ["ant"], "val": ["bee"]}
    (finding,) = dataset.findings
    assert finding.kind == "class-names" and all(part in finding.message for part in ORDERS)


@pytest.mark.parametrize("build", LAYOUTS)
def test_lists_are_mapped_to_the_same_given_names(tmp_path, build):
    build(tmp_path)
    assert list_names(tmp_path) == ["train", "val"]
    for part, name in (("train", "ant"), ("val", "bee")):
        dataset = read_dataset(tmp_path, class_names=["cow", "bee", "ant"], list_name=part)
        assert names_by_part(dataset) == {part: [name]} and dataset.class_names == ["cow", "bee", "ant"]


@pytest.mark.parametrize("build", LAYOUTS)
def test_folders_that_agree_are_read_without_a_warning(tmp_path, build, monkeypatch):
    monkeypatch.setitem(ORDERS, "val", ORDERS["train"])
    build(tmp_path)
    dataset = read_dataset(tmp_path)
    assert names_by_part(dataset) == {"train": ["ant"], "val": ["ant"]} and not dataset.findings


@pytest.mark.parametrize("count", ["3", "x"])
def test_data_yaml_whose_count_is_not_that_of_its_names_is_an_error(tmp_path, count):
    write_image(tmp_path / "images" / "a.jpg")
    write_text(tmp_path / "labels" / "a.txt", LABEL)
    settings = tmp_path / "data.yaml"
    settings.write_text("train: images\nnc: 2\nnames: [ant, bee]\n")
    assert read_dataset(tmp_path).class_names == ["ant", "bee"]
    settings.write_text(f"train: images\nnc: {count}\nnames: [ant, bee]\n")
    with pytest.raises(ValueError, match=f"data.yaml: expected as many names as 'nc' states, {count}, got 2"):
        read_dataset(tmp_path)
