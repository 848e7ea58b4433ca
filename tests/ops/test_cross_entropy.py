"""Binary cross-entropy by hand, its gradient where the logit is zero, and its least value."""

import math

import numpy as np
import pytest
import tensorflow as tf

from yolo3.ops.cross_entropy import binary_cross_entropy, entropy


def test_cross_entropy_by_hand_also_where_the_exponential_overflows():
    # A logit of ln 3 is a probability of 3/4: -ln(3/4) for a target of 1, -ln(1/4) for 0. A logit of -1000 costs 1000.
    logits, targets = np.float32([math.log(3), math.log(3), -1000, 1000]), np.float32([1, 0, 1, 1])
    np.testing.assert_allclose(
        binary_cross_entropy(logits, targets), [-math.log(0.75), -math.log(0.25), 1000, 0], rtol=1e-6
    )


@pytest.mark.parametrize("logit", [0.0, -0.0, 1e-30])
def test_cross_entropy_has_its_gradient_where_the_logit_is_zero(logit):
    # relu and abs have no derivative there; the sum of what frameworks take for it would be -t instead of p - t.
    logits = tf.constant([logit] * 3)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = binary_cross_entropy(logits, tf.constant([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(loss, math.log(2), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, logits), [0.5, 0.25, -0.5])


def test_the_least_cross_entropy_is_that_of_the_target_itself():
    targets = np.float32([0, 0.25, 0.5, 1])
    at_the_target = binary_cross_entropy(np.log(targets[1:3] / (1 - targets[1:3])), targets[1:3])
    np.testing.assert_allclose(entropy(targets), [0, *at_the_target.numpy(), 0], atol=1e-5)
