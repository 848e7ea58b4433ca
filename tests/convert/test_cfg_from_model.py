"""Models that never were Darknet's, as cfg and weights."""

import keras
import numpy as np
import pytest

from tests.convert.command import convert
from tests.darknet.networks import DATA, needs_data, random_image, run
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.heads import yolo_heads
from yolo3.darknet.keras_weights import load_weights
from yolo3.darknet.network import build_network
from yolo3.models.saving import save_model
from yolo3.models.yolov3.networks import spp_yolo_body, tiny_yolo_body, yolo_body

TINY_ANCHORS = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]


def metadata_for(num_anchors=6, **more):
    anchors = (TINY_ANCHORS * 2)[:num_anchors]
    return {"class_names": ["a", "b"], "anchors": anchors, "input_shape": [96, 64], **more}


def check_way_to_darknet(tmp_path, model, metadata):
    """Convert, build from the cfg that was written, compare; return that cfg."""
    save_model(model, tmp_path / "own.h5", metadata)
    assert convert("--to-darknet", tmp_path / "own.h5", tmp_path / "own.cfg", tmp_path / "own.weights") == 0
    cfg = read_cfg(tmp_path / "own.cfg")
    again = build_network(cfg)
    assert load_weights(again, cfg, tmp_path / "own.weights").file.complete
    image = random_image((3, 64, 64))
    for one, other in zip(run(model, image), run(again, image), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    return cfg


def shake(model):
    """Draw random statistics, so that a layer left out shows."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return model


@pytest.mark.slow
def test_a_tiny_network_trained_here_goes_to_darknet(tmp_path):
    model = shake(tiny_yolo_body(keras.Input((None, None, 3)), 3, 2))
    metadata = metadata_for(scale_x_y=[1.1, 1.0], ignore_thresh=[0.5, 0.6], anchor_mask=[[3, 4, 5], [1, 2, 3]])
    cfg = check_way_to_darknet(tmp_path, model, metadata)
    first, second = yolo_heads(cfg)
    assert (first.mask, second.mask) == ((3, 4, 5), (1, 2, 3))
    assert (first.scale_x_y, second.scale_x_y) == (1.1, 1.0)
    assert (first.ignore_thresh, second.ignore_thresh) == (0.5, 0.6)
    assert cfg.input_shape == (96, 64, 3)
    np.testing.assert_array_equal(first.anchors, TINY_ANCHORS)


@needs_data
@pytest.mark.slow
def test_a_tiny_network_has_the_layers_of_darknets_own_cfg(tmp_path):
    model = tiny_yolo_body(keras.Input((None, None, 3)), 3, 80)
    names = [f"class {number}" for number in range(80)]
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(class_names=names, input_shape=[416, 416]))
    check_same_layers(cfg, read_cfg(DATA / "darknet" / "cfg" / "yolov3-tiny.cfg"))


def check_same_layers(cfg, expected):
    assert [section.name for section in cfg.layers] == [section.name for section in expected.layers]
    for ours, theirs in zip(cfg.layers, expected.layers, strict=True):
        same = ("batch_normalize", "filters", "size", "stride", "pad", "activation", "mask", "classes")
        assert [ours.text(key, "") for key in same] == [theirs.text(key, "") for key in same], theirs.where()


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "body"), [("yolov3", yolo_body), ("yolov3-spp", spp_yolo_body)])
def test_large_networks_trained_here_have_the_layers_of_darknets_own_cfgs(tmp_path, name, body):
    model = body(keras.Input((None, None, 3)), 3, 80)
    names = [f"class {number}" for number in range(80)]
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(9, class_names=names, input_shape=[416, 416]))
    check_same_layers(cfg, read_cfg(DATA / "darknet" / "cfg" / f"{name}.cfg"))


def test_layers_of_keras_yolo3_are_taken_as_they_compute(tmp_path):
    """Padding on two sides, another epsilon, a bias before the normalization, a depthwise convolution."""
    image = keras.Input((None, None, 3))
    x = keras.layers.ZeroPadding2D(((1, 0), (1, 0)))(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="valid", bias_initializer="ones")(x)
    x = keras.layers.BatchNormalization()(x)
    first = keras.layers.LeakyReLU(negative_slope=0.1)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu")(first)
    second = keras.layers.Add()([first, x])
    x = keras.layers.Concatenate()([first, second])
    model = shake(keras.Model(image, [keras.layers.Conv2D(14, 1)(x)]))
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(2, anchor_mask=[[0, 1]]))
    assert [section.name for section in cfg.layers] == ["convolutional"] * 2 + [
        "shortcut",
        "route",
        "convolutional",
        "yolo",
    ]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            lambda: keras.layers.AveragePooling2D(2, name="mean"),
            "'mean': Darknet has no section for a AveragePooling2D",
        ),
        (
            lambda: keras.layers.Conv2D(14, 3, 2, "same", name="odd"),
            "'odd': Darknet pads all four sides alike",
        ),
        (
            lambda: keras.layers.LeakyReLU(negative_slope=0.3, name="steep"),
            "'steep': expected Darknet's slope",
        ),
    ],
)
def test_layers_that_darknet_cannot_compute_are_refused_by_name(tmp_path, capsys, layer, words):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, [layer()(keras.layers.Conv2D(14, 1)(image))])
    save_model(model, tmp_path / "own.h5", metadata_for(2, anchor_mask=[[0, 1]]))
    assert convert("--to-darknet", tmp_path / "own.h5", tmp_path / "own.cfg", tmp_path / "own.weights") == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["own.h5"]
