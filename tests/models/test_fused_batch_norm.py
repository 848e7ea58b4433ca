"""Fused batch normalisation against the stock layer: values, statistics, gradients, precision, freezing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.fused_batch_norm import FusedBatchNormalization

INPUTS = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 7)).astype(np.float32)
WEIGHTS = [np.random.default_rng(number).uniform(0.5, 2, 7).astype(np.float32) for number in range(4)]


def layer_of(kind, **options):
    layer = kind(epsilon=1e-5, momentum=0.9, **options)
    layer.build(INPUTS.shape)
    layer.set_weights(WEIGHTS)
    return layer


@pytest.fixture
def pair():
    return layer_of(FusedBatchNormalization), layer_of(keras.layers.BatchNormalization)


@pytest.mark.parametrize("training", [False, True])
def test_values_are_those_of_the_stock_layer(pair, training):
    fused, stock = (layer(INPUTS, training=training) for layer in pair)
    np.testing.assert_allclose(fused, stock, rtol=1e-4, atol=1e-4)


def test_inference_follows_the_formula(pair):
    gamma, beta, mean, variance = WEIGHTS
    expected = gamma * (INPUTS - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(pair[0](INPUTS, training=False), expected, rtol=1e-4, atol=1e-4)


def test_the_mean_is_averaged_as_by_the_stock_layer_and_the_variance_without_bias(pair):
    for layer in pair:
        layer(INPUTS, training=True)
    fused, stock = ([weight.numpy() for weight in layer.weights] for layer in pair)
    np.testing.assert_allclose(fused[2], stock[2], rtol=1e-5)
    # .9 of the old variance and .1 of the batch's, divided by 119 instead of the 4 x 5 x 6 = 120 values.
    np.testing.assert_allclose(fused[3], 0.9 * WEIGHTS[3] + 0.1 * INPUTS.var((0, 1, 2), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(stock[3], 0.9 * WEIGHTS[3] + 0.1 * INPUTS.var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(fused[0], WEIGHTS[0])


def test_inference_leaves_the_statistics(pair):
    pair[0](INPUTS, training=False)
    pair[0](INPUTS)
    np.testing.assert_array_equal(pair[0].moving_variance.numpy(), WEIGHTS[3])


@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_the_stock_layer(pair, training):
    weights = tf.constant(np.random.default_rng(9).normal(size=INPUTS.shape).astype(np.float32))
    gradients = []
    for layer in pair:
        inputs = tf.Variable(INPUTS)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights * tf.sin(layer(inputs, training=training)))
        gradients.append(tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value]))
    for fused, stock in zip(*gradients):
        np.testing.assert_allclose(fused, stock, rtol=1e-3, atol=1e-3)
        assert np.abs(stock).max() > 0.01


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_goes_in_and_out_and_the_statistics_stay_float32(precision):
    layer = layer_of(FusedBatchNormalization, dtype=f"mixed_{precision}")
    outputs = layer(tf.cast(INPUTS, precision), training=True)
    assert outputs.dtype == precision
    stock = layer_of(keras.layers.BatchNormalization)
    # bfloat16 has 8 bits: 2^-8 of values of about 5.
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), stock(INPUTS, training=True), atol=0.06)
    assert layer.moving_variance.numpy().dtype == np.float32
    np.testing.assert_allclose(layer.moving_mean, stock.moving_mean, rtol=2e-2)


def test_a_frozen_layer_uses_its_moving_statistics_and_leaves_them(pair):
    fused = pair[0]
    fused.trainable = False
    np.testing.assert_array_equal(fused(INPUTS, training=True), fused(INPUTS, training=False))
    np.testing.assert_array_equal(fused.moving_mean.numpy(), WEIGHTS[2])
    assert not fused.trainable_variables


def test_it_holds_the_weights_of_the_stock_layer_in_the_same_order(pair):
    fused, stock = ([weight.name for weight in layer.weights] for layer in pair)
    assert fused == stock == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_it_works_within_a_graph():
    layer = layer_of(FusedBatchNormalization)
    expected = layer_of(FusedBatchNormalization)(INPUTS, training=True)
    step = tf.function(lambda inputs: layer(inputs, training=True))
    np.testing.assert_allclose(step(tf.constant(INPUTS)), expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(layer.moving_mean, WEIGHTS[2])
