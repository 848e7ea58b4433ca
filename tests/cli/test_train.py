"""`yolo3 train`: every option changes the settings, mistakes end in a line, checking, resuming, the last words."""

import argparse
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from yolo3.cli.train import build_parser, config_from, main
from yolo3.input.settings import Augmentation
from yolo3.models.architecture import MODELS, WITHOUT_ANCHORS
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.preparation import choose_architecture
from yolo3.training.settings import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "model_data" / "tiny_yolo_anchors.txt")
FULL = str(ROOT / "model_data" / "yolo_anchors.txt")
# These say what to do, not how to train: tests of their own are below.
ACTIONS = {"help", "resume", "check_only", "cfg", "recipe"}
OF_A_RECIPE = {"cfg", "rate_steps", "max_batches", "burn_in_power"}  # a cfg says them
VALUES = {"input_size": "320 256", "anchor_mask": "3,4,5 1,2,3", "zoom": ".5 2", "mosaic_zoom": ".5 2"}
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
    return [flag, "7"] if action.type is int or action.type.__name__ in ("count", "from_zero") else [flag, "0.0625"]


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


def test_a_cfg_gives_the_size_of_the_input_and_with_the_recipe_the_rest(cfg_path):
    config = config_from({"cfg": cfg_path, "data": "/d"})
    assert (config.input_size, config.resize, config.epochs) == ((64, 96), "letterbox", 100)
    assert (config.optimizer, config.max_batches) == ("adam", None)
    config = config_from({"cfg": cfg_path, "data": "/d", "recipe": "darknet", "learning_rate": 0.5, "jitter": 0.1})
    assert (config.optimizer, config.batch_size, config.accumulate) == ("darknet", 4, 2)
    assert (config.max_batches, config.epochs, config.rate_steps) == (100, 0, ((60, 0.1), (80, 0.5)))
    assert (config.learning_rate, config.augment.jitter) == (0.5, 0.1)  # options count before the recipe


def test_a_cfg_without_data_is_trained_on_the_shapes_for_a_short_time(cfg_path):
    config = config_from({"cfg": cfg_path})
    assert (config.data, config.epochs, config.augment.mosaic, config.input_size) == (None, 12, 0.0, (64, 96))


def test_a_recipe_without_a_cfg_and_a_cfg_beside_a_model_are_refused(cfg_path, capsys):
    assert main(["--anchors", TINY, "--recipe", "darknet"]) == 1
    assert "--recipe darknet: expected --cfg FILE beside it" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--cfg", cfg_path, "--model", "yolov3"])
    assert "--model does not go with --cfg" in capsys.readouterr().err


@pytest.mark.parametrize("anchors, size, epochs", [(TINY, (192, 192), 12), (FULL, (128, 128), 7)])
def test_the_embedded_set_has_settings_of_its_own_that_options_override(anchors, size, epochs):
    config = config_from({"anchors": anchors})
    assert (config.input_size, config.epochs, config.augment.mosaic) == (size, epochs, 0.0)
    config = config_from({"anchors": anchors, "epochs": 3, "input_size": [64, 64], "mosaic": 0.25})
    assert (config.input_size, config.epochs, config.augment.mosaic) == ((64, 64), 3, 0.25)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_has_settings_for_the_embedded_set_that_it_can_train_with(model):
    given = {"model": model} | ({} if model in WITHOUT_ANCHORS else {"anchors": TINY if "tiny" in model else FULL})
    config = config_from(given)
    assert choose_architecture(config, 3).name == model
    assert config.epochs < TrainConfig(anchors="a.txt").epochs


def test_paths_become_absolute_so_that_a_run_is_resumed_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_from({"anchors": "a.txt", "data": "d", "output": "o"})
    assert (config.anchors, config.data, config.output) == tuple(str(tmp_path / name) for name in ("a.txt", "d", "o"))


# Mistakes


@pytest.mark.parametrize(
    "words, message",
    [
        (["--anchors", TINY, "--no-such-option", "1"], "unrecognized arguments: --no-such-option"),
        (["--anchors", TINY, "--optimizer", "adamw"], "invalid choice: 'adamw'"),
        (["--anchors", TINY, "--epochs", "0"], "expected a whole number above 0, got 0"),
        (["--anchors", TINY, "--jitter", "2"], "expected a number from 0 to 1, got 2"),
        (["--anchors", TINY, "--input-size", "100", "96"], "expected a multiple of 32, got 100"),
        (["--anchors", TINY, "--anchor-mask", "1,x"], "expected indices such as 3,4,5, got 1,x"),
        ([], "--anchors is required"),
        (["--resume", "runs/x", "--epochs", "3"], "--resume takes no other option"),
    ],
)
def test_a_wrong_option_exits_with_2(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def failure(capsys, *words):
    """Return what a command that ends with status 1 says on standard error: one line."""
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    return error


def test_files_that_are_missing_end_in_one_line(capsys, tmp_path, shapes_set):
    for data in ((), ("--data", shapes_set)):
        error = failure(capsys, "--anchors", str(tmp_path / "none.txt"), *data, "--output", str(tmp_path / "o"))
        assert error == f"yolo3 train: {tmp_path / 'none.txt'}: No such file or directory\n"
    assert "nowhere" in failure(capsys, "--anchors", TINY, "--data", str(tmp_path / "nowhere"))
    assert "settings.json" in failure(capsys, "--resume", str(tmp_path))


def test_bad_data_exits_with_1_and_lists_every_line(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), 128 + cv2.randn(cv2.UMat(60, 60, cv2.CV_8UC3), 0, 30).get())
    (tmp_path / "train.txt").write_text("a.png 1,1,30,30,0\nmissing.png 1,1,30,30,0\nb.png 5,5,5,30,0\n")
    words = ["--anchors", TINY, "--data", str(tmp_path / "train.txt"), "--output", str(tmp_path / "run")]
    assert main(words) == 1
    said = capsys.readouterr()
    for line in (2, 3):
        assert f"error: {tmp_path}/train.txt:{line}: " in said.out
    assert "--skip-bad" in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


# Runs


SMALL = ["--input-size", "64", "64", "--batch-size", "12", "--mosaic", "0", "--precision", "float32"]


def test_check_only_draws_the_targets_and_trains_nothing(capsys, tmp_path, shapes_set):
    run = tmp_path / "run"
    words = ["--anchors", TINY, "--data", shapes_set, *SMALL, "--output", str(run), "--check-only"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"The data can be used. What the network is taught: {run / 'targets.png'}" in said
    assert os.listdir(run) == ["targets.png"]
    assert cv2.imread(str(run / "targets.png")).shape[0] > 64


@pytest.fixture(scope="module")
def finished(slim_tiny, shapes_set, tmp_path_factory):
    """Folder and words of one epoch of the compiled step, of the tiny network with an eighth of its filters."""
    run = tmp_path_factory.mktemp("runs") / "run"
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        patch.setattr("yolo3.cli.train._say", lines.append)
        status = main(["--anchors", TINY, "--data", shapes_set, *SMALL, "--epochs", "1", "--output", str(run)])
    assert status == 0
    return run, "\n".join(lines)


def test_the_end_names_weights_curves_predictions_and_what_to_type_next(finished, shapes_set):
    run, said = finished
    end = said[said.index("Done.") :]
    assert "On 4 images it has not seen: AP50" in end
    for name in ("best.h5", "last.h5", "curves.png", "log.csv", "predictions.png"):
        assert str(run / name) in end and (run / name).is_file()
    assert f"yolo3 detect --weights {run / 'best.h5'} IMAGES_OR_FOLDERS" in end
    assert f"yolo3 evaluate --weights {run / 'best.h5'} --data {shapes_set} --list val" in end


def test_a_run_says_where_it_is_before_it_starts(finished):
    run, said = finished
    assert f"Run folder: {run}" in said[: said.index("epoch ")]
    assert "'train' to train, 'val' to validate" in said


def test_a_finished_run_is_not_overwritten_but_resumed(finished, capsys, shapes_set):
    run, _ = finished
    assert "resume it with --resume" in failure(capsys, "--anchors", TINY, "--data", shapes_set, "--output", str(run))
    before = (run / "best.h5").read_bytes()
    assert main(["--resume", str(run)]) == 0
    assert f"Resuming {run} after epoch 1 of 1." in capsys.readouterr().out
    assert (run / "best.h5").read_bytes() == before


def test_resuming_needs_neither_the_anchors_file_nor_the_names_it_began_with(finished):
    from yolo3.cli.train import _resumed

    config, folder = _resumed(str(finished[0]))
    assert config.anchors == str(finished[0] / "anchors.txt") and config.classes == str(finished[0] / "classes.txt")


@pytest.mark.slow
def test_the_script_trains_and_its_weights_open_with_keras_alone(tmp_path, shapes_set):
    words = ["--anchors", TINY, "--epochs", "1", "--data", shapes_set, *SMALL, "--output", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Done." in done.stdout and "Traceback" not in done.stderr
    best = str(tmp_path / "run" / "best.h5")
    code = f"import keras; print(keras.models.load_model({best!r}).count_params())"
    opened = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    # 8,858,734 for 80 classes, less what 77 classes fewer take: 2 outputs of 3 x 77 = 231 channels on 512 and 256, and
    # their biases: 231 x (512 + 1 + 256 + 1) = 177,870.
    assert opened.stdout.strip() == str(8_858_734 - 177_870), opened.stderr


def test_tensorboard_gets_its_curves_where_it_is_installed(finished):
    pytest.importorskip("tensorboard")
    run, _ = finished
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))


def test_a_list_to_validate_on_needs_one_to_train_on(shapes_set, capsys):
    assert main(["--anchors", TINY, "--data", shapes_set, "--val-list", "val", "--check-only"]) == 1
    assert "--val-list val needs --train-list, or it would be trained on; lists: train, val" in capsys.readouterr().err
