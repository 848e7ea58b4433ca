"""The networks: the numbers that Darknet's files hold, shapes, names and constants."""

import keras
import numpy as np
import pytest

from yolo3.models.yolov3.networks import spp_yolo_body, tiny_yolo_body, yolo_body


@pytest.fixture(scope="module")
def tiny():
    return tiny_yolo_body(keras.Input((None, None, 3)), 3, 80)


def count_weights(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def check_constants(model, convolutions):
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-5, 0.99)}
    slopes = [layer.negative_slope for layer in model.layers if isinstance(layer, keras.layers.LeakyReLU)]
    np.testing.assert_allclose(slopes, 0.1)
    numbers = [int(layer.name[5:]) for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sorted(numbers) == list(range(convolutions))


def test_tiny_network_holds_the_numbers_of_darknets_file(tiny):
    assert tiny.count_params() == 8_858_734
    assert count_weights(tiny.trainable_weights) == 8_852_366
    assert count_weights(tiny.non_trainable_weights) == 6_368


def test_tiny_network_has_darknets_constants_and_numbers(tiny):
    check_constants(tiny, 13)


def test_tiny_network_predicts_at_strides_thirty_two_and_sixteen(tiny):
    assert [output.shape for output in tiny.outputs] == [(None, None, None, 255)] * 2
    shapes = tiny.compute_output_shape((2, 64, 96, 3))
    assert [tuple(shape) for shape in shapes] == [(2, 2, 3, 255), (2, 4, 6, 255)]


def test_raw_outputs_start_small_and_have_a_bias(tiny):
    for number in (9, 12):
        layer = tiny.get_layer(f"conv_{number}")
        kernel, bias = layer.get_weights()
        assert kernel.shape[:2] == (1, 1) and bias.shape == (255,) and not bias.any()
        assert kernel.std() == pytest.approx(0.01, rel=0.05)


def test_number_of_anchors_and_classes_sets_the_channels():
    model = tiny_yolo_body(keras.Input((64, 64, 3)), 2, 4)
    assert [output.shape for output in model.outputs] == [(None, 2, 2, 18), (None, 4, 4, 18)]


def test_networks_are_made_of_stock_layers(tiny):
    # A Lambda would keep a saved file from opening in safe mode.
    assert all(type(layer).__module__.startswith("keras.") for layer in tiny.layers)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in tiny.layers)


@pytest.mark.parametrize(
    "build, convolutions, numbers, trainable",
    [
        pytest.param(yolo_body, 75, 62_001_757, 61_949_149, marks=pytest.mark.slow),
        pytest.param(spp_yolo_body, 76, 63_052_381, 62_998_749, marks=pytest.mark.slow),
    ],
)
def test_full_networks_hold_the_numbers_of_darknets_files(build, convolutions, numbers, trainable):
    model = build(keras.Input((None, None, 3)), 3, 80)
    assert model.count_params() == numbers
    assert count_weights(model.trainable_weights) == trainable
    check_constants(model, convolutions)
    shapes = model.compute_output_shape((1, 64, 96, 3))
    assert [tuple(shape) for shape in shapes] == [(1, 2, 3, 255), (1, 4, 6, 255), (1, 8, 12, 255)]
    keras.backend.clear_session()
