"""Detections as YOLO labels, read back."""

import numpy as np

from tests.inference.writers.examples import FOUND, IMAGE, files_below, write
from yolo3.datasets.formats.yolo_labels import parse_label
from yolo3.inference.writers.yolo_txt import YoloTxtFolder


def test_yolo_txt_has_a_file_for_each_image_even_without_detections(tmp_path):
    write(YoloTxtFolder(tmp_path))
    assert files_below(tmp_path) == ["a.txt", "clip/000007.txt", "sub/b.txt"]
    assert (tmp_path / "sub" / "b.txt").read_text() == ""
    # 8..24 of 80 is .2 in the middle and .2 wide; 10..30 of 40 is .5 in the middle and .5 high
    assert (tmp_path / "a.txt").read_text() == (
        "1 0.200000 0.500000 0.200000 0.500000\n0 0.500000 0.500000 1.000000 1.000000\n"
    )


def test_yolo_txt_reads_back_as_labels_unless_it_holds_scores(tmp_path):
    write(YoloTxtFolder(tmp_path / "labels"), YoloTxtFolder(tmp_path / "scores", scores=True))
    boxes, faults = parse_label((tmp_path / "labels" / "a.txt").read_text(), IMAGE.shape[:2])
    assert not faults and [box.class_id for box in boxes] == [1, 0]
    np.testing.assert_allclose([box.xyxy for box in boxes], FOUND.boxes, atol=1e-3)
    text = (tmp_path / "scores" / "a.txt").read_text()
    assert [line.split()[-1] for line in text.splitlines()] == ["0.875000", "0.500000"]
    assert len(parse_label(text, IMAGE.shape[:2])[1]) == 2
