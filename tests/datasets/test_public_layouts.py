"""Ten layouts of public data sets, read as a person would expect: classes, images, boxes, lists, and what is said."""

import json

import cv2
import numpy as np
import pytest

from tests.darknet.networks import DATA, needs_data
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.formats.registry import find_default_lists, list_names, read_dataset

BOX = (10, 20, 50, 60)  # x_min, y_min, x_max, y_max in pixels of an image of 200 x 100
YOLO_BOX = "0.15 0.4 0.2 0.4"  # its centre (30, 40) and size (40, 40) as fractions


def write_image(path, seed=None, whole=True):
    """Write a photograph-like JPEG; equal seeds give equal images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, str(path))) if seed is None else seed)
    image = cv2.resize(rng.integers(0, 255, (10, 20, 3), np.uint8), (200, 100))
    content = cv2.imencode(".jpg", image)[1].tobytes()
    path.write_bytes(content if whole else content[: len(content) // 2])


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_xml(path, head, names):
    x_min, y_min, x_max, y_max = BOX
    corners = f"<xmin>{x_min + 1}</xmin><ymin>{y_min + 1}</ymin><xmax>{x_max}</xmax><ymax>{y_max}</ymax>"
    objects = "".join(f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>" for name in names)
    size = "<size><width>200</width><height>100</height><depth>3</depth></size>"
    write_text(path, f"<annotation>{head}{size}{objects}</annotation>")


def write_coco(path, names, categories):
    """Write a box of each category but those without a supercategory in each image."""
    used = [category for category in categories if category.get("supercategory") != "none"]
    x_min, y_min, x_max, y_max = BOX
    bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
    annotations = [
        {"id": number, "image_id": number, "category_id": item["id"], "bbox": bbox}
        for number in range(len(names))
        for item in used
    ]
    images = [{"id": number, "file_name": name, "width": 200, "height": 100} for number, name in enumerate(names)]
    write_text(path, json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def content_of(dataset):
    """Return image below the data folder to class names; every box is BOX."""
    for item in dataset.annotations:
        np.testing.assert_allclose(item.boxes, np.tile(BOX, (len(item.boxes), 1)), atol=1e-4)
    return {
        "/".join(item.image_path.split("/")[-3:]): [dataset.class_names[number] for number in item.class_ids]
        for item in dataset.annotations
    }


def kinds(findings):
    return [(finding.severity, finding.kind) for finding in findings]


def test_voc_with_annots_beside_images(tmp_path):
    """One class, XML in annots/, the stale path of the machine that wrote it."""
    for stem in ("00001", "00002", "00003"):
        write_image(tmp_path / "set" / "images" / f"{stem}.jpg")
        path = f"/home/someone/kangaroo-master/kangaroo/{stem}.jpg"
        head = f"<folder>kangaroo</folder><filename>{stem}.jpg</filename><path>{path}</path>"
        write_xml(tmp_path / "set" / "annots" / f"{stem}.xml", head, ["kangaroo"] * int(stem))
    write_text(tmp_path / "set" / "README.md", "kangaroos")

    dataset = read_dataset(tmp_path / "set")
    assert (dataset.format, dataset.class_names, dataset.findings) == ("voc", ["kangaroo"], [])
    assert content_of(dataset) == {f"set/images/0000{number}.jpg": ["kangaroo"] * number for number in (1, 2, 3)}
    assert list_names(tmp_path / "set") == []


def test_roboflow_coco(tmp_path):
    """A JSON file in each of train, valid and test; category 0 is no class."""
    categories = [{"id": 0, "name": "pieces", "supercategory": "none"}]
    categories += [{"id": 1, "name": "bishop", "supercategory": "pieces"}]
    categories += [{"id": 2, "name": "king", "supercategory": "pieces"}]
    for part in ("train", "valid", "test"):
        names = [f"{part}{number}_jpg.rf.0123456789abcdef.jpg" for number in range(2)]
        for name in names:
            write_image(tmp_path / part / name)
        write_coco(tmp_path / part / "_annotations.coco.json", names, categories)
    write_text(tmp_path / "README.roboflow.txt", "exported")

    assert find_default_lists(tmp_path) == ("train", "valid")
    for part in ("train", "valid", "test"):
        dataset = read_dataset(tmp_path, list_name=part)
        assert dataset.class_names == ["bishop", "king"]
        assert sorted(name.split("/")[1] for name in content_of(dataset)) == [part, part]
        assert kinds(dataset.findings) == [("warning", "supercategory")]


@pytest.mark.parametrize("given", [".", "data.yaml"])
def test_data_yaml_with_numbered_names(tmp_path, given):
    """As Ultralytics writes it: a path that is not there, names by id, a list that was not downloaded."""
    for part in ("train2017", "val2017"):
        write_image(tmp_path / "images" / part / f"{part}.jpg")
        write_text(tmp_path / "labels" / part / f"{part}.txt", f"0 {YOLO_BOX}\n2 {YOLO_BOX}\n")
    write_text(
        tmp_path / "data.yaml",
        "path: ../datasets/coco3  # dataset root dir\ntrain: images/train2017  # 1 image\nval: images/val2017\n"
        "test:  # test images (optional)\n\n# Classes\nnames:\n  0: person\n  1: no\n  2: 'traffic light'\n\n"
        "# Download script/URL (optional)\ndownload: https://host/coco3.zip\n",
    )
    path = tmp_path / given
    assert list_names(path) == ["train", "val"] and find_default_lists(path) == ("train", "val")
    dataset = read_dataset(path)
    assert dataset.class_names == ["person", "no", "traffic light"] and not dataset.findings
    assert content_of(dataset) == {
        f"images/{part}/{part}.jpg": ["person", "traffic light"] for part in ("train2017", "val2017")
    }


def test_coco_files_beside_folders_of_their_names(tmp_path):
    """dataset/train.json with the images in dataset/train/; both parts have an image 1.jpg."""
    categories = [{"id": 1, "name": "nut"}, {"id": 2, "name": "fig"}]
    for part in ("train", "val"):
        write_image(tmp_path / "dataset" / part / "1.jpg")
        write_coco(tmp_path / "dataset" / f"{part}.json", ["1.jpg"], categories)

    assert list_names(tmp_path) == ["train", "val"] and find_default_lists(tmp_path) == ("train", "val")
    for part in ("train", "val"):
        dataset = read_dataset(tmp_path, list_name=part)
        assert dataset.class_names == ["nut", "fig"] and not dataset.findings
        assert content_of(dataset) == {f"dataset/{part}/1.jpg": ["nut", "fig"]}
    assert len(read_dataset(tmp_path).annotations) == 2


def test_csv_of_keras_retinanet(tmp_path):
    """An annotation per row, an empty row for a background image, and the ids of the classes in a second file."""
    for name in ("a", "b", "c"):
        write_image(tmp_path / "images" / f"{name}.jpg")
    rows = ["images/a.jpg,10,20,50,60,zebra", "images/a.jpg,10,20,50,60,ape", "images/b.jpg,10,20,50,60,ape"]
    write_text(tmp_path / "annotations.csv", "\n".join([*rows, "images/c.jpg,,,,,"]) + "\n")
    write_text(tmp_path / "classes.csv", "zebra,0\nape,1\n")

    dataset = read_dataset(tmp_path)
    assert dataset.class_names == ["zebra", "ape"] and not dataset.findings
    contents = {name.rsplit("/", 1)[1]: names for name, names in content_of(dataset).items()}
    assert contents == {"a.jpg": ["zebra", "ape"], "b.jpg": ["ape"], "c.jpg": []}


@pytest.mark.parametrize("prefix", ["build/x64/data/", "/home/someone/darknet/build/x64/data/", "data\\"])
def test_darknet_data_whose_paths_are_seen_from_another_folder(tmp_path, prefix):
    """Darknet's paths are seen from where the program ran, on whatever machine."""
    data = tmp_path / "data"
    for part in ("train", "test"):
        write_image(data / "obj" / f"{part}.jpg")
        write_text(data / "obj" / f"{part}.txt", f"1 {YOLO_BOX}\n")
        write_text(data / f"{part}.txt", f"{prefix}obj/{part}.jpg\n")
    write_text(data / "obj.names", "ant\nbee\n")
    keys = {"train": "train.txt", "valid": "test.txt", "names": "obj.names"}
    lines = ["classes= 2", *(f"{key}  = {prefix}{name}" for key, name in keys.items()), "backup = backup/"]
    write_text(data / "obj.data", "\n".join(lines))

    for path in (data, data / "obj.data"):
        assert list_names(path) == ["train", "valid"]
        for part, stem in (("train", "train"), ("valid", "test")):
            dataset = read_dataset(path, list_name=part)
            assert dataset.class_names == ["ant", "bee"] and not dataset.findings
            assert content_of(dataset) == {f"data/obj/{stem}.jpg": ["bee"]}


def test_voc_with_a_truncated_jpeg_and_four_pairs_of_equal_images(tmp_path):
    """The truncated image is an error with its name; each pair is a warning, and the rest is used."""
    for number in range(12):
        write_image(tmp_path / "JPEGImages" / f"{number:02}.jpg", seed=number % 8 if number < 8 else number - 8)
        write_xml(tmp_path / "Annotations" / f"{number:02}.xml", f"<filename>{number:02}.jpg</filename>", ["fruit"])
    write_image(tmp_path / "JPEGImages" / "cut.jpg", seed=99, whole=False)
    write_xml(tmp_path / "Annotations" / "cut.xml", "<filename>cut.jpg</filename>", ["fruit"])

    dataset = read_dataset(tmp_path)
    assert (len(dataset.annotations), dataset.class_names, dataset.findings) == (13, ["fruit"], [])
    findings, _ = check_dataset(dataset, train=False)
    assert sorted(kinds(findings)) == [("error", "truncated-image")] + [("warning", "same-image")] * 4
    assert "cut.jpg" in str(next(finding for finding in findings if finding.severity == "error"))


def test_coco_of_videos_whose_frames_have_the_same_names(tmp_path):
    """FiftyOne's layout: data/ with a folder for each video, labels.json beside it."""
    frames = [f"video{video}/{number:06}.jpg" for video in (1, 2) for number in (1, 2)]
    for frame in frames:
        write_image(tmp_path / "data" / frame)
    write_coco(tmp_path / "labels.json", frames, [{"id": 1, "name": "car"}, {"id": 3, "name": "bus"}])

    dataset = read_dataset(tmp_path)
    assert dataset.class_names == ["car", "bus"] and not dataset.findings
    assert content_of(dataset) == {f"data/{frame}": ["car", "bus"] for frame in frames}


def test_roboflow_keras_text_and_yolo_text_in_one_folder(tmp_path):
    """Both exports were unpacked into one folder: they agree, one is taken, and it is said which."""
    for part in ("train", "valid"):
        write_image(tmp_path / part / f"{part}.jpg")
        write_text(tmp_path / part / "_annotations.txt", f"{part}.jpg 10,20,50,60,1\n")
        write_text(tmp_path / part / "_classes.txt", "bishop\nking\n")
        write_text(tmp_path / part / f"{part}.txt", f"1 {YOLO_BOX}\n")
        write_text(tmp_path / part / "_darknet.labels", "bishop\nking\n")

    assert find_default_lists(tmp_path) == ("train", "valid")
    for format in (None, "keras-yolo3", "yolo"):
        dataset = read_dataset(tmp_path, format)
        assert dataset.class_names == ["bishop", "king"]
        assert list(content_of(dataset).values()) == [["king"], ["king"]] and not dataset.findings
    (note,) = read_dataset(tmp_path).notes
    assert "read as" in note and "yolo" in note and "keras-yolo3" in note


def test_xml_with_the_csv_that_was_made_of_it(tmp_path):
    """As in tutorials: annotations/*.xml, and in data/ the CSV files that a script made of them."""
    rows = []
    for number in range(1, 4):
        name = f"raccoon-{number}.jpg"
        write_image(tmp_path / "images" / name)
        write_xml(tmp_path / "annotations" / f"raccoon-{number}.xml", f"<filename>{name}</filename>", ["raccoon"])
        rows.append(f"{name},200,100,raccoon,11,21,50,60\n")
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    write_text(tmp_path / "data" / "raccoon_labels.csv", header + "".join(rows))

    dataset = read_dataset(tmp_path)
    assert dataset.format == "voc" and dataset.class_names == ["raccoon"]
    assert list(content_of(dataset).values()) == [["raccoon"]] * 3 and not dataset.findings
    (note,) = dataset.notes
    assert "read as voc; csv lies there too" in note


@needs_data
def test_the_chess_boards_have_thirteen_classes():
    dataset = read_dataset(DATA / "chess", list_name="train")
    assert len(dataset.class_names) == 13 and "pieces" not in dataset.class_names
    assert kinds(dataset.findings) == [("warning", "supercategory")]
    again = read_dataset(DATA / "chess", class_names=["pieces", *dataset.class_names], list_name="train")
    assert again.class_names[0] == "pieces" and not again.findings  # of a network trained with fourteen
    for one, other in zip(dataset.annotations, again.annotations, strict=True):
        np.testing.assert_array_equal(one.class_ids + 1, other.class_ids)
