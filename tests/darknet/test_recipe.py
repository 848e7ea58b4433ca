"""The training recipe of a cfg as settings of a run."""

import pytest

from tests.darknet.networks import DATA, YOLO, needs_data, text_of
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.recipe import not_applied, recipe_of, resize_of, settings_of
from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions
from yolo3.training.settings import TrainConfig

NET = """[net]
batch=64
subdivisions=16
width=416
height=320
momentum=0.8
decay=0.0005
angle=0
saturation=1.5
exposure=2
hue=.1
learning_rate=0.002
burn_in=100
power=3
max_batches=2000
policy=steps
steps=1600,1800
scales=.1,.2
"""
HEADS = """[convolutional]
filters=18
[yolo]
classes=1
jitter=.4
random=0
[convolutional]
filters=18
[yolo]
classes=1
jitter=.3
random=1
"""


def recipe(text=NET + HEADS):
    return recipe_of(parse_cfg(text, "my.cfg"))


def test_each_setting_keeps_its_meaning():
    assert recipe() == {
        "optimizer": "darknet",
        "learning_rate": 0.002,
        "momentum": 0.8,
        "weight_decay": 0.0005,
        # 64 images an update, in 16 steps of 4
        "batch_size": 4,
        "accumulate": 16,
        "max_batches": 2000,
        "schedule": "steps",
        "rate_steps": ((1600, 0.1), (1800, 0.2)),
        "burn_in": 100,
        "burn_in_power": 3.0,
        "ema": 0.0,
        "freeze_epochs": 0,
        "jitter": 0.3,
        "placement": "fit",
        "zoom": (1.0, 1.0),
        "flip": 0.5,
        "hue": 0.1,
        "saturation": 1.5,
        "exposure": 2.0,
        "mosaic": 0.0,
        "plain_share": 0.0,
        "box_loss": "xywh",
        "box_scale": 1.0,
        "objectness_target": "one",
        # the last head has random=1: 320, 352, ... 608 pixels, of a width of 416
        "multi_scale": tuple(size / 416 for size in range(320, 609, 32)),
    }
    assert settings_of(parse_cfg(NET + HEADS)) == {"input_size": (320, 416), "resize": "letterbox"}


def test_settings_missing_from_a_cfg_have_darknets_defaults():
    text = "[net]\n" + HEADS
    plain = recipe(text)
    assert (plain["learning_rate"], plain["momentum"], plain["weight_decay"]) == (0.001, 0.9, 0.0001)
    assert (plain["batch_size"], plain["accumulate"], plain["burn_in"], plain["burn_in_power"]) == (1, 1, 0, 4.0)
    assert (plain["schedule"], plain["max_batches"], plain["multi_scale"]) == ("constant", None, ())
    assert (plain["hue"], plain["saturation"], plain["exposure"]) == (0.0, 1.0, 1.0)
    assert settings_of(parse_cfg(text)) == {"resize": "letterbox"}


def test_a_cfg_of_alexeyabs_darknet_crops_stretches_and_draws_sizes_around_its_own():
    net = NET.replace("height=320", "height=416\nmosaic=1\nflip=0")
    fork = recipe(net + HEADS + "scale_x_y=1.05\n")
    assert (fork["placement"], fork["mosaic"], fork["flip"]) == ("crop", 0.5, 0.0)
    sizes = sorted({round(factor * 416) for factor in fork["multi_scale"]})
    assert sizes == [320, 352, 384, 416, 448, 480, 512, 544, 576, 608]  # from 416 / 1.4 to 416 x 1.4, and one cell more
    larger = sum(factor > 1 for factor in fork["multi_scale"]) / len(fork["multi_scale"])
    assert larger == pytest.approx(0.5)  # half of the draws divide; none of these gets above the cfg's own size


LOSS = """iou_loss=ciou
iou_normalizer=.07
obj_normalizer=.4
cls_normalizer=.5
label_smooth_eps=.1
iou_thresh=.213
max_delta=2
"""


def test_the_loss_of_alexeyabs_darknet_is_taken_from_the_last_head():
    fork = recipe(NET + HEADS + LOSS + "counters_per_class=30\n")
    expected = {"box_loss": "ciou", "box_gradient": "darknet", "box_scale": 0.07, "objectness_scale": 0.4}
    expected |= {"objectness_target": "one"}
    expected |= {"max_delta": 2.0, "label_smoothing": 0.1, "iou_thresh": 0.213}
    expected |= {"class_weights": (1.0,), "class_scale": 0.5}
    assert {key: fork[key] for key in expected} == expected
    assert LossOptions(**expected).terms == ("box", "objectness", "no_object", "class")


def test_classes_that_are_rare_weigh_more_up_to_max_delta():
    three = HEADS.replace("filters=18", "filters=24").replace("classes=1", "classes=3")
    found = recipe(NET + three + "max_delta=5\ncounters_per_class=100,50,0\n")
    assert found["class_weights"] == (1.0, 2.0, 5.0)  # 100 / 100, 100 / 50, and 100 / 1 cut at max_delta
    assert found["class_scale"] == 1.0
    with pytest.raises(ValueError, match="expected 3 numbers for 'counters_per_class', got 2"):
        recipe(NET + three + "counters_per_class=100,50\n")


def test_boxes_weigh_three_quarters_in_alexeyabs_darknet_and_one_in_pjreddies():
    assert recipe(NET + HEADS + "max_delta=5\n")["box_scale"] == 0.75
    assert recipe(NET + HEADS)["box_scale"] == 1 and "iou_thresh" not in recipe(NET + HEADS)


def test_letter_box_decides_between_letterbox_and_stretch_and_keeps_the_forks_sizes():
    text = NET.replace("height=320", "height=416\nletter_box=1") + HEADS + LOSS
    found = recipe(text)
    assert settings_of(parse_cfg(text))["resize"] == "letterbox" and found["placement"] == "fit"
    assert len(found["multi_scale"]) == 64  # not the ten sizes of pjreddie's


def test_what_is_not_applied_is_named_with_its_line():
    net = NET.replace("hue=.1", "hue=.1\ncutmix=1\nmixup=0\nmosaic=1\nema_alpha=.9998")
    text = net + HEADS + LOSS + "focal_loss=1\n"
    cutmix, focal, other = not_applied(parse_cfg(text, "my.cfg"))
    assert cutmix == "cutmix=1 (my.cfg:12)"
    assert focal == f"focal_loss=1 (my.cfg:{text.count(chr(10))})"
    assert other.startswith("the loss of my.cfg:25, other than the last [yolo]'s (") and "box_loss" in other
    assert (recipe(text)["ema"], recipe(text)["mosaic"]) == (0.9998, 0.5)
    assert not_applied(parse_cfg(NET + HEADS)) == []


def test_the_other_settings_of_a_run_take_it():
    values = recipe()
    names = {"jitter", "placement", "zoom", "flip", "hue", "saturation", "exposure", "mosaic", "plain_share"}
    augment = Augmentation(**{name: values.pop(name) for name in names})
    loss = LossOptions(**{name: values.pop(name) for name in ("box_loss", "box_scale", "objectness_target")})
    sizes = settings_of(parse_cfg(NET + HEADS))
    config = TrainConfig(cfg="my.cfg", **values, **sizes, augment=augment, loss=loss, epochs=0)
    assert config.max_batches == 2000 and config.loss == DARKNET


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "policy=steps",
            "policy=poly",
            r"my.cfg:16: expected policy=steps or constant, got poly; train without --recipe",
        ),
        ("scales=.1,.2", "scales=.1", r"my.cfg:18: expected as many scales as steps \(2\), got 1"),
        ("momentum=0.8", "momentum=much", r"my.cfg:6: expected a number for 'momentum'"),
        ("[yolo]", "[dropout]", r"my.cfg: expected a \[yolo\] or \[detection\] section to train, got none"),
    ],
)
def test_settings_that_cannot_be_followed_are_refused_with_their_line(old, new, message):
    with pytest.raises(ValueError, match=message):
        recipe((NET + HEADS).replace(old, new))


def test_the_forks_resize_differently():
    assert resize_of(parse_cfg(text_of(YOLO))) == "stretch"  # scale_x_y
    assert resize_of(parse_cfg(text_of(YOLO.replace("scale_x_y=1.05", "")))) == "letterbox"
    assert resize_of(parse_cfg(text_of(YOLO).replace("[net]", "[net]\nletter_box=1"))) == "letterbox"


@needs_data
def test_darknets_own_cfg_files_have_recipes():
    full = recipe_of(read_cfg(DATA / "darknet" / "cfg" / "yolov3.cfg"))
    assert (full["learning_rate"], full["burn_in"], full["max_batches"]) == (0.001, 1000, 500_200)
    assert full["rate_steps"] == ((400_000, 0.1), (450_000, 0.1)) and full["placement"] == "fit"
    nano = recipe_of(read_cfg(next((DATA / "darknet" / "weights").glob("*coco.cfg"))))
    assert (nano["momentum"], nano["batch_size"], nano["accumulate"]) == (0.949, 64, 2)
    assert (nano["placement"], nano["jitter"], nano["multi_scale"]) == ("crop", 0.1, ())
