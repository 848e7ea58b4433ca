"""Whole folders as tools write them and users keep them, prepared for a run as `yolo3 train` does it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.training.preparation import DataError, prepare
from yolo3.training.settings import TrainConfig

ANCHORS = Path(__file__).parents[3] / "model_data" / "tiny_yolo_anchors.txt"
LABEL = "0 0.5 0.5 0.25 0.5\n1\t0.3\t0.3\t2e-1\t1.5E-1  \r\n"


def write_image(path):
    """Write an image of 200 x 100 pixels, no two alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(sum(map(ord, str(path)))).integers(0, 255, (100, 200, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def write_xml(path, filename):
    box = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>90</xmax><ymax>80</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in ("ant", "bee"))
    write_text(path, f"<annotation><filename>{filename}</filename>{objects}</annotation>")


def write_coco(path, names, first_category=1):
    categories = [{"id": first_category, "name": "ant"}, {"id": first_category + 6, "name": "bee"}]
    annotations = [
        {"id": 2 * number + index, "image_id": number, "category_id": category["id"], "bbox": [10, 20, 80, 60]}
        for number in range(len(names))
        for index, category in enumerate(categories)
    ]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    write_text(path, json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def voc_with_odd_names(root):
    for name in ("a.JPG", "b 2.Jpeg", "ü[1].PNG", "d.e,f (3).bmp"):
        write_image(root / "photos" / name)
        write_xml(root / "Labels and boxes" / f"{Path(name).stem}.xml", name)


def voc_by_dates(root):
    for day in ("2020-01-02", "2021-05-06/morning"):
        for stem in "12":
            write_image(root / day / f"{stem}.jpg")
            write_xml(root / day / f"{stem}.xml", f"{stem}.jpg")


def voc_of_linked_folders(root):
    store = root.parent / "store"
    for stem in "1234":
        write_image(store / "photos" / f"{stem}.jpg")
        write_xml(store / "xml" / f"{stem}.xml", f"C:\\Users\\me\\{stem}.jpeg")
    root.mkdir()
    (root / "photos").symlink_to(store / "photos")
    (root / "boxes").symlink_to("../store/xml")


def voc_development_kit(root):
    kit = root / "VOCdevkit" / "VOC2007"
    for stem in "1234":
        write_image(kit / "JPEGImages" / f"{stem}.jpg")
        write_xml(kit / "Annotations" / f"{stem}.xml", f"{stem}.jpg")
    write_text(kit / "ImageSets" / "Main" / "trainval.txt", "1\r\n2\r\n")
    write_text(kit / "ImageSets" / "Main" / "ant_trainval.txt", "1  1\r\n2 -1\r\n")
    write_text(kit / "ImageSets" / "Main" / "test.txt", "3\n4\n")


def coco_of_label_studio(root):
    names = [f"images\\ab12-photo {number}.jpg" for number in range(4)]
    for name in names:
        write_image(root / name.replace("\\", "/"))
    write_coco(root / "result.json", names, first_category=0)


def coco_of_cvat(root):
    for part in ("Train", "Validation"):
        for number in range(2):
            write_image(root / "images" / part / f"{number}.jpg")
        write_coco(root / "annotations" / f"instances_{part}.json", ["0.jpg", "1.jpg"])


def coco_of_roboflow(root):
    for part in ("train", "valid"):
        names = [f"{part}_{number}_jpg.rf.0a1b.jpg" for number in range(2)]
        for name in names:
            write_image(root / part / name)
        write_coco(root / part / "_annotations.coco.json", names)


def yolo_of_roboflow(root):
    for part in ("train", "valid"):
        for number in range(2):
            write_image(root / part / "images" / f"{number}.jpg")
            write_text(root / part / "labels" / f"{number}.txt", LABEL)
    paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    write_text(root / "data.yaml", f"{paths}nc: 2\nnames: ['ant', 'bee']\n")


def yolo_of_ultralytics(root):
    for part in ("train", "val"):
        for number in range(2):
            write_image(root / "images" / part / f"{part} {number}.PNG")
            write_text(root / "labels" / part / f"{part} {number}.txt", LABEL)
    paths = "path: ../datasets/cells # elsewhere\ntrain: images/train\nval: images/val\ntest: # none\n"
    write_text(root / "cells.yaml", f"{paths}names:\n  0: ant\n  1: bee\n")


def yolo_of_cvat(root):
    for number in range(4):
        write_image(root / "obj_train_data" / f"{number}.jpg")
        write_text(root / "obj_train_data" / f"{number}.txt", LABEL)
    write_text(root / "obj.data", "classes = 2\nnames = data/obj.names\ntrain = data/train.txt\n")
    write_text(root / "obj.names", "ant\nbee\n")
    write_text(root / "train.txt", "".join(f"data/obj_train_data/{number}.jpg\n" for number in range(4)))


def yolo_of_labelimg(root):
    for number in range(4):
        write_image(root / "images" / f"{number}.jpg")
        write_text(root / "boxes" / f"{number}.txt", LABEL)
    write_text(root / "boxes" / "classes.txt", "ant\r\nbee\r\n")


def keras_yolo3_of_windows(root):
    names = ("a b.jpg", "c,d.JPG", "1,2 x.png", "(e).jpeg")
    boxes = "10,20,90.5,80,0 1e1,20,90,80,1"
    lines = [f"C:\\me\\photos\\{names[0]} {boxes}", f'"/gone/{names[1]}" {boxes}']
    lines += [f"/gone/photos/{names[2]} {boxes}", "", f"'photos/{names[3]}'\t{boxes}"]
    for name in names:
        write_image(root / "photos" / name)
    write_text(root / "train.txt", "\r\n".join(lines))
    write_text(root / "classes.txt", "ant\nbee")


@pytest.mark.parametrize(
    "build, train, val",
    [
        (voc_with_odd_names, 3, 1),
        (voc_by_dates, 3, 1),
        (voc_of_linked_folders, 3, 1),
        (voc_development_kit, 2, 2),
        (coco_of_label_studio, 3, 1),
        (coco_of_cvat, 2, 2),
        (coco_of_roboflow, 2, 2),
        (yolo_of_roboflow, 2, 2),
        (yolo_of_ultralytics, 2, 2),
        (yolo_of_cvat, 3, 1),
        (yolo_of_labelimg, 3, 1),
        (keras_yolo3_of_windows, 3, 1),
    ],
)
def test_common_folder_layouts_are_prepared_without_changes(tmp_path, build, train, val):
    build(tmp_path / "my data")
    config = TrainConfig(anchors=str(ANCHORS), data=str(tmp_path / "my data"), input_size=(96, 96))
    prepared = prepare(config)
    assert (len(prepared.train), len(prepared.val)) == (train, val)
    assert prepared.class_names == ["ant", "bee"]
    assert all(item.class_ids.tolist() == [0, 1] for item in prepared.train + prepared.val)
    assert not [finding for finding in prepared.findings if finding.kind not in ("anchor-fit", "shared-slot")]


def test_a_wrong_number_of_anchors_is_reported_with_their_file(tmp_path):
    (tmp_path / "five.txt").write_text("1,2, 3,4, 5,6, 7,8, 9,10\n")
    with pytest.raises(ValueError, match=r"five.txt: expected 9 anchors \(three scales\) or 6 \(two\), got 5"):
        prepare(TrainConfig(anchors=str(tmp_path / "five.txt"), data=str(tmp_path)))


def test_when_all_boxes_are_left_out_the_findings_say_why(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_text(tmp_path / "train.txt", "a.jpg 10,20,10,80,0\n")
    config = TrainConfig(anchors=str(ANCHORS), data=str(tmp_path), input_size=(96, 96), skip_bad=True)
    with pytest.raises(DataError, match="expected at least one box to train on") as error:
        prepare(config)
    assert [finding.kind for finding in error.value.findings if finding.severity == "error"] == ["no-area"]


@pytest.mark.parametrize("build", [voc_with_odd_names, coco_of_roboflow, yolo_of_ultralytics, keras_yolo3_of_windows])
def test_broken_links_are_skipped(tmp_path, build):
    build(tmp_path / "set")
    for suffix in ("jpg", "txt", "xml", "json", "yaml", "data", "names"):
        (tmp_path / "set" / f"gone.{suffix}").symlink_to(tmp_path / "nowhere")
    config = TrainConfig(anchors=str(ANCHORS), data=str(tmp_path / "set"), input_size=(96, 96))
    assert len(prepare(config).class_names) == 2
