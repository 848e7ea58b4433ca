"""What old scripts and notebooks do: the Lambda idiom, the training model, its weights and its generator."""

import inspect
import logging

import keras
import numpy as np
import pytest
from keras.layers import Input, Lambda
from PIL import Image

from tests.keras2_model import write_keras2_weights
from yolo3.compat import train as legacy
from yolo3.model import preprocess_true_boxes, tiny_yolo_body, yolo_loss
from yolo3.models.saving import save_model
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK

pytestmark = pytest.mark.filterwarnings("ignore:.*shuffle=True.*")


def small_body(num_classes):
    """A network of a few weights with outputs at strides 32 and 16, for inputs of any size."""
    image = Input(shape=(None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = keras.layers.AveragePooling2D(8)(x)
    fine = keras.layers.Conv2D(3 * (num_classes + 5), 1)(x)
    coarse = keras.layers.Conv2D(3 * (num_classes + 5), 3, strides=2, padding="same")(x)
    return keras.Model(image, [coarse, fine])


def one_batch(num_classes=2, images=4):
    photos = np.random.default_rng(0).random((images, 64, 96, 3)).astype(np.float32)
    boxes = np.zeros((images, 20, 5))
    boxes[:, 0], boxes[:, 1] = [8, 8, 40, 48, 1], [50, 20, 60, 34, 0]
    return photos, preprocess_true_boxes(boxes, (64, 96), DEFAULT_TINY_ANCHORS, num_classes)


def endless(batch):
    photos, y_true = batch
    while True:
        yield (photos, *y_true), np.zeros(len(photos))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_lambda_idiom_of_old_tutorials_trains(optimizer):
    model_body = small_body(2)
    y_true = [Input(shape=(64 // stride, 96 // stride, 3, 2 + 5)) for stride in (32, 16)]
    model_loss = Lambda(
        yolo_loss,
        output_shape=(1,),
        name="yolo_loss",
        arguments={"anchors": DEFAULT_TINY_ANCHORS, "num_classes": 2, "ignore_thresh": 0.5},
    )([*model_body.output, *y_true])
    model = keras.Model([model_body.input, *y_true], model_loss)
    rate = keras.optimizers.Adam(learning_rate=1e-2) if optimizer == "adam" else keras.optimizers.SGD(1e-3)
    model.compile(optimizer=rate, loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    batch = one_batch()
    history = model.fit(
        endless(batch), steps_per_epoch=5, epochs=3, validation_data=endless(batch), validation_steps=1, verbose=0
    ).history
    assert history["loss"][0] > history["loss"][1] > history["loss"][2]
    # What is shown is the loss.
    photos, y_true = batch
    expected = float(yolo_loss([*model_body(photos), *y_true], DEFAULT_TINY_ANCHORS, 2))
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-4)


def test_arguments_are_those_of_keras_yolo3():
    def signature(function):
        return str(inspect.signature(function))

    common = "(input_shape, anchors, num_classes, load_pretrained=True, freeze_body=2, weights_path='model_data/"
    assert signature(legacy.create_model).startswith(common + "yolo_weights.h5'")
    assert signature(legacy.create_tiny_model).startswith(common + "tiny_yolo_weights.h5'")
    data = "(annotation_lines, batch_size, input_shape, anchors, num_classes"
    assert signature(legacy.data_generator).startswith(data)
    assert signature(legacy.data_generator_wrapper).startswith(data)
    assert signature(legacy.get_classes) == "(classes_path)"
    assert signature(legacy.get_anchors) == "(anchors_path)"


def test_ignore_thresholds_are_those_of_keras_yolo3_and_options():
    for function, threshold in ((legacy.create_model, 0.5), (legacy.create_tiny_model, 0.7)):
        assert inspect.signature(function).parameters["ignore_thresh"].default == threshold


def test_blank_lines_are_not_classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("cat\n\n dog \n\n")
    assert legacy.get_classes(str(path)) == ["cat", "dog"]


def test_anchors_may_span_several_lines(tmp_path):
    # keras-yolo3 read the first line alone.
    for text in ("10,13,  16,30,  33,23\n", "10,13\n16,30\n33,23\n"):
        path = tmp_path / "anchors.txt"
        path.write_text(text)
        np.testing.assert_array_equal(legacy.get_anchors(str(path)), [[10, 13], [16, 30], [33, 23]])


# The training model


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A tiny network of two classes, and where it was saved."""
    folder = tmp_path_factory.mktemp("weights")
    body = tiny_yolo_body(Input((None, None, 3)), 3, 2)
    rng = np.random.default_rng(0)
    for layer in body.layers:  # normalisations start with equal weights: loading the wrong ones would not show
        layer.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in layer.weights])
    metadata = {"model": "yolov3-tiny", "class_names": ["a", "b"], "anchors": DEFAULT_TINY_ANCHORS}
    for name in ("body.h5", "body.keras", "body.weights.h5"):
        save_model(body, folder / name, metadata)
    body.save_weights(folder / "plain.weights.h5")
    return body, folder


def weights_of(model, name):
    return model.get_layer(name).get_weights()


def test_the_training_model_takes_images_and_targets_and_returns_the_loss():
    model = legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, load_pretrained=False)
    assert [tuple(tensor.shape) for tensor in model.inputs] == [
        (None, None, None, 3),
        (None, 2, 3, 3, 7),
        (None, 4, 6, 3, 7),
    ]
    assert isinstance(model.get_layer("yolo_loss"), Lambda)
    assert model.get_layer("yolo_loss").arguments["ignore_thresh"] == 0.7
    assert all(layer.trainable for layer in model.layers)
    photos, y_true = one_batch(images=2)
    outputs = [model.get_layer(name).output for name in ("conv_9", "conv_12")]
    raw = keras.Model(model.inputs[0], outputs)(photos)
    expected = float(yolo_loss([*raw, *y_true], DEFAULT_TINY_ANCHORS, 2, ignore_thresh=0.7))
    assert float(model([photos, *y_true])) == pytest.approx(expected, rel=1e-5)


def test_sizes_and_anchors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        legacy.create_tiny_model((60, 96), DEFAULT_TINY_ANCHORS, 2, load_pretrained=False)
    with pytest.raises(ValueError, match="for 2 scales"):
        legacy.create_tiny_model((64, 96), DEFAULT_ANCHORS, 2, load_pretrained=False)


@pytest.mark.parametrize("name", ["body.h5", "body.keras", "body.weights.h5", "plain.weights.h5"])
def test_weights_are_loaded_by_layer_name(stored, name):
    body, folder = stored
    model = legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, weights_path=str(folder / name))
    for layer in body.layers:
        for one, other in zip(layer.get_weights(), weights_of(model, layer.name) if layer.weights else [], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["body.h5", "body.weights.h5"])
def test_layers_that_do_not_fit_are_skipped_and_named(stored, name, caplog):
    body, folder = stored
    with caplog.at_level(logging.WARNING, "yolo3"):
        model = legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 5, weights_path=str(folder / name))
    assert "conv_9, conv_12" in caplog.text
    np.testing.assert_array_equal(weights_of(model, "conv_8")[0], weights_of(body, "conv_8")[0])
    assert weights_of(model, "conv_9")[0].shape[-1] == 3 * 10


def test_weights_of_keras_yolo3_are_taken_in_the_order_of_their_numbers(stored, tmp_path):
    body, _ = stored
    path = tmp_path / "tiny_yolo_weights.h5"
    write_keras2_weights(body, path, first=6)
    model = legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, weights_path=str(path))
    for name in ("conv_0", "bn_0", "conv_9", "conv_10", "bn_11", "conv_12"):
        for one, other in zip(weights_of(body, name), weights_of(model, name), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "freeze_body, trainable",
    [(0, set(range(13))), (1, set(range(5, 13))), (2, {9, 12})],
    ids=["none", "body", "all but outputs"],
)
def test_layers_are_frozen_by_name(stored, freeze_body, trainable):
    model = legacy.create_tiny_model(
        (64, 96), DEFAULT_TINY_ANCHORS, 2, freeze_body=freeze_body, weights_path=str(stored[1] / "body.h5")
    )
    holders = [layer for layer in model.layers if layer.weights]
    assert {int(layer.name.split("_")[1]) for layer in holders if layer.trainable} == trainable


def test_nothing_is_frozen_without_weights():
    model = legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, load_pretrained=False, freeze_body=2)
    assert all(layer.trainable for layer in model.layers)


def test_missing_weights_are_named_before_anything_is_built():
    for function, name in ((legacy.create_model, "yolo_weights"), (legacy.create_tiny_model, "tiny_yolo_weights")):
        with pytest.raises(FileNotFoundError, match=f"model_data/{name}.h5: expected pretrained weights"):
            function((64, 96), DEFAULT_TINY_ANCHORS, 2)


def test_files_without_weights_are_refused(tmp_path):
    (tmp_path / "page.h5").write_text("<!DOCTYPE html><html>")
    with pytest.raises(ValueError, match="web page"):
        legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, weights_path=str(tmp_path / "page.h5"))
    other = keras.Sequential([Input((2,)), keras.layers.Dense(3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="none that fits"):
        legacy.create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, weights_path=str(tmp_path / "other.keras"))


@pytest.mark.slow
def test_the_full_training_model_has_three_targets_and_freezes_darknet53(tmp_path):
    model = legacy.create_model((64, 96), DEFAULT_ANCHORS, 2, load_pretrained=False)
    assert [tuple(tensor.shape) for tensor in model.inputs[1:]] == [(None, n * 2, n * 3, 3, 7) for n in (1, 2, 4)]
    assert model.get_layer("yolo_loss").arguments["ignore_thresh"] == 0.5
    body = keras.Model(model.inputs[0], [model.get_layer(f"conv_{number}").output for number in (58, 66, 74)])
    save_model(body, tmp_path / "yolo_weights.h5", {})
    for freeze_body, trainable in ((1, set(range(52, 75))), (2, {58, 66, 74})):
        model = legacy.create_model(
            (64, 96), DEFAULT_ANCHORS, 2, freeze_body=freeze_body, weights_path=str(tmp_path / "yolo_weights.h5")
        )
        holders = [layer for layer in model.layers if layer.weights]
        assert {int(layer.name.split("_")[1]) for layer in holders if layer.trainable} == trainable


# The generator


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    result = []
    for number in range(3):
        path = folder / f"image {number}.png"
        Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)).save(path)
        result.append(f"{path} 10,10,50,40,{number % 2} 60,20,80,50,1\n")
    return [*result, "\n"]


def test_the_generator_yields_what_fit_takes(lines):
    before = list(lines)
    generator = legacy.data_generator(lines, 2, (64, 96), DEFAULT_TINY_ANCHORS, 2)
    for _ in range(4):  # more than one pass
        inputs, zeros = next(generator)
        images, *y_true = inputs
        assert isinstance(inputs, tuple) and images.shape == (2, 64, 96, 3) and images.dtype == np.float32
        assert [y.shape for y in y_true] == [(2, 2, 3, 3, 7), (2, 4, 6, 3, 7)]
        assert zeros.shape == (2,) and not zeros.any()
    assert lines == before


def test_a_pass_shows_every_image_once(lines, monkeypatch):
    seen = []
    sample = legacy.get_random_data
    monkeypatch.setattr(
        legacy, "get_random_data", lambda line, *args, **kw: seen.append(line) or sample(line, *args, **kw)
    )
    generator = legacy.data_generator(lines, 3, (64, 96), DEFAULT_TINY_ANCHORS, 2)
    for _ in range(3):
        next(generator)
    for first in (0, 3, 6):
        assert sorted(seen[first : first + 3]) == sorted(lines[:3])


def test_an_image_with_more_than_twenty_boxes_beside_others(lines):
    path = lines[0].split(".png")[0] + ".png"
    crowd = " ".join([path, *(f"{x},{y},{x + 9},{y + 9},0" for x in range(0, 80, 10) for y in range(0, 50, 10))])
    generator = legacy.data_generator([crowd, *lines], 4, (416, 608), DEFAULT_TINY_ANCHORS, 2)
    (_, *y_true), _ = next(generator)
    # Forty boxes of the crowd; none shares a slot at this size. Three other images with two each.
    assert sum(y[..., 4].sum() for y in y_true) == 40 + 6


def test_the_seed_of_numpy_repeats_the_batches(lines):
    batches = []
    for _ in range(2):
        np.random.seed(3)
        batches.append(next(legacy.data_generator(lines, 2, (64, 96), DEFAULT_TINY_ANCHORS, 2))[0])
    for one, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "bad.jpg").write_text("no image")
    for name, error in (("bad.jpg", ValueError), ("none.jpg", OSError)):
        lines = [f"{tmp_path / name} 1,2,30,40,0"]
        with pytest.raises(error, match=name):
            next(legacy.data_generator(lines, 1, (64, 96), DEFAULT_TINY_ANCHORS, 2))


def test_masks_reach_the_targets(lines):
    generator = legacy.data_generator(lines, 2, (64, 96), DEFAULT_TINY_ANCHORS, 2, OFFICIAL_TINY_MASK)
    (_, coarse, fine), _ = next(generator)
    assert coarse.shape[3] == fine.shape[3] == 3


def test_without_lines_or_batch_there_is_no_generator(lines):
    arguments = ((64, 96), DEFAULT_TINY_ANCHORS, 2)
    assert legacy.data_generator_wrapper([], 2, *arguments) is None
    assert legacy.data_generator_wrapper(lines, 0, *arguments) is None
    assert next(legacy.data_generator_wrapper(lines, 1, *arguments))[0][0].shape == (1, 64, 96, 3)


@pytest.mark.slow
def test_a_model_fits_on_the_generator(lines):
    body = small_body(2)
    y_true = [Input(shape=(64 // stride, 96 // stride, 3, 7)) for stride in (32, 16)]
    arguments = {"anchors": DEFAULT_TINY_ANCHORS, "num_classes": 2}
    loss = Lambda(yolo_loss, output_shape=(1,), name="yolo_loss", arguments=arguments)([*body.output, *y_true])
    model = keras.Model([body.input, *y_true], loss)
    model.compile("adam", loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    generator = legacy.data_generator_wrapper(lines, 2, (64, 96), DEFAULT_TINY_ANCHORS, 2)
    history = model.fit(generator, steps_per_epoch=2, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
