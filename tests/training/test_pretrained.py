"""Weights that a run starts from, for other classes."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.keras_weights import save_weights
from yolo3.models.registry import architecture_of_cfg
from yolo3.models.saving import save_model
from yolo3.training.pretrained import load_pretrained

CFG = """[net]
width=32
height=32
[convolutional]
filters=4
size=3
stride=32
pad=1
activation=leaky
batch_normalize=1
[convolutional]
filters=14
size=1
stride=1
activation=linear
[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(CFG)
    return read_cfg(path)


def trainer_for(cfg, num_classes):
    """What `load_pretrained` needs of a trainer."""
    architecture = architecture_of_cfg(cfg, num_classes)
    networks = [architecture.build_network((32, 32, 3)) for _ in range(2)]
    return SimpleNamespace(architecture=architecture, network=networks[0], inference_network=networks[1])


def other_network(cfg):
    architecture = architecture_of_cfg(cfg)
    keras.utils.set_random_seed(7)
    network = architecture.build_network((32, 32, 3))
    network.get_layer("conv_1").set_weights([np.random.normal(size=(1, 1, 4, 14)), np.random.normal(size=14)])
    return architecture, network


def rows(network):
    return network.get_layer("conv_1").get_weights()[0].reshape(4, 2, -1)


@pytest.mark.parametrize("kind", ["keras", "darknet"])
def test_heads_for_other_classes_keep_boxes_objectness_and_classes_of_the_same_name(cfg, tmp_path, kind):
    architecture, network = other_network(cfg)
    if kind == "keras":
        path = tmp_path / "w.h5"
        metadata = {**architecture.metadata(), "class_names": ["cat", "dog"], "input_shape": [32, 32]}
        save_model(network, path, metadata)
    else:
        path = tmp_path / "w.weights"
        save_weights(network, cfg, path)

    trainer = trainer_for(cfg, 3)
    before = rows(trainer.network)
    taken = load_pretrained(trainer, str(path), ["bird", "dog", "cow"], None if kind == "keras" else cfg.source)
    assert taken.heads == ["conv_1"] and "conv_0" in taken.loaded and "conv_1" not in taken.loaded
    for trained in (trainer.network, trainer.inference_network):
        np.testing.assert_array_equal(rows(trained)[..., :5], rows(network)[..., :5])
        np.testing.assert_array_equal(rows(trained)[..., [5, 7]], before[..., [5, 7]])
        same = rows(network)[..., 6] if kind == "keras" else before[..., 6]  # two classes of a cfg have no names
        np.testing.assert_array_equal(rows(trained)[..., 6], same)
    assert taken.classes == (["dog"] if kind == "keras" else [])
