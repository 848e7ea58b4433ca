"""keras-yolo3's functions on the symbolic outputs of a body, as its ``generate()`` and many exports used them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import yolo3.model as door
from tests.darknet.networks import DATA, needs_data
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK
from yolo3.utils import letterbox_image

CLASSES = 2
IMAGE_SHAPE = (50, 90)


def small_body(shape=(None, None, 3)):
    """A network of a few weights with outputs at strides 32 and 16, which sees more than two objects."""
    image = keras.Input(shape)
    x = keras.layers.AveragePooling2D(16)(image)
    coarse = keras.layers.Conv2D(3 * (CLASSES + 5), 2, strides=2)(x)
    body = keras.Model(image, [coarse, keras.layers.Conv2D(3 * (CLASSES + 5), 1)(x)])
    rng = np.random.default_rng(5)
    body.set_weights([rng.normal(0.3, 1, weight.shape) for weight in body.get_weights()])
    return body


@pytest.fixture(scope="module")
def body():
    return small_body()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(6).uniform(0, 1, (1, 64, 96, 3)).astype(np.float32)


def assert_same(found, wanted):
    assert ops.size(wanted[1]) > 2
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-5, atol=1e-3)


def evaluate(outputs, image_shape=IMAGE_SHAPE, **options):
    return door.yolo_eval(outputs, DEFAULT_TINY_ANCHORS, CLASSES, image_shape, **options)


def test_yolo_eval_on_symbolic_outputs_gives_the_boxes_of_the_eager_call(body, image):
    boxes, scores, classes = evaluate(body.output, score_threshold=0.3, max_boxes=5)
    assert (boxes.shape, scores.shape, classes.shape) == ((None, 4), (None,), (None,)) and classes.dtype == "int32"
    model = keras.Model(body.input, [boxes, scores, classes])
    assert_same(model(image), evaluate(body(image), score_threshold=0.3, max_boxes=5))


def test_yolo_eval_works_on_a_body_of_fixed_size(image):
    fixed = small_body((64, 96, 3))
    assert_same(keras.Model(fixed.input, evaluate(fixed.output))(image), evaluate(fixed(image)))


@pytest.mark.parametrize("kind", [{"shape": (2,)}, {"batch_shape": (2,)}], ids=str)
def test_the_image_shape_may_be_an_input_of_the_graph(body, image, kind):
    image_shape = keras.Input(**kind)
    model = keras.Model([body.input, image_shape], evaluate(body.output, image_shape))
    for shape in (IMAGE_SHAPE, (333, 517)):
        given = np.array(shape, np.float32).reshape([1] * len(image_shape.shape[1:]) + [2])
        assert_same(model([image, given]), evaluate(body(image), shape))


@pytest.mark.slow
def test_the_graph_of_yolo_eval_is_saved_loaded_and_exported(body, image, tmp_path):
    tf = pytest.importorskip("tensorflow")
    image_shape = keras.Input((2,))
    options = {"anchor_mask": OFFICIAL_TINY_MASK, "scale_x_y": np.float32(1.05), "score_threshold": 0.3}
    model = keras.Model([body.input, image_shape], evaluate(body.output, image_shape, **options))
    inputs = [image, np.array([IMAGE_SHAPE], np.float32)]
    expected = evaluate(body(image), **options)

    model.save(tmp_path / "whole.keras")
    assert_same(keras.models.load_model(tmp_path / "whole.keras")(inputs), expected)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    assert_same(exported.serve(inputs), expected)
    assert_same(model.predict(inputs, verbose=0), expected)


def test_predict_compiles_nothing_whose_results_have_no_fixed_length(body, image):
    model = keras.Model(body.input, evaluate(body.output))
    assert not model.layers[-1].supports_jit
    assert_same(model.predict(image, verbose=0), evaluate(body(image)))


@pytest.mark.slow
def test_the_graphs_are_those_of_jax_too():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    names = "image_shape_may or fixed_size or predict_compiles or give_the_eager_numbers or without_a_lambda"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", names, __file__]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout + done.stderr


def test_a_batch_of_two_fails_in_a_graph_rather_than_mixing_its_images(body, image):
    tf = pytest.importorskip("tensorflow")
    model = tf.function(
        keras.Model(body.input, evaluate(body.output)), input_signature=[tf.TensorSpec([None] * 3 + [3])]
    )
    assert_same(model(image), evaluate(body(image)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        model(np.concatenate([image, image]))


def test_the_other_functions_become_layers_too_and_give_the_eager_numbers(body, image):
    anchors = DEFAULT_TINY_ANCHORS[3:]
    arguments = {"anchors": anchors, "num_classes": CLASSES, "input_shape": (64, 96)}
    feats = body.output[0]
    xy, wh, *others = door.yolo_head(feats, **arguments)
    boxes = door.yolo_correct_boxes(xy, wh, (64, 96), IMAGE_SHAPE)
    flat = door.yolo_boxes_and_scores(feats, **arguments, image_shape=IMAGE_SHAPE)
    found = keras.Model(body.input, [xy, wh, *others, boxes, *flat])(image)

    raw = body(image)[0]
    head = door.yolo_head(raw, **arguments)
    expected = [*head, door.yolo_correct_boxes(*head[:2], (64, 96), IMAGE_SHAPE)]
    assert_same(found, [*expected, *door.yolo_boxes_and_scores(raw, **arguments, image_shape=IMAGE_SHAPE)])


def test_yolo_loss_is_a_layer_without_a_lambda(body, image):
    y_true = [keras.Input((2, 3, 3, CLASSES + 5)), keras.Input((4, 6, 3, CLASSES + 5))]
    loss = door.yolo_loss([*body.output, *y_true], DEFAULT_TINY_ANCHORS, CLASSES)
    model = keras.Model([body.input, *y_true], loss)
    boxes = np.array([[[8, 8, 40, 48, 1]]], np.float32)
    targets = door.preprocess_true_boxes(boxes, (64, 96), DEFAULT_TINY_ANCHORS, CLASSES)
    expected = door.yolo_loss([*body(image), *targets], DEFAULT_TINY_ANCHORS, CLASSES)
    assert float(model([image, *targets])) == pytest.approx(float(expected), rel=1e-5) and float(expected) > 1
    assert model.layers[-1].name.startswith("yolo_loss")


def test_boxes_stay_float32_under_a_half_precision_policy(image):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = small_body()
        model = keras.Model(half.input, evaluate(half.output, score_threshold=0.3))
    finally:
        keras.config.set_dtype_policy("float32")
    assert [ops.dtype(part) for part in model(image)] == ["float32", "float32", "int32"]
    assert_same(model(image), evaluate(half(image), score_threshold=0.3))


@pytest.mark.slow
@needs_data
def test_the_old_generate_finds_on_a_photograph_what_the_eager_call_finds(tmp_path):
    from yolo3.convert.to_keras import convert_to_keras

    path = tmp_path / "yolov3-tiny.h5"
    darknet = DATA / "darknet"
    convert_to_keras(darknet / "cfg" / "yolov3-tiny.cfg", darknet / "weights" / "yolov3-tiny.weights", path)
    body = keras.models.load_model(path, compile=False)
    photo = Image.open(DATA / "images" / "dog.jpg")
    pixels = np.asarray(letterbox_image(photo, (416, 416)), np.float32)[None] / 255
    options = {"anchor_mask": OFFICIAL_TINY_MASK, "score_threshold": 0.3}

    image_shape = keras.Input(batch_shape=(2,))  # K.placeholder(shape=(2, )) in keras-yolo3
    results = door.yolo_eval(body.output, DEFAULT_TINY_ANCHORS, 80, image_shape, **options)
    model = keras.Model([body.input, image_shape], results)
    found = model([pixels, np.array([photo.height, photo.width], np.float32)])
    expected = door.yolo_eval(body(pixels), DEFAULT_TINY_ANCHORS, 80, (photo.height, photo.width), **options)
    assert_same(found, expected)
    assert 16 in ops.convert_to_numpy(found[2])  # a dog
