"""A network of YOLOv3 that is registered from outside the package trains like those within it."""

import dataclasses
import os

import keras
import numpy as np
import pytest

from tests.training.runs import one_batch, rows_of, run
from yolo3.cli import train as command
from yolo3.darknet.blocks import Blocks
from yolo3.inference.detector import Detector
from yolo3.models import registry
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.preparation import choose_architecture
from yolo3.training.recipes import config_from
from yolo3.training.settings import TrainConfig

ANCHORS = DEFAULT_TINY_ANCHORS[:4]


def toy_body(inputs, num_anchors, num_classes, batch_norm=None):
    """Three convolutions, and a head on the last two: strides 16 and 8, the coarse output first."""
    blocks = Blocks(batch_norm)
    x = keras.layers.AveragePooling2D(4)(inputs)
    fine = blocks.conv_bn_leaky(keras.layers.AveragePooling2D(2)(blocks.conv_bn_leaky(x, 4, 3)), 8, 3)
    coarse = blocks.conv_bn_leaky(keras.layers.AveragePooling2D(2)(fine), 8, 3)
    outputs = [blocks.conv(features, num_anchors * (5 + num_classes), 1) for features in (coarse, fine)]
    return keras.Model(inputs, outputs, name="toy")


@pytest.fixture
def toy():
    entry = registry.yolov3_network(
        "toy", "three convolutions", body=toy_body, strides=(16, 8), anchors=ANCHORS, backbone_convolutions=3
    )
    registry.register(entry)
    yield entry
    del registry.MODELS["toy"]


@pytest.fixture
def toy_settings(toy, settings, tmp_path):
    write_anchors(tmp_path / "toy.txt", ANCHORS)
    return dataclasses.replace(settings, model="toy", anchors=str(tmp_path / "toy.txt"))


pytestmark = pytest.mark.usefixtures("undrawn", "eagerly")


@pytest.mark.slow
def test_it_trains_two_steps_and_its_file_detects(toy_settings, tmp_path):
    run(one_batch(toy_settings, epochs=2), tmp_path / "run")
    assert [row["epoch"] for row in rows_of(tmp_path / "run")] == ["1", "2"]

    path = os.path.join(tmp_path / "run", "last.h5")
    metadata = read_metadata(path)
    assert metadata["model"] == "toy" and metadata["strides"] == [16, 8]
    assert metadata["anchor_mask"] == [[2, 3], [0, 1]]  # the largest anchors belong to the coarse output
    detector = Detector(path, score_threshold=0.0)
    assert detector.input_shape == (64, 64) and len(detector(np.zeros((64, 64, 3), np.uint8)).scores)


def test_its_stride_and_its_backbone_are_those_of_its_entry(toy_settings):
    architecture = choose_architecture(dataclasses.replace(toy_settings, input_size=(48, 80)), 3)
    assert [scale.stride for scale in architecture.scales] == [16, 8] and architecture.stride == 16
    assert sorted(architecture.backbone_layers(None)) == ["bn_0", "bn_1", "bn_2", "conv_0", "conv_1", "conv_2"]
    with pytest.raises(ValueError, match="expected multiples of 16, got 48 72"):
        choose_architecture(dataclasses.replace(toy_settings, input_size=(48, 72)), 3)


def test_the_command_offers_it_and_gives_it_a_recipe_for_the_embedded_set(toy, tmp_path, capsys):
    write_anchors(tmp_path / "toy.txt", ANCHORS)
    options = ["--model", "toy", "--anchors", str(tmp_path / "toy.txt")]
    config = config_from(vars(command.build_parser().parse_args(options)))
    assert (config.model, config.epochs) == ("toy", registry.EMBEDDED["epochs"])
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    assert "toy (three convolutions)" in " ".join(capsys.readouterr().out.split())


def test_a_registered_name_is_refused(toy):
    for name in ("toy", "yolov3", "cfg"):
        with pytest.raises(ValueError, match=f"model: expected a new name, got '{name}'"):
            registry.register(dataclasses.replace(toy, name=name))


def test_the_name_is_unknown_after_it_is_removed():
    with pytest.raises(ValueError, match="model: expected one of yolov3, .*, rpn, got 'toy'"):
        TrainConfig(anchors="a.txt", model="toy")
