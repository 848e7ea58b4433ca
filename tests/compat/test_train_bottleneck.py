"""Features that are computed once, and last layers that train on them, as keras-yolo3's ``train_bottleneck.py``."""

import inspect

import keras
import numpy as np
import pytest
from PIL import Image

from yolo3.compat import train_bottleneck
from yolo3.compat.train_bottleneck import bottleneck_generator, create_model, data_generator_wrapper
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS

pytestmark = pytest.mark.usefixtures("slim_tiny")
SETUP = {"input_shape": (64, 96), "anchors": DEFAULT_TINY_ANCHORS, "num_classes": 2}


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    result = []
    for number in range(3):
        Image.fromarray(rng.integers(0, 255, (64, 96, 3), np.uint8)).save(folder / f"{number}.png")
        result.append(f"{folder}/{number}.png 10,10,{40 + number},40,{number % 2}\n")
    return [*result[:2], "\n", result[2]]


def test_arguments_are_those_of_keras_yolo3():
    def starts(function, text):
        return str(inspect.signature(function)).startswith(text)

    data = "(annotation_lines, batch_size, input_shape, anchors, num_classes, "
    assert starts(train_bottleneck.data_generator, data + "random=True, verbose=False")
    assert starts(data_generator_wrapper, data + "random=True, verbose=False")
    assert starts(bottleneck_generator, data + "bottlenecks")
    model = "(input_shape, anchors, num_classes, load_pretrained=True, freeze_body=2, weights_path='model_data/"
    assert starts(create_model, model + "yolo_weights.h5'")
    assert data_generator_wrapper([], 2, (64, 96), DEFAULT_TINY_ANCHORS, 2) is None


def test_plain_batches_come_in_the_order_of_the_lines(lines):
    batches = data_generator_wrapper(lines, 2, **SETUP, random=False)
    (first, _), (second, _) = next(batches), next(batches)
    stored = [np.asarray(Image.open(line.split()[0]), np.float32) / 255 for line in lines if line.strip()]
    np.testing.assert_allclose(first[0], stored[:2], atol=1e-6)
    np.testing.assert_allclose(second[0], [stored[2], stored[0]], atol=1e-6)
    np.testing.assert_array_equal(first[1][0], second[1][1])
    assert first[2][..., 4].sum() + first[1][..., 4].sum() == 2


def test_the_loss_of_stored_features_is_that_of_their_images(lines):
    model, bottleneck_model, last_layer_model = create_model(**SETUP, load_pretrained=False)
    batches = data_generator_wrapper(lines, 2, **SETUP, random=False)
    # As there: one batch more than is full, whose rows beyond the lines are not used.
    bottlenecks = bottleneck_model.predict_generator(batches, steps=3 // 2 + 1, max_queue_size=1)
    assert [array.shape[:3] for array in bottlenecks] == [(4, 2, 3), (4, 4, 6)]
    inputs, _ = next(data_generator_wrapper(lines, 3, **SETUP, random=False))
    stored, zeros = next(bottleneck_generator(lines, 3, **SETUP, bottlenecks=bottlenecks))
    assert zeros.shape == (3,)
    assert float(last_layer_model(stored)) == pytest.approx(float(model(inputs)), rel=1e-4)
    with pytest.raises(ValueError, match="expected features of 3 images, got 2"):
        next(bottleneck_generator(lines, 2, **SETUP, bottlenecks=[array[:2] for array in bottlenecks]))


def test_what_the_last_layers_learn_is_in_the_whole_model(lines, eagerly):
    model, bottleneck_model, last_layer_model = create_model(**SETUP, load_pretrained=False)
    batches = data_generator_wrapper(lines, 3, **SETUP, random=False)
    bottlenecks = bottleneck_model.predict(batches, steps=1, verbose=0)
    before, first = model.get_layer("conv_9").get_weights()[0], model.get_layer("conv_0").get_weights()[0]
    last_layer_model.compile(optimizer=keras.optimizers.Adam(1e-3), loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    features = bottleneck_generator(lines, 3, **SETUP, bottlenecks=bottlenecks)
    losses = last_layer_model.fit_generator(features, steps_per_epoch=2, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert np.abs(model.get_layer("conv_9").get_weights()[0] - before).max() > 0
    np.testing.assert_array_equal(model.get_layer("conv_0").get_weights()[0], first)


@pytest.mark.slow
def test_nine_anchors_make_the_full_network_with_the_layers_of_keras_yolo3():
    _, bottleneck_model, last_layer_model = create_model((64, 96), DEFAULT_ANCHORS, 2, load_pretrained=False)
    assert [tuple(output.shape[1:3]) for output in last_layer_model.inputs[:3]] == [(2, 3), (4, 6), (8, 12)]
    features = [tensor._keras_history.operation.name for tensor in bottleneck_model.outputs]
    assert features == ["leaky_57", "leaky_65", "leaky_73"]
    with pytest.raises(FileNotFoundError, match="yolo_weights.h5"):
        create_model((64, 96), DEFAULT_ANCHORS, 2)
