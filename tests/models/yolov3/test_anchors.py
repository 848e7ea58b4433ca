"""Default anchors, and files of anchors."""

from pathlib import Path

import numpy as np
import pytest

from yolo3.models.yolov3.anchors import (
    DEFAULT_ANCHORS,
    DEFAULT_TINY_ANCHORS,
    default_anchors,
    format_anchors,
    parse_anchors,
    read_anchors,
    write_anchors,
)


@pytest.mark.parametrize("text", ["10,13,  16,30", "10,13\n16,30\n", "10 13 16 30", "\ufeff10,13,\r\n\r\n 16,30,\n"])
def test_anchors_are_read_from_all_lines_however_they_are_separated(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    anchors = read_anchors(path)
    assert anchors.tolist() == [[10, 13], [16, 30]]
    assert anchors.dtype == np.float32


def test_anchors_make_the_round_trip_through_a_file(tmp_path):
    anchors = np.array([[10, 13], [16.25, 30.5], [0.03, 1234.5]], np.float32)
    write_anchors(tmp_path / "a.txt", anchors)
    np.testing.assert_array_equal(read_anchors(tmp_path / "a.txt"), anchors)
    assert (tmp_path / "a.txt").read_text() == "10,13,  16.25,30.5,  0.03,1234.5\n"


@pytest.mark.parametrize("anchors", [DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS])
def test_the_defaults_make_the_round_trip_through_text(anchors):
    np.testing.assert_array_equal(parse_anchors(format_anchors(anchors)), anchors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,13\n16,x", r"a\.txt:2: expected a width or height in pixels, got 'x'"),
        ("10,13\n\n16,-30", r"a\.txt:3: expected a width or height above 0 pixels, got '-30'"),
        ("10,0", r"a\.txt:1: .*above 0 pixels, got '0'"),
        ("10,nan", r"a\.txt:1: .*got 'nan'"),
        ("10,13\n16\n\n", r"a\.txt:2: expected pairs 'width,height', got an odd number of values, 3"),
        ("\n \n", r"a\.txt: expected anchors such as .*got no number"),
    ],
)
def test_bad_anchor_files_are_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_anchors(tmp_path / "a.txt")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="expected a text file"):
        read_anchors(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        read_anchors(tmp_path / "none.txt")


def test_the_files_of_the_repository_hold_the_defaults():
    folder = Path(__file__).parents[3] / "model_data"
    np.testing.assert_array_equal(read_anchors(folder / "yolo_anchors.txt"), DEFAULT_ANCHORS)
    np.testing.assert_array_equal(read_anchors(folder / "tiny_yolo_anchors.txt"), DEFAULT_TINY_ANCHORS)
    assert default_anchors(9) is DEFAULT_ANCHORS
    assert default_anchors(6) is DEFAULT_TINY_ANCHORS
    assert default_anchors(5) is None
