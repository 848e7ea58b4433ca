"""Networks against Darknet's cfg files, and what they start from."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.layers import resolve_layers
from yolo3.models.yolov1.architecture import YoloV1
from yolo3.models.yolov1.codec import decode_boxes
from yolo3.models.yolov1.networks import DESIGNS

CFGS = Path(__file__).parents[4] / "shared" / "data" / "darknet" / "cfg"
needs_cfgs = pytest.mark.skipif(not CFGS.is_dir(), reason="needs ../shared/data")


@needs_cfgs
@pytest.mark.parametrize("name", DESIGNS)
def test_the_bodies_are_those_of_darknets_cfg(name):
    cfg = []
    for layer in resolve_layers(read_cfg(CFGS / f"{name}.cfg")):
        if layer.kind == "convolutional":
            cfg.append((layer.options.filters, layer.options.size, layer.options.strides[0]))
            assert layer.options.padding == layer.options.size // 2 and layer.options.activation == "leaky"
        elif layer.kind == "maxpool":
            cfg.append((0, 0, 1))
    assert [(*entry, 1)[:3] for entry in DESIGNS[name].body] == cfg
    assert sum(filters > 0 for filters, *_ in cfg) == {"yolov1": 24, "yolov1-tiny": 8}[name]


@pytest.mark.parametrize("name", DESIGNS)
def test_a_network_gives_the_cells_of_the_grid(slim, name):
    architecture = YoloV1(name)
    network = architecture.build_network((128, 192, 3))
    assert network.output_shape == (None, 7, 7, 30)
    counts = {kind: sum(layer.name.startswith(kind) for layer in network.layers) for kind in ("conv_", "bn_", "leaky_")}
    assert set(counts.values()) == {{"yolov1": 24, "yolov1-tiny": 8}[name]}
    assert {type(layer).__module__.split(".")[0] for layer in network.layers} == {"keras"}


def test_dense_width_dropout_and_normalisation_are_as_asked(slim):
    architecture = YoloV1("yolov1-tiny", 3, 5, 1, batch_normalize=False, dense_width=496, dropout=0.25)
    network = architecture.build_network((64, 64, 3))
    assert network.get_layer("connected_0").units == 496
    assert network.get_layer("connected_1").units == 5 * 5 * (3 + 5)
    assert network.get_layer("dropout_0").rate == 0.25
    assert network.get_layer("conv_7").use_bias and not any(layer.name.startswith("bn_") for layer in network.layers)
    assert [layer.name for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)][:2] == [
        "leaky_0", "leaky_1",
    ]  # fmt: skip
    assert set(architecture.backbone_layers(network)) <= {layer.name for layer in network.layers}


def test_the_wide_dense_layer_is_the_papers():
    design = DESIGNS["yolov1"]
    assert (design.dense_width, design.dropout, design.shared) == (4096, 0.5, 20)


def test_batch_norm_takes_another_class_of_layers(slim):
    class Other(keras.layers.BatchNormalization):
        pass

    network = YoloV1("yolov1-tiny").build_network((64, 64, 3), batch_norm=Other)
    assert isinstance(network.get_layer("bn_0"), Other)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_backbone_is_what_was_trained_before(slim, name):
    architecture = YoloV1(name)
    network = architecture.build_network((64, 64, 3))
    names = architecture.backbone_layers(network)
    assert len(names) == 2 * {"yolov1": 20, "yolov1-tiny": 7}[name]
    assert set(names) < {layer.name for layer in network.layers}


@pytest.mark.parametrize(
    ("size_form", "activation", "layout"),
    [("root", "linear", "cells"), ("size", "sigmoid", "darknet"), ("root-of-size", "sigmoid", "cells")],
)
def test_a_new_network_starts_in_the_middle_of_the_cells(slim, size_form, activation, layout):
    architecture = YoloV1("yolov1-tiny", 4, 3, size_form=size_form, activation=activation, layout=layout)
    biases = architecture.build_network((64, 64, 3)).get_layer("connected_0").bias
    shape = (1, -1) if layout == "darknet" else (1, 3, 3, 4 + 2 * 5)
    class_probs, confidence, raw = architecture.parts_of(tf.reshape(biases, shape))
    np.testing.assert_allclose(class_probs, np.full((1, 3, 3, 4), 1 / 4), rtol=1e-5)
    np.testing.assert_allclose(confidence, np.full((1, 3, 3, 2), 0.1), rtol=1e-5)
    xy, wh = decode_boxes(raw, size_form)
    np.testing.assert_allclose(xy[0, 2, 0, 0], [0.5 / 3, 2.5 / 3], rtol=1e-5)
    np.testing.assert_allclose(wh[0, 1, 1], [[1 / 9] * 2, [4 / 9] * 2], rtol=1e-5)  # (1/3)^2, (2/3)^2


@pytest.mark.parametrize("shape", [(None, None, 3), (96, 128, 3), (0, 64, 3)])
def test_an_input_that_the_network_cannot_take_is_refused(shape):
    with pytest.raises(ValueError, match="expected (an input of fixed size|multiples of 64)"):
        YoloV1("yolov1-tiny").build_network(shape)
