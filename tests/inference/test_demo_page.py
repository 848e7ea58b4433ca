"""The page of `yolo3 demo`: what it needs, what it lists, what it draws. In a browser: `tests/cli/test_demo.py`."""

import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network, sample_image, uncompiled  # noqa: F401
from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.inference import demo_page
from yolo3.inference.detector import Detector


def test_without_gradio_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(demo_page, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs gradio, which is not installed: pip install 'yolo3\[demo\]'"):
        demo_page.check_gradio()


def test_the_table_has_a_row_for_each_detection():
    found = Detections([[1.4, 2, 30.6, 40]], [0.876], [1])
    assert demo_page.table_rows(found, ["a", "b"]) == [["b", "0.88", 1, 2, 31, 40]]
    assert demo_page.table_rows(Detections([], [], []), ["a", "b"]) == []


def test_large_photographs_are_drawn_smaller_with_their_boxes_in_place():
    photograph = np.zeros((2000, 3200, 3), np.uint8)
    drawn = demo_page.draw_reduced(photograph, Detections([[1600, 1000, 3200, 2000]], [0.9], [0]), ["a"])
    assert drawn.shape == (1000, 1600, 3)
    assert drawn[900, 800].any() and not drawn[900, 700].any()  # the left edge of the box, half as far
    assert not photograph.any()


@pytest.mark.usefixtures("uncompiled")
def test_the_sliders_select_without_another_pass_of_the_network(tmp_path, monkeypatch):
    write_image(tmp_path / "red.png", sample_image())
    detector = Detector(cell_network(), METADATA, resize="letterbox", score_threshold=0.01)  # scores of .5
    answers = demo_page.Answers(detector)
    seen, image, rows, words = answers.look(str(tmp_path / "red.png"), 0.3, 0.45)
    assert rows == [["red", "0.50", 64, 0, 128, 32], ["red", "0.50", 64, 32, 128, 64]]
    assert image.shape == (64, 128, 3) and "in 128 x 64 pixels" in words

    monkeypatch.setattr(Detector, "candidates", None)  # not asked again
    _, rows, words = answers.select(seen, 0.6, 0.45)
    assert rows == [] and "**0 objects** in 128 x 64" in words


@pytest.mark.usefixtures("uncompiled")
def test_what_cannot_be_read_is_said_without_the_path_of_its_copy(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    answers = demo_page.Answers(Detector(cell_network(), METADATA))
    seen, image, rows, words = answers.look(str(tmp_path / "a.png"), 0.3, 0.45)
    assert (seen, image, rows) == (None, None, []) and words.startswith("**This file cannot be used:** ")
    assert str(tmp_path) not in words
    assert answers.look(None, 0.3, 0.45) == (None, None, [], "")
