"""`yolo3.train`: the command's run, as one call."""

import inspect
import math

import numpy as np
import pytest

import yolo3
from yolo3.api.train import train
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, read_anchors
from yolo3.training.data_error import DataError
from yolo3.training.settings import TrainConfig
from yolo3.training.whole_run import resumed

SMALL = {"input_size": (64, 64), "batch_size": 12, "mosaic": 0, "precision": "float32", "pretrained": "none"}


def test_help_shows_every_setting_with_the_default_of_its_record():
    assert yolo3.train is train
    shown = inspect.signature(train).parameters
    assert shown["epochs"].default == TrainConfig.epochs and shown["mosaic"].default == 0.5
    assert list(shown)[0] == "data" and "settings" not in shown


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "epochs: expected a whole number above 0, got 0"),
        ({"optimizer": "adamw"}, "optimizer: expected one of adam, sgd, darknet, got 'adamw'"),
        ({"recipe": "darknet"}, "recipe='darknet': expected cfg=FILE with it, which holds the recipe"),
        ({"val_list": "val"}, "val_list val needs train_list, or it would be trained on; lists: train, val"),
    ],
)
def test_errors_name_arguments(arguments, message, shapes_set, tmp_path):
    with pytest.raises(ValueError) as caught:
        train(shapes_set, output=tmp_path / "run", **arguments)
    assert str(caught.value).endswith(message) and not (tmp_path / "run").exists()


def test_resuming_takes_only_where_the_data_is_now(tmp_path):
    with pytest.raises(TypeError, match="train.. takes no epochs with resume, only data, val, devices"):
        train(resume=tmp_path, epochs=3)
    with pytest.raises(ValueError, match="expected the folder of a run with settings.json"):
        train(resume=tmp_path)


def test_bad_data_raises_with_its_findings_after_they_are_printed(tmp_path, capsys):
    (tmp_path / "train.txt").write_text("missing.png 1,1,30,30,0\n")
    with pytest.raises(DataError) as caught:
        train(tmp_path / "train.txt", output=tmp_path / "run")
    assert "skip them with skip_bad=True" in str(caught.value) and caught.value.findings
    assert "error: " in capsys.readouterr().out
    with pytest.raises(DataError, match="the first: .*train.txt:1: "):
        train(tmp_path / "train.txt", output=tmp_path / "run", verbose=False)
    assert capsys.readouterr().out == ""


def test_another_backend_of_keras_is_refused_in_one_line(tmp_path, shapes_set, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="^expected Keras' backend tensorflow, got jax; .*YoloV3Detector"):
        train(shapes_set, output=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_check_only_returns_the_checked_data(tmp_path, shapes_set, capsys):
    checked = train(shapes_set, check_only=True, output=tmp_path / "run", **SMALL)
    assert checked.targets.is_file() and len(checked.prepared.train) == 12
    assert "No model given: training yolov3-tiny" in capsys.readouterr().out


def test_one_call_trains_and_says_what_came_out(slim_tiny, eagerly, tmp_path, shapes_set, capsys):
    seen = []
    import keras

    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    result = train(
        shapes_set, model="yolov3-tiny", epochs=1, output=tmp_path / "run", callbacks=[callback], verbose=False, **SMALL
    )
    assert capsys.readouterr().out == "" and seen == [0]
    assert result.path == tmp_path / "run" and result.weights.is_file() and result.last_weights.is_file()
    assert {"log", "curves", "predictions", "settings", "classes"} <= result.files.keys()
    assert result.history["epoch"] == [1] and result.history["AP50"] == [result.AP50]
    assert not math.isnan(result.AP) and str(result.weights) in repr(result)
    assert result.detector().class_names == (tmp_path / "run" / "classes.txt").read_text().split()

    again = train(resume=result.path, verbose=False)
    assert again.last_row == result.last_row


def test_anchors_are_clustered_by_a_word_and_a_resumed_run_takes_them_from_its_folder(
    slim_tiny, eagerly, tmp_path, shapes_set, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where no file has the name of the word
    result = train(shapes_set, anchors="auto", epochs=1, output="run", **SMALL)
    assert "Anchors clustered on" in capsys.readouterr().out
    anchors = read_anchors(result.path / "anchors.txt")
    assert anchors.shape == (6, 2) and not np.array_equal(anchors, DEFAULT_TINY_ANCHORS)
    np.testing.assert_array_equal(read_metadata(result.weights)["anchors"], anchors)
    assert read_metadata(result.weights)["training"]["settings"]["anchors"] == "auto"

    config, _ = resumed(str(result.path))
    assert config.anchors == str(result.path / "anchors.txt")
    train(resume=result.path)
    assert "Anchors clustered on" not in capsys.readouterr().out
