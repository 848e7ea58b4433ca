"""CVAT's XML for images and for video."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import cvat
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.formats.described_images import DescribedBox

LABELS = "".join(
    f"<label><name>{name}</name><type>{kind}</type><attributes></attributes></label>"
    for name, kind in (("dog", "any"), ("cat", "rectangle"), ("road", "polyline"))
)
BOX = '<box label="cat" source="manual" occluded="1" xtl="10" ytl="20" xbr="60" ybr="80" z_order="0"></box>'


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def xml_of(*elements):
    meta = f"<meta><task><labels>{LABELS}</labels></task></meta>"
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<annotations><version>1.1</version>{meta}", *elements]
    return "\n".join([*lines, "</annotations>"])


def image(*shapes, name="a.jpg", **more):
    attributes = {"id": "0", "name": name, "width": "200", "height": "100"} | more
    stated = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return "\n".join([f"<image {stated}>", *shapes, "</image>"])


def read_elements(tmp_path, *elements, names=("a.jpg",), **options):
    for name in names:
        write_image(tmp_path / "images" / name)
    (tmp_path / "annotations.xml").write_text(xml_of(*elements))
    return cvat.read(str(tmp_path), **options)


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


@pytest.mark.parametrize(
    "shape, box",
    [
        (BOX, [10, 20, 60, 80]),
        # 50 x 60 around (35, 50), turned by a quarter: 60 x 50.
        (BOX.replace("z_order", 'rotation="90" z_order'), [5, 25, 65, 75]),
        ('<polygon label="cat" points="10.00,20.00;60.00,30.00;35.50,80.00"/>', [10, 20, 60, 80]),
        ('<ellipse label="cat" cx="35" cy="50" rx="25" ry="30"/>', [10, 20, 60, 80]),
        ('<ellipse label="cat" cx="35" cy="50" rx="30" ry="25" rotation="90"/>', [10, 20, 60, 80]),
        ('<mask label="cat" rle="1, 2" left="10" top="20" width="50" height="60"/>', [10, 20, 60, 80]),
        (
            '<cuboid label="cat" xtl1="10" ytl1="20" xbl1="10" ybl1="70" xtr1="50" ytr1="20" xbr1="50" ybr1="70" '
            'xtl2="60" ytl2="25" xbl2="60" ybl2="80" xtr2="55" ytr2="25" xbr2="55" ybr2="80"/>',
            [10, 20, 60, 80],
        ),
        (
            '<skeleton label="cat"><points label="1" outside="0" points="10,20"/><points label="2" points="60,80"/>'
            '<points label="3" outside="1" points="0,0"/></skeleton>',
            [10, 20, 60, 80],
        ),
    ],
    ids=["box", "turned", "polygon", "ellipse", "turned-ellipse", "mask", "cuboid", "skeleton"],
)
def test_each_shape_becomes_the_box_around_it(tmp_path, shape, box):
    dataset = read_elements(tmp_path, image(shape))
    np.testing.assert_allclose(dataset.annotations[0].boxes, [box], atol=1e-4)
    assert not dataset.findings
    assert formats.detect_format(tmp_path) == formats.detect_format(tmp_path / "annotations.xml") == "cvat"


def test_classes_are_the_labels_of_the_task_in_their_order(tmp_path):
    dataset = read_elements(tmp_path, image(BOX, BOX.replace("cat", "fox")))
    assert dataset.class_names == ["dog", "cat", "fox"] and dataset.annotations[0].class_ids.tolist() == [1, 2]


def test_boxes_know_their_lines(tmp_path):
    (item,) = read_elements(tmp_path, image(BOX, BOX.replace("10", "15"))).annotations
    assert [item.where(box).rpartition(":")[2] for box in range(2)] == ["4", "5"]


def test_images_without_shapes_are_background_and_what_has_no_area_is_counted(tmp_path):
    shapes = ['<points label="dog" points="1,2"/>', '<polyline label="road" points="1,2;3,4"/>', '<tag label="dog"/>']
    dataset = read_elements(tmp_path, image(*shapes))
    assert len(dataset.annotations[0].boxes) == 0
    (finding,) = dataset.findings
    assert finding.kind == "without-area" and finding.message.startswith("3 points, lines or tags")


def test_attributes_mark_difficult_objects_and_outside_ones_are_left_out(tmp_path):
    difficult = BOX.replace("></box>", '><attribute name="Difficult">true</attribute></box>')
    dataset = read_elements(tmp_path, image(BOX, difficult, BOX.replace("<box", '<box outside="1"')))
    assert dataset.annotations[0].difficult.tolist() == [False, True] and not dataset.findings


@pytest.mark.parametrize(
    "bad, says",
    [
        (BOX.replace('"10"', '"x"'), "expected numbers for xtl, ytl, xbr, ybr of a box, got 'x, 20, 60, 80'"),
        (BOX.replace('"10"', '"1e999"'), "expected numbers"),
        (BOX.replace('xtl="10"', ""), "expected numbers"),
        (BOX.replace('label="cat"', ""), "expected a label"),
        ('<polygon label="cat" points="1,2;3"/>', "expected points"),
        ('<polygon label="cat"/>', "expected points"),
        ('<ellipse label="cat" cx="1" cy="2" rx="3" ry="4" rotation="x"/>', "rotation"),
    ],
)
def test_a_bad_shape_is_reported_with_its_line_and_the_rest_is_read(tmp_path, bad, says):
    dataset = read_elements(tmp_path, image(BOX, bad))
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 60, 80]]
    (finding,) = dataset.findings
    assert finding.kind == "bad-box" and says in finding.message and finding.where.endswith("annotations.xml:5")


def test_xml_that_ends_early_is_reported_with_its_line(tmp_path):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(xml_of(image(BOX)).replace("</annotations>", "<image"))
    dataset = cvat.read(str(tmp_path))
    assert kinds(dataset) == ["bad-xml"] and len(dataset.annotations) == 1


def test_subsets_are_lists(tmp_path):
    elements = [
        image(BOX, name="a.jpg", subset="Train"),
        image(BOX, name="b.jpg", subset="Validation"),
        image(name="c.jpg", subset="default"),
    ]
    assert len(read_elements(tmp_path, *elements, names=("a.jpg", "b.jpg", "c.jpg")).annotations) == 3
    assert formats.find_default_lists(tmp_path) == ("Train", "Validation")
    (item,) = formats.read_dataset(tmp_path, list_name="Validation").annotations
    assert Path(item.image_path).name == "b.jpg"


def test_files_are_lists_where_there_are_no_subsets(tmp_path):
    for part in ("train", "val"):
        write_image(tmp_path / "images" / f"{part}.jpg")
        (tmp_path / f"{part}.xml").write_text(xml_of(image(BOX, name=f"images/{part}.jpg")))
    assert formats.find_default_lists(tmp_path) == ("train", "val")
    (item,) = formats.read_dataset(tmp_path, list_name="val").annotations
    assert Path(item.image_path).name == "val.jpg"


TRACK = (
    '<track id="0" label="cat">\n<box frame="0" outside="0" xtl="10" ytl="20" xbr="60" ybr="80"/>\n'
    '<box frame="2" outside="0" xtl="11" ytl="20" xbr="60" ybr="80"/>\n'
    '<box frame="3" outside="1" xtl="11" ytl="20" xbr="60" ybr="80"/>\n</track>'
)


def test_tracks_of_a_video_are_read_by_the_images_of_its_frames(tmp_path):
    names = [f"frame_{number:06d}.PNG" for number in range(4)]
    dataset = read_elements(tmp_path, TRACK, TRACK.replace("cat", "dog"), names=names)
    boxes = {Path(item.image_path).name: item.boxes[:, 0].tolist() for item in dataset.annotations}
    assert boxes == {names[0]: [10, 10], names[1]: [10.5, 10.5], names[2]: [11, 11]}
    assert dataset.annotations[0].class_ids.tolist() == [1, 0]


def test_frames_between_key_frames_of_a_track_are_filled_in_where_there_are_images():
    first, last = DescribedBox("cat", (0, 0, 10, 10)), DescribedBox("cat", (8, 4, 18, 14))
    filled = list(cvat.fill_gaps([(4, last), (0, first), (9, None), (12, first)], frames=[0, 1, 2, 4, 8, 9, 10, 11]))
    assert [number for number, _ in filled] == [0, 1, 2, 4, 8, 12]  # after 9 the object has left, until 12
    assert [box.xyxy for _, box in filled[:3]] == [(0, 0, 10, 10), (2, 1, 12, 11), (4, 2, 14, 12)]
    assert filled[4][1].xyxy == last.xyxy


def test_tracks_without_images_of_frames_are_one_line(tmp_path):
    (finding,) = read_elements(tmp_path, TRACK, names=()).findings
    assert finding.kind == "missing-image" and "frame_000000.png" in finding.message


def test_a_missing_image_and_another_size_are_reported_with_the_line(tmp_path):
    dataset = read_elements(tmp_path, image(BOX, width="400"), image(BOX, name="lost.jpg"))
    assert kinds(dataset) == ["size-mismatch", "missing-image"]
    assert [finding.where.rpartition(":")[2] for finding in dataset.findings] == ["3", "6"]


def test_a_bomb_of_entities_is_one_finding(tmp_path):
    entities = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
    bomb = f'<!DOCTYPE annotations [<!ENTITY a0 "a">{entities}]>\n<annotations>\n<image name="&a9;"/></annotations>'
    (tmp_path / "a.xml").write_text(bomb)
    (finding,) = cvat.read(str(tmp_path)).findings
    assert finding.kind == "bad-xml" and len(finding.message) < 200


@pytest.mark.parametrize("text", ["<annotation></annotation>", "<annotations", "", "\0\1", "text <annotations>"])
def test_other_files_are_not_cvats(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    assert not cvat.matches(str(tmp_path / "a.xml")) and not cvat.matches(str(tmp_path))
