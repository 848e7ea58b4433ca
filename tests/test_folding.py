"""Folding: the same outputs without normalisation, and what must not be folded."""

import keras
import numpy as np
import pytest
from keras import layers

from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.network import build_network
from yolo3.folding import fold_batch_norm

CFG = """[net]
width=64
height=64
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
groups=8
size=3
stride=1
pad=1
activation=relu

[convolutional]
batch_normalize=1
filters=12
groups=2
size=1
stride=1
activation=linear

[route]
layers=-1,-3

[convolutional]
filters=5
size=1
stride=1
activation=linear
"""


def shaken(network, seed=0):
    """The network with random numbers in all its statistics and scales."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.3, 2, weight.shape) for weight in layer.get_weights()])
    return network


def norms_of(network):
    return [layer.name for layer in network.layers if isinstance(layer, layers.BatchNormalization)]


def outputs_of(network, shape, seed=1):
    images = np.random.default_rng(seed).random((2, *shape), np.float32)
    return keras.ops.convert_to_numpy(network(images, training=False))


def assert_same(network, folded, shape):
    expected = outputs_of(network, shape)
    np.testing.assert_allclose(outputs_of(folded, shape), expected, atol=2e-5 * np.abs(expected).max())


def test_plain_grouped_and_depthwise_convolutions_take_their_normalisation_in():
    network = shaken(build_network(parse_cfg(CFG)))
    folded = fold_batch_norm(network)
    assert len(norms_of(network)) == 3 and norms_of(folded) == []
    assert_same(network, folded, (64, 64, 3))


def test_the_network_itself_is_left_as_it_was():
    network = shaken(build_network(parse_cfg(CFG)))
    before = [weight.copy() for weight in network.get_weights()]
    fold_batch_norm(network)
    assert all(np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))


@pytest.mark.parametrize("kind", ["activation", "two readers", "an output", "no convolution"])
def test_normalisation_that_cannot_be_folded_stays(kind):
    inputs = keras.Input((8, 8, 3))
    if kind == "no convolution":
        x = layers.BatchNormalization()(inputs)
        network = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    else:
        conv = layers.Conv2D(4, 3, activation="relu" if kind == "activation" else None)(inputs)
        x = layers.BatchNormalization()(conv)
        if kind == "two readers":
            x = layers.Add()([x, conv])
        network = keras.Model(inputs, layers.Concatenate()([x, conv]) if kind == "an output" else x)
        if kind == "an output":
            network = keras.Model(inputs, [x, conv])
    shaken(network)
    folded = fold_batch_norm(network)
    assert len(norms_of(folded)) == 1
    images = np.random.default_rng(1).random((2, 8, 8, 3), np.float32)
    pair = [keras.tree.flatten(model(images, training=False)) for model in (folded, network)]
    for one, other in zip(*pair, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale, center", [(False, True), (True, False), (False, False)])
def test_normalisation_without_scale_or_shift_is_folded_too(scale, center):
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(scale=scale, center=center)(layers.Conv2D(4, 3)(inputs))
    network = shaken(keras.Model(inputs, x))
    folded = fold_batch_norm(network)
    assert norms_of(folded) == []
    assert_same(network, folded, (8, 8, 3))
