"""Gradients of kernels as matrix products: those of TensorFlow's convolution, where they are used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.training import kernel_gradient as module
from yolo3.training.kernel_gradient import kernel_gradient, multiply_for_kernels

RNG = np.random.default_rng(0)


def values(*shape):
    return tf.constant(RNG.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 3)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (6, 4)])
def test_the_gradient_is_that_of_tensorflow(size, shape):
    inputs, upstream = values(2, *shape, 5), values(2, *shape, 4)
    expected = tf.raw_ops.Conv2DBackpropFilter(
        input=inputs, filter_sizes=[*size, 5, 4], out_backprop=upstream, strides=[1] * 4, padding="SAME"
    )
    np.testing.assert_allclose(kernel_gradient(inputs, upstream, size), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def products(monkeypatch):
    """Sizes of the kernels whose gradients were computed by products; kernels of 20 channels and more are large."""
    sizes, computed = [], module.kernel_gradient
    monkeypatch.setattr(module, "LEAST_CHANNELS", 20)
    monkeypatch.setattr(module, "MOST_POSITIONS", 48)

    def told(inputs, upstream, size):
        sizes.append(tuple(size))
        return computed(inputs, upstream, size)

    monkeypatch.setattr(module, "kernel_gradient", told)
    return sizes


def gradients(network, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = network(images, training=True)
        loss = tf.reduce_sum(tf.sin(outputs))
    return [outputs, *tape.gradient(loss, [images, *(variable.value for variable in network.trainable_variables)])]


def network_of(*convolutions, channels=5):
    inputs = keras.Input((None, None, channels))
    x = inputs
    for layer in convolutions:
        x = layer(x)
    return keras.Model(inputs, x)


def convolution(filters=4, size=3, **options):
    return keras.layers.Conv2D(filters, size, **{"padding": "same", **options})


def test_outputs_and_all_gradients_of_a_network_stay(products):
    network = network_of(convolution(), convolution(size=1, use_bias=False), convolution(filters=6))
    images = values(2, 6, 4, 5)
    expected = gradients(network, images)
    multiply_for_kernels(network)
    for one, other in zip(gradients(network, images), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert products == [(3, 3), (3, 3)]  # that of one by one has sixteen channels


@pytest.mark.parametrize(
    "layer",
    [
        convolution(strides=2),
        convolution(dilation_rate=2),
        convolution(padding="valid"),
        convolution(size=2),
        convolution(size=(4, 3)),
        convolution(filters=5, groups=5),
        keras.layers.DepthwiseConv2D(3, padding="same"),
        keras.layers.SeparableConv2D(4, 3, padding="same"),
    ],
    ids=["stride", "dilation", "valid", "even", "even height", "groups", "depthwise", "separable"],
)
def test_other_convolutions_stay_as_they_are(layer, products):
    network = network_of(layer)
    images = values(1, 4, 4, 5)
    expected = gradients(network, images)
    multiply_for_kernels(network)
    for one, other in zip(gradients(network, images), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not products


def test_batches_with_many_positions_or_of_unknown_size_take_the_plain_gradient(products):
    network = network_of(convolution())
    multiply_for_kernels(network)
    gradients(network, values(1, 7, 7, 5))
    assert not products
    tf.function(lambda images: gradients(network, images), input_signature=[tf.TensorSpec((None, 4, 4, 5))])(
        values(1, 4, 4, 5)
    )
    assert not products
    gradients(network, values(1, 6, 8, 5))
    assert products == [(3, 3)]


def test_half_precision_keeps_its_dtype(products):
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    network = network_of(convolution(dtype=policy))
    expected = gradients(network, values(1, 4, 4, 5))
    multiply_for_kernels(network)
    found = gradients(network, values(1, 4, 4, 5))
    assert products == [(3, 3)]
    assert [part.dtype for part in found] == [part.dtype for part in expected]
