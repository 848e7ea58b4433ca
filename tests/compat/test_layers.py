"""keras-yolo3's five builders of layers."""

import keras
import pytest

from yolo3.compat.layers import DarknetConv2D, DarknetConv2D_BN_Leaky, darknet_body, make_last_layers, resblock_body


def test_darknet_conv_is_valid_for_strides_of_two_and_same_otherwise():
    assert DarknetConv2D(8, (3, 3)).padding == "same"
    assert DarknetConv2D(8, (3, 3), strides=(2, 2)).padding == "valid"
    assert DarknetConv2D(8, 3, strides=2).padding == "valid"
    assert DarknetConv2D(8, 3, (2, 2)).padding == "valid"
    assert DarknetConv2D(8, 3, strides=2, padding="same").padding == "same"
    assert isinstance(DarknetConv2D(8, 3), keras.layers.Conv2D)


def test_darknet_conv_adds_no_penalty_to_the_loss():
    # keras-yolo3's l2(5e-4) was twice Darknet's decay, and inside the loss that it showed.
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, DarknetConv2D_BN_Leaky(4, 3)(inputs))
    assert model.losses == []


def test_conv_bn_leaky_has_darknets_constants_and_takes_keywords():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, DarknetConv2D_BN_Leaky(4, (3, 3), strides=(2, 2))(inputs))
    conv, norm, leaky = model.layers[1:]
    assert model.output.shape == (None, 3, 3, 4)  # (8 - 3) // 2 + 1: the caller pads
    assert (conv.use_bias, norm.epsilon, norm.momentum, leaky.negative_slope) == (False, 1e-5, 0.99, pytest.approx(0.1))


def test_resblock_body_pads_by_itself_and_last_layers_give_two_tensors():
    inputs = keras.Input((16, 24, 3))
    x = resblock_body(inputs, 8, 2)
    assert x.shape == (None, 8, 12, 8)
    features, raw = make_last_layers(x, 4, 21)
    assert (features.shape, raw.shape) == ((None, 8, 12, 4), (None, 8, 12, 21))
    assert sum("conv" in layer.name for layer in keras.Model(inputs, raw).layers) == 1 + 2 * 2 + 7


@pytest.mark.slow
def test_darknet_body_has_52_convolutions_and_their_numbers():
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, darknet_body(inputs))
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 52
    assert model.count_params() == 40_620_640  # what darknet53.conv.74 holds
    assert model.output.shape == (None, 2, 2, 1024)
