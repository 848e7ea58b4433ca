"""Smooth L1 by hand, and its slope."""

import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.anchors.losses import smooth_l1


@pytest.mark.parametrize(
    "error, beta, expected",
    [
        (0.5, 1.0, 0.125),  # .5^2 / 2
        (-2.0, 1.0, 1.5),  # 2 - 1/2
        (0.1, 1 / 9, 0.045),  # .01 * 9 / 2
        (1.0, 1 / 9, 1 - 1 / 18),
        (0.0, 1 / 9, 0.0),
    ],
)
def test_smooth_l1_by_hand(error, beta, expected):
    assert float(smooth_l1(tf.constant(error), beta)) == pytest.approx(expected)


def test_the_slope_of_smooth_l1_is_the_error_over_beta_and_at_most_1():
    error = tf.constant([-3.0, -0.5, -0.1, 0.0, 0.05, 0.25, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(error)
        loss = smooth_l1(error, 0.2)
    np.testing.assert_allclose(tape.gradient(loss, error), [-1, -1, -0.5, 0, 0.25, 1, 1], rtol=1e-5)
