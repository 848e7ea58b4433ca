"""Formats of boxes by Keras' names."""

import keras
import numpy as np
import pytest

from yolo3.ops.box_formats import FORMATS, columns_of


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_are_those_that_keras_converts(name):
    # relative (x, y, w, h) = (.5, .4, .2, .4) on 100 x 200 pixels: corners x 80..120, y 20..60
    columns = columns_of(name, (0.5, 0.4), (0.2, 0.4), (100, 200))
    corners = np.array([[[80, 20, 120, 60]]], np.float32)
    expected = keras.utils.bounding_boxes.convert_format(corners, source="xyxy", target=name, height=100, width=200)
    np.testing.assert_allclose(columns, keras.ops.convert_to_numpy(expected)[0, 0], rtol=1e-5)
