"""Lines of YOLO's label files."""

import numpy as np
import pytest

from yolo3.datasets.formats.yolo_labels import parse_label

LINE = "0 0.5 0.5 0.25 0.5\n"


def test_a_label_is_centre_and_size_as_fractions():
    boxes, faults = parse_label("1 0.5 0.5 0.25 0.5\n\n0 0.05 .9 1e-1 0.2\n", (100, 200))
    # 200 wide: 100 -+ 25; 100 high: 50 -+ 25. Second: 10 -+ 10, 90 -+ 10.
    np.testing.assert_allclose([box.xyxy for box in boxes], [[75, 25, 125, 75], [0, 80, 20, 100]], atol=1e-9)
    assert [(box.class_id, box.line) for box in boxes] == [(1, 1), (0, 3)] and not faults


def test_a_polygon_becomes_the_box_around_it():
    boxes, faults = parse_label("2 0.1 0.2 0.5 0.9 0.3 0.1\n", (100, 200))
    np.testing.assert_allclose(boxes[0].xyxy, [20, 10, 100, 90])
    assert boxes[0].class_id == 2 and not faults


@pytest.mark.parametrize(
    "line, says",
    [
        ("0 .5 .5 .1 .1 .9", "confidence"),
        ("0 .5 .5 .1", "got '0 .5 .5 .1'"),
        ("cat .5 .5 .1 .1", "got 'cat"),
        ("0 100 50 20 20", "pixels"),
        ("0 .5 .5 nan .1", "nan"),
        ("0.5 .5 .5 .1 .1", "class_id"),
        ("0 .1 .2 .3 .4 .5 .6 .7", "polygon"),
    ],
)
def test_bad_lines_are_errors_and_the_others_stay(line, says):
    boxes, ((number, message),) = parse_label(f"{LINE}{line}\n", (100, 200))
    assert len(boxes) == 1 and number == 2 and says in message
