"""Darknet's building blocks: padding, constants, names."""

import keras
import numpy as np
import pytest

from yolo3.darknet.blocks import Blocks


def run(build, image):
    """Return (model, output) of ``build`` (tensor to tensor) for an image [H, W, C]."""
    inputs = keras.Input((None, None, image.shape[-1]))
    model = keras.Model(inputs, build(inputs))
    return model, keras.ops.convert_to_numpy(model(image[None]))[0]


def slow_convolution(image, kernel, stride):
    """Darknet's: pad size // 2 zeros on all four sides, then windows from the corner."""
    pad = kernel.shape[0] // 2
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    height, width = ((side + 2 * pad - kernel.shape[0]) // stride + 1 for side in image.shape[:2])
    result = np.zeros((height, width, kernel.shape[-1]))
    for row in range(height):
        for column in range(width):
            window = padded[row * stride : row * stride + kernel.shape[0], column * stride :][:, : kernel.shape[1]]
            result[row, column] = np.tensordot(window, kernel, 3)
    return result


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("sides", [(6, 8), (7, 5)])
def test_convolutions_pad_as_darknet_does(sides, size, stride):
    # Keras' "same" pads only right and bottom for stride 2: everything is then one pixel off.
    image = np.random.default_rng(0).normal(size=(*sides, 2)).astype(np.float32)
    model, output = run(lambda x: Blocks().conv(x, 3, size, stride, use_bias=False), image)
    kernel = model.get_layer("conv_0").get_weights()[0]
    np.testing.assert_allclose(output, slow_convolution(image, kernel, stride), atol=1e-5)


def test_normalization_and_slope_have_darknets_constants():
    image = np.array([-50.0, 50]).reshape(1, 2, 1).astype(np.float32)
    model, output = run(lambda x: Blocks().conv_bn_leaky(x, 1, 1), image)
    norm = model.get_layer("bn_0")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.99)
    assert model.get_layer("leaky_0").negative_slope == pytest.approx(0.1)
    # gamma 2, beta 1, mean 10, variance 4: 2 (x - 10) / sqrt(4 + 1e-5) + 1 = x - 9, -59 of it times .1.
    model.get_layer("conv_0").set_weights([np.ones((1, 1, 1, 1))])
    norm.set_weights([np.array([value]) for value in (2.0, 1, 10, 4)])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(image[None])).ravel(), [-5.9, 41], rtol=1e-4)


def test_epsilon_stands_inside_the_root():
    image = np.full((1, 1, 1), 1.0, np.float32)
    model, _ = run(lambda x: Blocks().conv_bn_leaky(x, 1, 1), image)
    model.get_layer("conv_0").set_weights([np.ones((1, 1, 1, 1))])
    model.get_layer("bn_0").set_weights([np.array([value]) for value in (1.0, 0, 0, 0)])
    # 1 / sqrt(0 + 1e-5); Keras' own epsilon of 1e-3 would give 31.6.
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(image[None])).item(), 316.2278, rtol=1e-4)


def test_layers_are_numbered_in_the_order_of_the_cfg():
    blocks = Blocks()
    inputs = keras.Input((32, 32, 3))
    x = blocks.conv_bn_leaky(inputs, 4, 3)
    x = blocks.conv_bn_leaky(x, 4, 3, strides=2)
    model = keras.Model(inputs, blocks.conv(x, 2, 1))
    names = [layer.name for layer in model.layers[1:]]
    assert names == ["conv_0", "bn_0", "leaky_0", "pad_1", "conv_1", "bn_1", "leaky_1", "conv_2"]


def test_only_the_prediction_has_a_bias():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, Blocks().prediction(inputs, 4, 21))
    assert [model.get_layer(name).use_bias for name in ("conv_0", "conv_1")] == [False, True]


def test_batch_norm_takes_another_class_of_layers():
    class Other(keras.layers.BatchNormalization):
        pass

    model, _ = run(lambda x: Blocks(Other).conv_bn_leaky(x, 1, 1), np.zeros((2, 2, 1), np.float32))
    assert isinstance(model.get_layer("bn_0"), Other)


def test_the_seed_of_keras_repeats_all_weights():
    def weights():
        keras.utils.set_random_seed(5)
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, Blocks().prediction(inputs, 4, 21)).get_weights()

    for first, second in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_two_predictions_start_from_different_weights():
    inputs = keras.Input((8, 8, 3))
    first, second = (keras.Model(inputs, Blocks().prediction(inputs, 4, 21)) for _ in range(2))
    assert np.abs(first.get_layer("conv_1").get_weights()[0] - second.get_layer("conv_1").get_weights()[0]).max() > 0


def test_stage_halves_the_resolution_and_adds_what_went_in():
    image = np.random.default_rng(0).normal(size=(8, 6, 3)).astype(np.float32)
    model, output = run(lambda x: Blocks().residual_stage(x, 4, 1), image)
    assert output.shape == (4, 3, 4)
    model.get_layer("bn_2").set_weights([np.zeros(4), np.zeros(4), np.zeros(4), np.ones(4)])  # the unit adds 0
    first = keras.Model(model.input, model.get_layer("leaky_0").output)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(net(image[None])) for net in (model, first)))


def test_pooling_of_stride_one_pads_right_and_below():
    # yolov3-tiny's layer 11: each cell looks at itself and at its right and lower neighbours; 3 x 3 stays 3 x 3.
    inputs = keras.Input((None, None, 3))
    pool = [layer for layer in keras.Model(inputs, Blocks().tiny_darknet(inputs)).layers if "pool" in layer.name][-1]
    assert pool.strides in (1, (1, 1))
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    pooled = keras.ops.convert_to_numpy(pool.__class__.from_config(pool.get_config())(image))[0, ..., 0]
    assert pooled.tolist() == [[4, 5, 5], [7, 8, 8], [7, 8, 8]]


def test_tiny_body_gives_features_at_strides_sixteen_and_thirty_two():
    inputs = keras.Input((64, 96, 3))
    fine, coarse = Blocks().tiny_darknet(inputs)
    assert (fine.shape[1:], coarse.shape[1:]) == ((4, 6, 256), (2, 3, 1024))
