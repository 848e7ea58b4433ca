"""The record of detections."""

import numpy as np
import pytest

from yolo3.detections import Detections


def test_detections_are_arrays_of_equal_length_whatever_they_are_made_from():
    found = Detections([1, 2, 3, 4], [0.5], [7])
    assert found.boxes.tolist() == [[1, 2, 3, 4]] and len(found) == 1
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int32)
    assert Detections([], [], []).boxes.shape == (0, 4)
    with pytest.raises(ValueError, match="got 1 boxes, 2 scores, 1 class ids"):
        Detections([[1, 2, 3, 4]], [0.5, 0.6], [7])
