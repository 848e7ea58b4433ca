"""The focal loss: by hand, against finite differences in double precision, and at extreme logits."""

import math

import numpy as np
import pytest
import tensorflow as tf

from yolo3.ops.cross_entropy import binary_cross_entropy
from yolo3.ops.focal import focal_loss


def slow_focal(z, target, alpha, gamma):
    """The formula of the module for one number, in double precision."""
    p = 1 / (1 + math.exp(-z))
    found = alpha * target * (1 - p) ** gamma * -math.log(p)
    return found + (1 - alpha) * (1 - target) * p**gamma * -math.log(1 - p)


def gradient_of(logits, targets, alpha=0.25, gamma=2.0):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = focal_loss(logits, tf.constant(targets), alpha, gamma)
    return loss.numpy(), tape.gradient(loss, logits).numpy()


def test_four_values_by_hand():
    # p = 1/2: .25 .5^2 ln 2 and .75 .5^2 ln 2; p = .9: .25 .1^2 ln(1/.9) and .75 .9^2 ln 10.
    logits = np.array([0, 0, math.log(9), math.log(9)], np.float32)
    loss = focal_loss(tf.constant(logits), tf.constant([1.0, 0, 1, 0]))
    np.testing.assert_allclose(loss, [0.0433217, 0.1299651, 2.634013e-4, 1.398820], rtol=1e-5)


def test_gamma_0_and_alpha_one_half_are_half_of_cross_entropy():
    logits = tf.constant(np.linspace(-8, 8, 33, dtype=np.float32))
    for target in (0.0, 0.3, 1.0):
        loss = focal_loss(logits, target, alpha=0.5, gamma=0.0)
        np.testing.assert_allclose(loss, 0.5 * binary_cross_entropy(logits, target), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("alpha, gamma", [(0.25, 2.0), (0.6, 0.5), (0.75, 5.0), (1.0, 1.0)])
def test_gradients_equal_finite_differences(alpha, gamma):
    places = [(z, target) for z in (-6.0, -1.3, 0.0, 0.4, 5.0) for target in (0.0, 0.2, 1.0)]
    logits, targets = np.array(places, np.float32).T
    loss, gradient = gradient_of(logits, targets, alpha, gamma)
    np.testing.assert_allclose(loss, [slow_focal(*place, alpha, gamma) for place in places], rtol=1e-5, atol=1e-9)
    step = 1e-5
    slopes = [
        (slow_focal(z + step, target, alpha, gamma) - slow_focal(z - step, target, alpha, gamma)) / (2 * step)
        for z, target in places
    ]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-7)


def test_extreme_logits_have_finite_loss_and_gradients():
    logits = np.array([1e4, -1e4, 1e4, -1e4, 90, -90], np.float32)
    loss, gradient = gradient_of(logits, np.array([1, 0, 0, 1, 1, 0], np.float32))
    # Where it is wrong by z the loss is alpha z and its slope alpha; where it is right both vanish.
    np.testing.assert_allclose(loss, [0, 0, 7500, 2500, 0, 0], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(gradient, [0, 0, 0.75, -0.25, 0, 0], rtol=1e-6, atol=1e-30)


def test_easy_examples_count_less_the_larger_gamma():
    easy = [float(focal_loss(tf.constant(3.0), 1.0, gamma=gamma)) for gamma in (0.0, 1, 2, 5)]
    assert easy == sorted(easy, reverse=True) and easy[2] < easy[0] / 400  # (1 - p)^2 is .0474^2 = 1/445
