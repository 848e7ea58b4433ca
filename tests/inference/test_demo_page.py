"""The page of `yolo3 demo`: what it needs, what it lists, what it draws. In a browser: `tests/cli/test_demo.py`."""

import numpy as np
import pytest

from yolo3.detections import Detections
from yolo3.inference import demo_page


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
