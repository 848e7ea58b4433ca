"""The settings of a run: written down and read back, and what is refused."""

import dataclasses
import json

import pytest

from yolo3.input.settings import Augmentation
from yolo3.training.settings import TrainConfig, format_config, parse_config

UNUSUAL = TrainConfig(
    anchors="a.txt",
    data="d",
    anchor_mask=((3, 4, 5), (1, 2, 3)),
    input_size=(320, 256),
    val_split=0.25,
    skip_bad=True,
    burn_in=7,
    ema=0.9,
    weights="w.h5",
    augment=Augmentation(zoom=(0.5, 2.0), mosaic=0.0),
)


@pytest.mark.parametrize("config", [TrainConfig(anchors="a.txt"), UNUSUAL])
def test_what_is_written_is_read_back_with_the_same_types(config):
    again = parse_config(format_config(config))
    assert again == config  # tuples and lists are not equal, so this compares the types too
    assert hash(again) == hash(config)


def test_the_text_is_json_with_every_setting():
    values = json.loads(format_config(UNUSUAL))
    assert set(values) == {field.name for field in dataclasses.fields(TrainConfig)}
    assert values["input_size"] == [320, 256] and values["augment"]["zoom"] == [0.5, 2.0]


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        UNUSUAL.epochs = 3


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"input_size": (416, 400)}, "multiples of 32, got 416 400"),
        ({"input_size": (0, 32)}, "multiples of 32"),
        ({"optimizer": "adamw"}, "optimizer: expected one of adam, sgd, darknet, got 'adamw'"),
        ({"schedule": "linear"}, "schedule: expected one of cosine, steps, constant"),
        ({"precision": "float64"}, "precision: expected one of auto"),
        ({"cache": "tape"}, "cache: expected one of auto, memory, disk, none"),
        ({"resize": "crop"}, "resize: expected one of letterbox, stretch"),
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
        ({"accumulate": -1}, "accumulate: expected at least 1"),
        ({"learning_rate": 0.0}, "learning_rate: expected a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a positive number"),
        ({"val_split": 1.0}, "val_split: expected a share"),
        ({"burn_in": -1}, "burn_in: expected 0 or more, got -1"),
        ({"freeze_epochs": -1}, "freeze_epochs: expected 0 or more"),
        ({"workers": -2}, "workers: expected 0 or more"),
        ({"weight_decay": -0.1}, "weight_decay: expected 0 or more"),
        ({"ema": 1.0}, "ema: expected a momentum from 0 to below 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_name_of_the_setting(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(anchors="a.txt", **wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"jitter": 1.0}, "jitter: expected a fraction from 0 to below 1, got 1.0"),
        ({"saturation": 0.0}, "saturation: expected the largest factor, at least 1"),
        ({"exposure": 0.5}, "exposure: expected the largest factor"),
        ({"zoom": (0.0, 1.0)}, "zoom: expected a smallest and a largest factor"),
        ({"mosaic_zoom": (2.0, 1.0)}, "mosaic_zoom: expected a smallest and a largest factor"),
    ],
)
def test_variation_that_would_divide_by_zero_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**wrong)
