"""Records that all readers return."""

import numpy as np

from yolo3.datasets.annotation import Box, Finding, build_annotation, without_crowd


def test_a_box_is_named_by_its_line_and_an_image_by_its_source():
    boxes = [Box((0, 0, 1, 1), 0, line=4), Box((1, 1, 2, 2), 1, line=9)]
    item = build_annotation("a.jpg", boxes, "a.xml")
    assert (item.where(1), item.where()) == ("a.xml:9", "a.xml")
    assert build_annotation("a.jpg", boxes[:1], "train.txt:4").where(0) == "train.txt:4"
    chosen = item.select(np.array([False, True]))
    assert chosen.lines == (9,) and chosen.class_ids.tolist() == [1]


def test_an_annotation_without_boxes_has_arrays_of_the_right_shape():
    item = build_annotation("a.jpg", [], "a.xml")
    assert item.boxes.shape == (0, 4) and item.boxes.dtype == np.float32
    assert item.class_ids.dtype == np.int32 and item.difficult.dtype == item.crowd.dtype == bool


def test_crowd_regions_left_out_are_counted_in_the_log(caplog):
    boxes = [Box((0, 0, 1, 1), 0, crowd=True), Box((1, 1, 2, 2), 0)]
    item = build_annotation("a.jpg", boxes, "a.json")
    (left,) = without_crowd([item], "voc")
    assert left.boxes.tolist() == [[1, 1, 2, 2]] and len(item.boxes) == 2
    assert "left out 1 crowd regions" in caplog.text


def test_the_message_of_a_finding_is_one_line_of_bounded_length():
    finding = Finding("error", "bad-box", "a.txt:1", "got 'a\nb\x00\udcff" + "1" * 5000)
    assert finding.message.startswith(r"got 'a\nb\x00\udcff1") and len(finding.message) < 1100
    assert finding.message.isprintable() and Finding("error", "x", "a", "Möwe\u3000").message == "Möwe\u3000"
