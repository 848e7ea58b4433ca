"""Heads for other classes: boxes, objectness and classes of the same name are kept."""

import numpy as np

from yolo3.models.yolov3.head_rows import keep_head_rows

OWN, STORED = ["dog", "new"], ["cat", "dog", "bird"]


def head(num_anchors, num_classes, start):
    """Kernel and bias that hold different numbers."""
    outputs = num_anchors * (5 + num_classes)
    return [start + np.arange(4.0 * outputs).reshape(1, 1, 4, outputs), start + 0.5 + np.arange(float(outputs))]


def test_each_anchor_keeps_its_box_and_objectness_and_its_classes_of_the_same_name():
    own, stored = head(2, 2, start=0), head(2, 3, start=1000)
    kept = keep_head_rows(own, stored, OWN, STORED)
    for result, mine, theirs in zip(kept, own, stored):
        result, mine, theirs = (array.reshape(*array.shape[:-1], 2, -1) for array in (result, mine, theirs))
        np.testing.assert_array_equal(result[..., :5], theirs[..., :5])
        np.testing.assert_array_equal(result[..., 5], theirs[..., 6])  # dog
        np.testing.assert_array_equal(result[..., 6], mine[..., 6])  # new


def test_what_is_no_head_for_other_classes_is_left_alone():
    own = head(2, 2, start=0)
    assert keep_head_rows(own, head(3, 3, start=0), OWN, STORED) is None  # other anchors
    assert keep_head_rows(own, head(2, 3, start=0)[:1], OWN, STORED) is None  # no bias
    wide = [np.zeros((1, 1, 5, 16)), np.zeros(16)]
    assert keep_head_rows(own, wide, OWN, STORED) is None  # other inputs
    assert keep_head_rows([np.zeros((1, 1, 4, 13)), np.zeros(13)], head(2, 3, start=0), OWN, STORED) is None
