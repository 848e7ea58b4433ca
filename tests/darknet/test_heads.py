"""Heads of a cfg: anchors, outputs and classes."""

import numpy as np

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
