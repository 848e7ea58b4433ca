"""Heads of a cfg: anchors, outputs and classes."""

import numpy as np
import pytest

from tests.darknet.networks import SMALL, cfg_of
from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.heads import output_indices, with_classes, yolo_heads


def test_heads_hold_anchors_masks_and_the_rest():
    (head,) = yolo_heads(parse_cfg(SMALL))
    np.testing.assert_array_equal(head.anchors, [[10, 13], [16, 30.5], [33, 23]])
    assert (head.mask, head.classes, head.scale_x_y, head.ignore_thresh) == ((1, 2), 2, 1.1, 0.7)
    assert (head.grid_shape, head.stride) == ((16, 32), 2)


def test_outputs_are_read_by_the_heads_or_the_last_layer():
    assert output_indices(parse_cfg(SMALL)) == (1,)
    assert output_indices(cfg_of("[convolutional]\n[maxpool]\n")) == (1,)


def test_heads_for_other_classes_change_two_lines():
    cfg = parse_cfg(SMALL)
    other = with_classes(cfg, 5)
    assert other.text == cfg.text.replace("filters=14", "filters=20").replace("classes=2", "classes=5")
    assert yolo_heads(other)[0].classes == 5


@pytest.mark.parametrize(
    "anchors, says",
    [
        ("10,13  16,30.5,  33,23", "expected comma-separated numbers for 'anchors', got '13  16' without a comma"),
        ("10,13,  16,30.5,  33", "expected pairs of width and height for 'anchors', got 5 numbers"),
        ("10,13,  16,-30.5,  33,23", "expected widths and heights above 0 for 'anchors', got -30.5"),
        ("10,13,  16,30.5", "expected a mask of anchors 0 to 1, the 2 of 'anchors', got 1,2"),
    ],
)
def test_a_fault_of_the_anchors_is_not_blamed_on_the_mask(anchors, says):
    text = SMALL.replace("10,13,  16,30.5,  33,23", anchors)
    key = "mask" if "a mask of" in says else "anchors"
    line = next(number for number, content in enumerate(text.splitlines(), 1) if content.startswith(key))
    with pytest.raises(ValueError) as caught:
        yolo_heads(parse_cfg(text))
    assert says in str(caught.value) and f":{line}:" in str(caught.value)
