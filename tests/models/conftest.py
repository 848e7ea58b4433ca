"""A tiny YOLOv3 of two classes, its outputs, and its files."""

import keras
import numpy as np
import pytest

from tests.models.tiny import ANCHORS, IMAGE, METADATA
from yolo3.models.saving import save_model
from yolo3.models.yolov3.architecture import YoloV3


@pytest.fixture(scope="session")
def tiny_model():
    network = YoloV3.from_name("yolov3-tiny", 2, anchors=ANCHORS).build_network()
    rng = np.random.default_rng(0)
    for layer in network.layers:  # statistics that differ from the initial ones, so that losing them shows
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return network


@pytest.fixture(scope="session")
def tiny_outputs(tiny_model):
    return tiny_model.predict(IMAGE, verbose=0)


@pytest.fixture(scope="session")
def tiny_files(tiny_model, tmp_path_factory):
    """Folder of the network's files: m.h5, m.keras, m.weights.h5."""
    path = tmp_path_factory.mktemp("files")
    for name in ("m.h5", "m.keras", "m.weights.h5"):
        save_model(tiny_model, path / name, METADATA)
    return path
