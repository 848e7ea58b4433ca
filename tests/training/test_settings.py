"""The settings of a run: written and read back, and what is refused."""

import dataclasses
import json

import pytest

from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.loss_options import DARKNET
from yolo3.training.settings import TrainConfig, format_config, parse_config

# settings.json as version 0.1.0 wrote it, before settings carried their descriptions
OF_AN_EARLIER_VERSION = """
{"anchors": "a.txt", "data": null, "format": null, "classes": null, "model": null, "cfg": null, "anchor_mask":
[[3, 4, 5], [0, 1, 2]], "train_list": null, "val_list": null, "val": null, "val_split": 0.1, "skip_bad": false,
"input_size": [192, 192], "resize": "letterbox", "multi_scale": [], "epochs": 12, "max_batches": null,
"batch_size": 8, "accumulate": 1, "optimizer": "adam", "learning_rate": 0.001, "schedule": "cosine",
"rate_steps": null, "burn_in": null, "burn_in_power": 4.0, "momentum": 0.9, "weight_decay": 0.0005, "clip_norm":
0.0, "ema": 0.0, "ignore_thresh": null, "precision": "auto", "jit_compile": false, "weights": null,
"freeze_epochs": null, "cache": "auto", "workers": 0, "evaluate_every": null, "seed": 0, "output": null,
"model_options": [], "loss": {"box_loss": "xywh", "box_scale": 1.0, "focal": [], "focal_alpha": 0.25,
"focal_gamma": 2.0, "label_smoothing": 0.0, "iou_thresh": 1.0}, "augment": {"jitter": 0.3, "zoom": [0.9, 1.1],
"flip": 0.5, "hue": 0.1, "saturation": 1.5, "exposure": 1.5, "mosaic": 0.0, "mosaic_zoom": [0.6, 1.4],
"placement": "fit", "plain_share": 0.15}}"""

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
def test_written_settings_are_read_back_with_the_same_types(config):
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
        ({"input_size": (0, 32)}, "input_size: expected a whole number above 0, got 0"),
        ({"optimizer": "adamw"}, "optimizer: expected one of adam, sgd, darknet, got 'adamw'"),
        ({"schedule": "linear"}, "schedule: expected one of cosine, steps, constant"),
        ({"precision": "float64"}, "precision: expected one of auto"),
        ({"cache": "tape"}, "cache: expected one of auto, memory, disk, none"),
        ({"resize": "crop"}, "resize: expected one of letterbox, stretch"),
        ({"epochs": 0}, "epochs: expected a whole number above 0, got 0"),
        ({"batch_size": 0}, "batch_size: expected a whole number above 0"),
        ({"accumulate": -1}, "accumulate: expected a whole number above 0"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0"),
        ({"val_split": 1.0}, "val_split: expected a number from 0 to below 1"),
        ({"burn_in": -1}, "burn_in: expected a whole number, 0 or above, got -1"),
        ({"freeze_epochs": -1}, "freeze_epochs: expected a whole number, 0 or above"),
        ({"workers": -2}, "workers: expected a whole number, 0 or above"),
        ({"weight_decay": -0.1}, "weight_decay: expected a number, 0 or above"),
        ({"format": "dance"}, "format: expected one of voc, coco, .*, got 'dance'"),
        ({"multi_scale": (1.0, 0.0)}, "multi_scale: expected a number above 0, got 0.0"),
        ({"ema": 1.0}, "ema: expected a number from 0 to below 1"),
    ],
)
def test_an_invalid_value_is_refused_with_the_name_of_the_setting(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(anchors="a.txt", **wrong)


def test_a_run_measured_in_batches_has_no_epochs():
    assert TrainConfig(anchors="a.txt", epochs=0, max_batches=10).epochs == 0
    with pytest.raises(ValueError, match="epochs: expected a whole number above 0, got -1"):
        TrainConfig(anchors="a.txt", epochs=-1, max_batches=10)


def test_settings_of_an_earlier_version_are_read():
    assert parse_config(OF_AN_EARLIER_VERSION) == TrainConfig(
        anchors="a.txt",
        input_size=(192, 192),
        epochs=12,
        ema=0.0,
        anchor_mask=((3, 4, 5), (0, 1, 2)),
        augment=Augmentation(mosaic=0.0, zoom=(0.9, 1.1)),
        loss=DARKNET,
    )


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"jitter": 1.0}, "jitter: expected a number from 0 to below 1, got 1.0"),
        ({"saturation": 0.0}, "saturation: expected a number, 1 or above"),
        ({"exposure": 0.5}, "exposure: expected a number, 1 or above"),
        ({"zoom": (0.0, 1.0)}, "zoom: expected a number above 0, got 0.0"),
        ({"mosaic_zoom": (2.0, 1.0)}, "mosaic_zoom: expected a smallest and a largest factor"),
    ],
)
def test_augmentation_that_would_divide_by_zero_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**wrong)
