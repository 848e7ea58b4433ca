"""From options to the settings of a run: every option changes its setting; a cfg and the embedded set add the rest."""

import argparse
import dataclasses
from pathlib import Path

import pytest

from yolo3.cli.train import build_parser
from yolo3.darknet.cfg import read_cfg
from yolo3.input.settings import Augmentation
from yolo3.models.published import PUBLISHED
from yolo3.models.registry import MODELS
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training import recipes
from yolo3.training.preparation import choose_architecture
from yolo3.training.recipes import config_from
from yolo3.training.settings import DEFAULT_EPOCHS, TrainConfig

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "model_data" / "tiny_yolo_anchors.txt")
FULL = str(ROOT / "model_data" / "yolo_anchors.txt")

# These say what to do, not how to train: tests of their own are below.
ACTIONS = {"help", "resume", "check_only", "cfg", "recipe", "pretrained"}
OF_A_RECIPE = {"fit_batch", "cfg", "class_scale", "rate_steps", "max_batches", "burn_in_power"}  # a cfg says them
VALUES = {
    "devices": "cpu",
    "input_size": "320 256",
    "anchor_mask": "3,4,5 1,2,3",
    "zoom": ".5 2",
    "mosaic_zoom": ".5 2",
}
VALUES |= {"saturation": "2", "exposure": "2", "model_options": "grid_size=9"}
RECORDS = {"augment": Augmentation, "loss": LossOptions}  # settings within the settings


def options():
    return [action for action in build_parser()._actions if action.dest not in ACTIONS]


def words_of(action: argparse.Action, default) -> list[str]:
    """An option with a value that is not its default, as it is typed."""
    flag = action.option_strings[-1]
    if action.nargs == 0:
        return [flag]
    if action.choices:
        return [flag, next(choice for choice in action.choices if choice != default)]
    if action.dest in VALUES:
        return [flag, *VALUES[action.dest].split()]
    if action.type is None:
        return [flag, f"some_{action.dest}"]
    return [flag, "7" if action.metavar in ("N", "UPDATES", "EPOCHS") else "0.0625"]


def flat(settings: dict) -> dict:
    """Settings with those of the records within them on one level."""
    records = [settings.pop(name) for name in RECORDS]
    return {name: value for part in (settings, *records) for name, value in part.items()}


def default_of(name):
    kinds = (TrainConfig, *RECORDS.values())
    return next(field.default for kind in kinds for field in dataclasses.fields(kind) if field.name == name)


@pytest.mark.parametrize("action", options(), ids=lambda action: action.dest)
def test_every_option_changes_its_setting_and_no_other(action):
    given = [] if action.dest == "data" else ["--data", "some_data"]
    base = {"anchors": "a.txt", "data": "some_data"}
    parsed = vars(build_parser().parse_args([*given, *words_of(action, default_of(action.dest))]))
    plain, changed = (dataclasses.asdict(config_from(settings)) for settings in (base, base | parsed))
    if action.dest == "data":
        plain["data"] = None  # without it the embedded set is used, with settings of its own
    before, after = map(flat, (plain, changed))
    assert [name for name in before if before[name] != after[name]] == [action.dest]


def test_every_setting_has_an_option():
    settings = {field.name for kind in (TrainConfig, *RECORDS.values()) for field in dataclasses.fields(kind)}
    assert settings - set(RECORDS) - OF_A_RECIPE == {action.dest for action in options()}


def test_options_that_are_not_given_leave_the_defaults():
    assert config_from({"anchors": "/a.txt", "data": "/d"}) == TrainConfig(anchors="/a.txt", data="/d")


CFG = """[net]
width=96
height=64
batch=8
subdivisions=2
max_batches=100
policy=steps
steps=60,80
scales=.1,.5
burn_in=10
[convolutional]
filters=18
stride=32
[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
num=3
classes=1
jitter=.2
"""


@pytest.fixture
def cfg_path(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text(CFG)
    return str(path)


def test_a_cfg_gives_the_input_size_and_with_the_recipe_the_rest(cfg_path):
    config = config_from({"cfg": cfg_path, "data": "/d"})
    assert (config.input_size, config.resize, config.epochs) == ((64, 96), "letterbox", None)
    assert (config.optimizer, config.max_batches) == ("adam", None)
    config = config_from({"cfg": cfg_path, "data": "/d", "recipe": "darknet", "learning_rate": 0.5, "jitter": 0.1})
    assert (config.optimizer, config.batch_size, config.accumulate) == ("darknet", 4, 2)
    assert (config.max_batches, config.epochs, config.rate_steps) == (100, 0, ((60, 0.1), (80, 0.5)))
    assert (config.learning_rate, config.augment.jitter) == (0.5, 0.1)  # options count before the recipe


def test_a_cfg_without_data_is_trained_on_the_shapes_for_a_short_time(cfg_path):
    config = config_from({"cfg": cfg_path})
    assert (config.data, config.epochs, config.augment.mosaic, config.input_size) == (None, 12, 0.0, (64, 96))


@pytest.mark.parametrize("anchors, size, epochs", [(TINY, (192, 192), 12), (FULL, (128, 128), 7)])
def test_the_embedded_set_has_settings_of_its_own_that_options_override(anchors, size, epochs):
    config = config_from({"anchors": anchors})
    assert (config.input_size, config.epochs, config.augment.mosaic) == (size, epochs, 0.0)
    config = config_from({"anchors": anchors, "epochs": 3, "input_size": [64, 64], "mosaic": 0.25})
    assert (config.input_size, config.epochs, config.augment.mosaic) == ((64, 64), 3, 0.25)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_has_settings_for_the_embedded_set_that_it_can_train_with(model):
    config = config_from({"model": model})
    assert choose_architecture(config, 3).name == model
    assert config.epochs < DEFAULT_EPOCHS


def test_nothing_at_all_trains_the_tiny_network_on_the_shapes_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no model_data
    config = config_from({})
    assert (config.data, config.input_size, config.epochs) == (None, (192, 192), 12)
    assert choose_architecture(config, 3).name == "yolov3-tiny"


def test_nine_anchors_still_mean_the_full_network():
    assert choose_architecture(config_from({"anchors": FULL}), 3).name == "yolov3"
    assert choose_architecture(config_from({"anchors": FULL, "data": "d"}), 3).name == "yolov3"


def test_paths_become_absolute_so_that_a_run_is_resumed_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_from({"anchors": "a.txt", "data": "d", "output": "o"})
    assert (config.anchors, config.data, config.output) == tuple(str(tmp_path / name) for name in ("a.txt", "d", "o"))


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """The folder of published files, with the published tiny network, its weights cut to nothing."""
    published = tmp_path / "published"
    published.mkdir()
    monkeypatch.setenv("YOLO3_WEIGHTS", str(published))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entry = PUBLISHED["yolov3-tiny"]
    heads = "".join(f"[yolo]\nmask={mask}\n" for mask in ("3,4,5", "0,1,2"))
    content = f"[net]\nwidth=416\nheight=416\n{heads}#"
    (published / entry.cfg.name).write_text(content.ljust(entry.cfg.size, "#"))
    with open(published / entry.weights.name, "wb") as file:
        file.truncate(entry.weights.size)
    return published


def test_training_on_data_starts_from_the_published_network_that_is_at_hand(at_hand):
    config = config_from({"data": "d"})
    assert config.weights == str(at_hand / "yolov3-tiny.weights") and config.model is None
    masks = [section.text("mask") for section in read_cfg(config.cfg).layers if section.name == "yolo"]
    assert masks == ["3,4,5", "1,2,3"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data": "d", "pretrained": "none"},
        {"data": "d", "model": "yolov3"},
        {"data": "d", "anchors": FULL},
        {"data": "d", "anchor_mask": [(3, 4, 5), (0, 1, 2)]},
    ],
)
def test_a_run_starts_from_random_weights_otherwise(at_hand, options):
    config = config_from(options)
    assert config.weights is None and config.cfg is None


def test_a_published_network_is_asked_for_by_name(at_hand):
    assert config_from({"pretrained": "yolov3-tiny"}).weights == str(at_hand / "yolov3-tiny.weights")
    own = config_from({"data": "d", "pretrained": "yolov3-tiny", "cfg": str(at_hand / "yolov3-tiny.cfg")})
    assert own.cfg == str(at_hand / "yolov3-tiny.cfg")


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"data": "d"}, 0.003),
        ({"pretrained": "yolov3-tiny"}, 0.003),
        ({"data": "d", "optimizer": "adam"}, 0.003),
        ({"data": "d", "learning_rate": 0.001}, 0.001),
        ({"data": "d", "optimizer": "sgd"}, 0.001),
        ({"data": "d", "pretrained": "yolov3-tiny", "recipe": "darknet"}, 0.0005),
        ({"data": "d", "pretrained": "none"}, 0.001),
    ],
)
def test_a_start_from_a_published_network_has_its_own_learning_rate(at_hand, options, rate, monkeypatch):
    monkeypatch.setattr(
        recipes, "_cfg_recipe", lambda path, recipe: {"learning_rate": 5e-4} if recipe == "darknet" else {}
    )
    assert config_from(options).learning_rate == rate


@pytest.mark.parametrize("other", [{"weights": "w.h5"}, {"model": "yolov3"}])
def test_a_published_network_does_not_go_with_another(at_hand, other):
    with pytest.raises(ValueError, match="--pretrained yolov3-tiny: expected no --"):
        config_from({"data": "d", "pretrained": "yolov3-tiny", **other})


def test_the_full_network_has_darknets_loss_on_the_embedded_set_unless_told_otherwise():
    loss = config_from({"anchors": FULL}).loss
    assert (loss.box_loss, loss.box_weight, loss.learns_overlap) == ("xywh", 1, False)
    loss = config_from({"anchors": FULL, "box_loss": "giou", "objectness_target": "iou"}).loss
    assert (loss.box_loss, loss.box_weight, loss.learns_overlap) == ("giou", 5, True)
    assert config_from({"anchors": TINY}).loss == LossOptions()
