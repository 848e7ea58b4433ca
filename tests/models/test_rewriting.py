"""Rewriting: the same outputs with fewer passes, and what must stay as it is."""

import keras
import numpy as np
import pytest
from keras import layers

from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.network import build_network
from yolo3.models.rewriting import fold_batch_norm, pool_before_activation
from yolo3.models.yolov3.networks import tiny_yolo_body

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
    return keras.ops.convert_to_numpy(keras.ops.cast(network(images, training=False), "float32"))


def assert_same(network, folded, shape):
    expected = outputs_of(network, shape)
    np.testing.assert_allclose(outputs_of(folded, shape), expected, atol=2e-5 * np.abs(expected).max())


def test_normalisation_is_folded_into_plain_grouped_and_depthwise_convolutions():
    network = shaken(build_network(parse_cfg(CFG)))
    folded = fold_batch_norm(network)
    assert len(norms_of(network)) == 3 and norms_of(folded) == []
    assert_same(network, folded, (64, 64, 3))


def test_the_copy_can_compute_in_half_precision():
    network = shaken(build_network(parse_cfg(CFG)))
    folded = fold_batch_norm(network, "mixed_bfloat16")
    expected, found = outputs_of(network, (64, 64, 3)), outputs_of(folded, (64, 64, 3))
    assert folded.outputs[0].dtype == "bfloat16" and network.outputs[0].dtype == "float32"
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()  # 8 bits, in four layers


def test_the_network_itself_is_unchanged():
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


def norm():
    return layers.BatchNormalization()


def leaky():
    return layers.LeakyReLU(negative_slope=0.1)


def shared_readers(inputs):
    """Pooling after an activation, where a convolution that is used twice reads the first of them."""
    conv = layers.Conv2D(3, 1)
    x = leaky()(conv(inputs))
    return layers.Add()([layers.MaxPooling2D(2)(x), layers.MaxPooling2D(2)(leaky()(conv(x)))])


def shared_activation(inputs):
    act = leaky()
    return layers.MaxPooling2D(2)(act(layers.Conv2D(3, 1)(act(layers.Conv2D(3, 1)(inputs)))))


def shared_activation_pooled_first(inputs):
    act = leaky()
    return act(layers.Conv2D(3, 1)(layers.MaxPooling2D(2)(act(layers.Conv2D(3, 1)(inputs)))))


def shared_pooling(inputs):
    pool = layers.MaxPooling2D(2, 1, "same")
    return layers.Add()([pool(leaky()(layers.Conv2D(3, 1)(inputs))), pool(layers.Conv2D(3, 1)(inputs))])


def shared_convolution(inputs):
    conv = layers.Conv2D(3, 1)
    return layers.Add()([norm()(conv(inputs)), conv(leaky()(inputs))])


def shared_convolution_normalised_last(inputs):
    conv = layers.Conv2D(3, 1)
    return norm()(conv(leaky()(conv(inputs))))


def shared_norm(inputs):
    both = norm()
    return layers.Add()([both(layers.Conv2D(3, 1)(inputs)), both(leaky()(inputs))])


@pytest.mark.parametrize(
    "build",
    [
        shared_readers,
        shared_activation,
        shared_activation_pooled_first,
        shared_pooling,
        shared_convolution,
        shared_convolution_normalised_last,
        shared_norm,
    ],
)
def test_layers_that_are_used_more_than_once_stay_as_they_are(build):
    inputs = keras.Input((8, 8, 3))
    network = shaken(keras.Model(inputs, build(inputs)))
    rng = np.random.default_rng(2)
    network.set_weights([rng.uniform(-2, 2, w.shape) if w.ndim == 4 else w for w in network.get_weights()])
    assert_same(network, pool_before_activation(network), (8, 8, 3))
    assert_same(network, fold_batch_norm(network), (8, 8, 3))
    assert_same(network, fold_batch_norm(pool_before_activation(network)), (8, 8, 3))


def test_a_convolution_that_is_an_output_is_not_folded_after_pooling_has_moved_either():
    inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 1)(inputs)
    x = layers.MaxPooling2D(2)(leaky()(norm()(conv)))
    network = shaken(keras.Model(inputs, [x, conv]))
    both = [model(np.ones((1, 8, 8, 3))) for model in (network, fold_batch_norm(pool_before_activation(network)))]
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_operations_have_no_policy_and_models_within_a_network_no_other_than_their_own():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 1)(inputs * 2.0 - 1.0)
    folded = fold_batch_norm(keras.Model(inputs, x), "mixed_bfloat16")
    assert folded.outputs[0].dtype == "bfloat16"
    inner = keras.Input((8, 8, 3))
    nested = keras.Model(inputs, keras.Model(inner, layers.Conv2D(3, 1)(inner))(inputs))
    with pytest.raises(ValueError, match="without models within it, to compute in mixed_bfloat16"):
        fold_batch_norm(nested, "mixed_bfloat16")
    sequential = keras.Sequential([inner, layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match="expected a functional network, got a Sequential"):
        fold_batch_norm(sequential)
    assert pool_before_activation(sequential) is sequential


def kinds_of(network):
    return [type(layer).__name__ for layer in network.layers]


def test_pooling_comes_before_the_leaky_relu_that_it_alone_reads():
    inputs = keras.Input((9, 8, 3))
    x = layers.LeakyReLU(negative_slope=0.1, name="moved")(layers.Conv2D(4, 3, name="conv")(inputs))
    x = layers.MaxPooling2D(2, 2, "same")(x)
    x = kept = layers.LeakyReLU(negative_slope=0.1, name="kept")(layers.Conv2D(4, 1)(x))
    x = layers.Add()([layers.MaxPooling2D(2, 1, "same")(x), kept])
    network = keras.Model(inputs, x, name="own")
    rewritten = pool_before_activation(network)
    assert kinds_of(network)[1:4] == ["Conv2D", "LeakyReLU", "MaxPooling2D"]
    assert kinds_of(rewritten) == [
        "InputLayer", "Conv2D", "MaxPooling2D", "LeakyReLU", "Conv2D", "LeakyReLU", "MaxPooling2D", "Add",
    ]  # fmt: skip
    assert rewritten.name == "own" and rewritten.get_layer("conv") is network.get_layer("conv")
    assert [weight.path for weight in rewritten.weights] == [weight.path for weight in network.weights]
    np.testing.assert_array_equal(outputs_of(rewritten, (9, 8, 3)), outputs_of(network, (9, 8, 3)))


def test_pooling_stays_behind_an_output_and_other_activations():
    inputs = keras.Input((8, 8, 3))
    output = layers.LeakyReLU(negative_slope=0.1)(inputs)
    x = layers.MaxPooling2D(2)(output)
    x = layers.MaxPooling2D(2)(layers.Activation(lambda x: -x)(x))
    network = keras.Model(inputs, [output, x])
    assert pool_before_activation(network) is network


def test_a_network_with_pooling_has_the_same_gradients_either_way():
    import tensorflow as tf

    network = tiny_yolo_body(keras.Input((64, 64, 3)), 3, 2)
    rewritten = pool_before_activation(network)
    assert kinds_of(rewritten)[3:5] == ["MaxPooling2D", "LeakyReLU"]
    images = tf.constant(np.random.default_rng(0).random((2, 64, 64, 3), np.float32))
    gradients = []
    for model in (network, rewritten):
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(output**2) for output in model(images, training=True))
        gradients.append(tape.gradient(loss, [variable.value for variable in network.trainable_variables]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_no_random_numbers_are_drawn_for_a_copy_whose_weights_are_known(monkeypatch):
    network = tiny_yolo_body(keras.Input((None, None, 3)), 3, 2)
    expected = fold_batch_norm(network).get_weights()

    def fail(*_, **__):
        raise AssertionError("expected no random numbers")

    monkeypatch.setattr(keras.initializers.HeNormal, "__call__", fail)
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", fail)
    for one, other in zip(fold_batch_norm(network).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)
