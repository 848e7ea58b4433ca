"""Which image a name means, through every reader: two videos whose frames have the same names."""

import json
import unicodedata

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats.registry import read_dataset

BOX = "10,20,50,60,0"
FRAMES = ("video1/000001.png", "video2/000001.png")


def write_image(path):
    """Write an image of 200 x 100 pixels, no two alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(sum(map(ord, str(path)))).integers(0, 255, (100, 200, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def coco(root, names):
    """Box of the n-th image: n pixels further right."""
    write_text(
        root / "labels.json",
        json.dumps(
            {
                "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
                "annotations": [
                    {"id": number, "image_id": number, "category_id": 1, "bbox": [number, 20, 40, 40]}
                    for number in range(len(names))
                ],
                "categories": [{"id": 1, "name": "cat"}],
            }
        ),
    )


def voc_folder(root, names):
    for number, name in enumerate(names):
        folder, filename = name.replace("\\", "/").rsplit("/", 2)[-2:]
        write_xml(root, number, f"<folder>{folder}</folder><filename>{filename}</filename>")


def voc_path(root, names):
    for number, name in enumerate(names):
        filename = name.replace("\\", "/").rsplit("/", 1)[-1]
        write_xml(root, number, f"<folder>x</folder><filename>{filename}</filename><path>{name}</path>")


def write_xml(root, number, head):
    corners = (number + 1, 21, number + 40, 60)
    box = "".join(f"<{t}>{v}</{t}>" for t, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    text = f"<annotation>{head}<object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    write_text(root / "xml" / f"label{number}.xml", text)


def keras_yolo3(root, names):
    write_text(
        root / "train.txt", "".join(f"{name} {number},20,{number + 40},60,0\n" for number, name in enumerate(names))
    )


PREFIXES = ["", "/content/drive/MyDrive/set/frames/", "C:\\Users\\me\\set\\"]


def boxes_by_frame(dataset):
    return {"/".join(item.image_path.split("/")[-2:]): item.boxes[:, 0].tolist() for item in dataset.annotations}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("write", [coco, voc_folder, voc_path, keras_yolo3])
def test_frames_of_two_videos_are_told_apart(tmp_path, write, prefix):
    for frame in FRAMES:
        write_image(tmp_path / "data" / frame)
    write(tmp_path, [(prefix + frame).replace("/", "\\") if "\\" in prefix else prefix + frame for frame in FRAMES])
    dataset = read_dataset(tmp_path)
    assert boxes_by_frame(dataset) == {FRAMES[0]: [0], FRAMES[1]: [1]} and not dataset.findings


@pytest.mark.parametrize("write", [coco, voc_folder, voc_path, keras_yolo3])
def test_boxes_of_a_missing_frame_are_not_given_to_a_frame_with_the_same_name(tmp_path, write):
    write_image(tmp_path / "data" / FRAMES[0])
    write(tmp_path, FRAMES)
    dataset = read_dataset(tmp_path)
    assert boxes_by_frame(dataset) == {FRAMES[0]: [0]}
    assert [finding.kind for finding in dataset.findings] == ["missing-image"]


@pytest.mark.parametrize("write", [coco, voc_folder, voc_path, keras_yolo3])
def test_names_that_fit_several_images_are_an_error_that_lists_them(tmp_path, write):
    for frame in FRAMES:
        write_image(tmp_path / "data" / frame)
    write(tmp_path, ["video3/000001.png"])
    dataset = read_dataset(tmp_path)
    (finding,) = [finding for finding in dataset.findings if finding.kind != "no-annotation"]
    assert (finding.severity, finding.kind) == ("error", "ambiguous-image") and not dataset.annotations
    assert all(frame in finding.message for frame in FRAMES)


def test_lists_of_yolo_tell_frames_apart(tmp_path):
    for frame in FRAMES:
        write_image(tmp_path / "data" / frame)
        write_text((tmp_path / "data" / frame).with_suffix(".txt"), "0 .5 .5 .1 .1\n")
    write_text(tmp_path / "train.txt", "".join(f"/content/set/{frame}\n" for frame in FRAMES))
    assert list(boxes_by_frame(read_dataset(tmp_path, list_name="train"))) == list(FRAMES)


@pytest.mark.parametrize("write", [coco, voc_path, keras_yolo3])
@pytest.mark.parametrize("name", ["/data/local-files/?d=set%2Fimages%20(1).png", "data/images%20(1).png"])
def test_names_of_web_addresses_are_unquoted(tmp_path, write, name):
    write_image(tmp_path / "data" / "images (1).png")
    write(tmp_path, [name])
    dataset = read_dataset(tmp_path)
    assert len(dataset.annotations) == 1 and not dataset.findings


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("write", [coco, voc_path, keras_yolo3])
def test_composed_and_decomposed_names_are_the_same(tmp_path, write, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    write_image(tmp_path / "data" / unicodedata.normalize(form, "Käfer.png"))
    write(tmp_path, [unicodedata.normalize(other, "data/Käfer.png")])
    dataset = read_dataset(tmp_path)
    assert len(dataset.annotations) == 1 and not dataset.findings


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("folder", ["labels", "images", "boxes"])
def test_the_label_of_a_composed_or_decomposed_name_is_found(tmp_path, form, folder):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    write_image(tmp_path / "images" / unicodedata.normalize(form, "Käfer.png"))
    write_text(tmp_path / folder / unicodedata.normalize(other, "Käfer.txt"), "0 .5 .5 .1 .1\n")
    (item,) = read_dataset(tmp_path).annotations
    assert len(item.boxes) == 1


@pytest.mark.parametrize("suffix", [".jpe", ".JFIF", ".mpo"])
def test_every_suffix_of_a_jpeg_is_an_image(tmp_path, suffix):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / f"a{suffix}")
    keras_yolo3(tmp_path, [f"elsewhere/a{suffix}"])
    dataset = read_dataset(tmp_path)
    assert len(dataset.annotations) == 1 and not dataset.findings


def write_label(root, name):
    write_text(root / "labels" / f"{name}.txt", "0 .5 .5 .1 .1\n")


@pytest.mark.parametrize("parts", [("train", "val"), ("video1", "video2")])
def test_the_label_of_another_image_with_this_name_is_not_taken(tmp_path, parts):
    one, other = parts
    write_image(tmp_path / "images" / one / "1.png")
    write_image(tmp_path / "images" / other / "2.png")
    for name in (f"{other}/1", f"{other}/2"):
        write_label(tmp_path, name)
    dataset = read_dataset(tmp_path)
    assert boxes_by_frame(dataset)[f"{one}/1.png"] == []
    assert [finding.kind for finding in dataset.findings] == ["no-annotation", "no-image"]


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("write", [coco, voc_path, keras_yolo3])
def test_an_image_of_another_list_is_not_taken(tmp_path, write, part):
    write_image(tmp_path / "images" / "train" / "1.png")
    write(tmp_path, [f"{part}/1.png"])
    dataset = read_dataset(tmp_path)
    assert not dataset.annotations
    (finding,) = [finding for finding in dataset.findings if finding.severity == "error"]
    assert finding.kind == "missing-image"


def test_xml_of_one_list_does_not_take_the_image_of_another(tmp_path):
    write_image(tmp_path / "images" / "train" / "1.png")
    write_text(tmp_path / "xml" / "val" / "1.xml", "<annotation></annotation>")
    dataset = read_dataset(tmp_path)
    assert not dataset.annotations
    assert [finding.kind for finding in dataset.findings] == ["missing-image", "no-annotation"]


def csv(root, names):
    rows = "".join(f"{name},{number},20,{number + 40},60,cat\n" for number, name in enumerate(names))
    write_text(root / "val.csv", "filename,xmin,ymin,xmax,ymax,class\n" + rows)


def coco_val(root, names):
    coco(root, names)
    (root / "labels.json").rename(root / "val.json")


@pytest.mark.parametrize("write", [coco_val, csv])
def test_a_list_with_a_folder_of_its_own_takes_no_image_of_another_list(tmp_path, write):
    for name in ("train/1.png", "train/2.png", "val/3.png"):
        write_image(tmp_path / name)
    write(tmp_path, ["3.png", "2.png"])
    dataset = read_dataset(tmp_path)
    assert boxes_by_frame(dataset) == {"val/3.png": [0]}
    (error,) = [finding for finding in dataset.findings if finding.severity == "error"]
    assert error.kind == "missing-image" and "train/2.png has this file name, but is another image" in error.message


@pytest.mark.parametrize("write", [coco_val, csv])
def test_lists_may_share_the_folder_of_the_training_images(tmp_path, write):
    for name in ("train_images/1.png", "train_images/2.png"):
        write_image(tmp_path / name)
    write(tmp_path, ["2.png"])
    assert boxes_by_frame(read_dataset(tmp_path, list_name="val")) == {"train_images/2.png": [0]}


@pytest.mark.parametrize("name", ["labels/1.txt", "1.xml"])
def test_the_name_of_a_text_file_is_no_image(tmp_path, name):
    write_image(tmp_path / "images" / "a.png")
    write_text(tmp_path / name, "0 .5 .5 .1 .1\n")
    write_text(tmp_path / "train.txt", f"images/a.png 1,2,3,4,0\n{name} 1,2,3,4,0\n")
    (finding,) = read_dataset(tmp_path, "keras-yolo3").findings
    assert finding.kind == "missing-image" and finding.where.endswith("train.txt:2")
    assert f"got '{name}', an annotation file" in finding.message
