"""Experiment trackers, offline; those that are not installed skip."""

import math

import pytest

from yolo3.cli.main import main
from yolo3.cli.train import build_parser
from yolo3.training import loggers
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import TrainConfig, format_config, parse_config


def report_two_epochs(name, config, folder):
    """Report a run of two epochs, interrupted and resumed between them; the second one has no finite AP."""
    for epoch, figures in enumerate([{"loss": 5.0, "AP50": 0.25}, {"loss": 4.0, "AP50": math.nan}]):
        (callback,) = loggers.build_loggers(config, folder)
        callback.on_train_begin()
        callback.on_epoch_end(epoch, figures)
        callback.on_train_end()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "runs" / "train-007"
    path.mkdir(parents=True)
    return RunFolder(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the tracker and what it imports
def test_mlflow_gets_settings_and_figures_and_a_resumed_run_continues_in_its_run(folder, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.chdir(tmp_path)
    report_two_epochs("mlflow", TrainConfig(log=("mlflow",), epochs=2), folder)
    experiment = mlflow.get_experiment_by_name("yolo3")
    (run,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    assert run.info.run_name == "train-007" and run.info.status == "FINISHED"
    assert run.data.params["epochs"] == "2"
    assert run.data.metrics == {"loss": 4.0, "AP50": 0.25}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 5.0), (2, 4.0)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_writes_an_offline_run_into_the_run_folder(folder, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    report_two_epochs("wandb", TrainConfig(log=("wandb",), epochs=2), folder)
    known = (folder.path / "wandb_run.txt").read_text().strip()
    files = list((folder.path / "wandb").rglob("*.wandb"))
    assert files and {file.stem for file in files} == {f"run-{known}"}  # a resumed run has the same id


def test_a_tracker_that_is_not_installed_is_one_line_that_names_its_extra(monkeypatch, capsys):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    assert main(["train", "--log", "wandb"]) == 1
    error = capsys.readouterr().err
    assert error == "yolo3 train: --log wandb: expected the package wandb, found none; pip install 'yolo3[wandb]'\n"


def test_without_the_option_a_run_reports_to_tensorboard_only_where_it_is_installed(folder, monkeypatch):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    assert loggers.build_loggers(TrainConfig(), folder) == []
    with pytest.raises(ValueError, match="expected the package tensorboard"):
        loggers.build_loggers(TrainConfig(log=("tensorboard",)), folder)


def test_the_option_may_be_repeated_and_is_kept_with_the_settings():
    options = build_parser().parse_args(
        ["--log", "wandb", "--log", "mlflow", "--focal", "class", "--focal", "objectness"]
    )
    assert options.log == ["wandb", "mlflow"] and options.focal == ["class", "objectness"]
    config = TrainConfig(log=tuple(options.log))
    assert parse_config(format_config(config)) == config
    with pytest.raises(ValueError, match="log: expected one of tensorboard, wandb, mlflow, got 'comet'"):
        TrainConfig(log=("comet",))
