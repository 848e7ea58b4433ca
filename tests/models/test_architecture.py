"""Sizes of the network input and shapes of outputs, whatever the architecture."""

import pytest

from yolo3.models.architecture import check_input_shape, default_input_shape


def test_sides_are_multiples_of_the_stride():
    assert check_input_shape([320, 416], 32) == (320, 416)
    assert check_input_shape((128, 64), 64) == (128, 64)
    for wrong in ((300, 416), (416, 417), (0, 32), (-32, 32)):
        with pytest.raises(ValueError, match="input size: expected multiples of 32, got"):
            check_input_shape(wrong, 32)
    with pytest.raises(ValueError, match=r"multiples of 64, got 96 64 \(height width\)"):
        check_input_shape((96, 64), 64)


@pytest.mark.parametrize("stride, side", [(8, 416), (32, 416), (64, 384), (512, 512)])
def test_the_default_size_is_a_multiple_of_the_stride(stride, side):
    # 416 = 6.5 x 64: rounded down to 384; a network of a larger stride sees one cell.
    assert default_input_shape(stride) == (side, side)
