"""Experiment trackers that a run reports to: Keras callbacks, whose packages are imported when they are used."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo3.files import replace_file

if TYPE_CHECKING:
    import keras

    from yolo3.training.run_folder import RunFolder
    from yolo3.training.settings import TrainConfig

PROJECT = "yolo3"  # of a tracker whose own environment variables name none


@dataclass(frozen=True)
class Logger:
    """A tracker that ``--log`` knows.

    Args:
        summary: What it is, in a few words for ``--help``.
        package: Package that it needs, which is also the name of the extra that installs it.
        build: Function (settings, folder of the run) that returns the Keras callback.
    """

    summary: str
    package: str
    build: Callable[[TrainConfig, RunFolder], keras.callbacks.Callback]


def check_loggers(names: Sequence[str]) -> None:
    """Raise `ValueError` if a tracker is not installed."""
    for name in names:
        package = LOGGERS[name].package
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"--log {name}: expected the package {package}, found none; pip install 'yolo3[{name}]'")


def build_loggers(config: TrainConfig, folder: RunFolder) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a run's trackers.

    Args:
        config: Its settings. With an empty `log`, TensorBoard is used if it is installed.
        folder: Its folder.

    Returns:
        One Keras callback per tracker.

    Raises:
        ValueError: If a tracker is not installed.
    """
    names = config.log or (["tensorboard"] if importlib.util.find_spec("tensorboard") else [])
    check_loggers(names)
    return [LOGGERS[name].build(config, folder) for name in dict.fromkeys(names)]


def _tensorboard(config: TrainConfig, folder: RunFolder) -> keras.callbacks.Callback:
    import keras

    return keras.callbacks.TensorBoard(str(folder.file("tensorboard")), write_graph=False)


def _wandb(config: TrainConfig, folder: RunFolder) -> keras.callbacks.Callback:
    """Return the callback of Weights & Biases; WANDB_PROJECT, WANDB_MODE and its other variables hold."""
    import keras
    import wandb

    class WandbLogger(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            known = _known_id(folder, "wandb")
            self.run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=folder.path.absolute().name,
                dir=folder.path,
                config=dataclasses.asdict(config),
                id=known,
                resume="allow" if known else None,
                settings=wandb.Settings(silent=True),
            )
            _keep_id(folder, "wandb", self.run.id)

        def on_epoch_end(self, epoch, logs=None):
            self.run.log(_figures(logs), step=epoch + 1)

        def on_train_end(self, logs=None):
            self.run.finish()

    return WandbLogger()


def _mlflow(config: TrainConfig, folder: RunFolder) -> keras.callbacks.Callback:
    """Return the callback of MLflow; MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and its other variables hold."""
    import keras
    import mlflow

    class MlflowLogger(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            if known := _known_id(folder, "mlflow"):
                mlflow.start_run(run_id=known)
                return
            if "MLFLOW_EXPERIMENT_NAME" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ:
                mlflow.set_experiment(PROJECT)
            run = mlflow.start_run(run_name=folder.path.absolute().name)
            mlflow.log_params({name: value for name, value in dataclasses.asdict(config).items() if value is not None})
            _keep_id(folder, "mlflow", run.info.run_id)

        def on_epoch_end(self, epoch, logs=None):
            mlflow.log_metrics(_figures(logs), step=epoch + 1)

        def on_train_end(self, logs=None):
            mlflow.end_run()

    return MlflowLogger()


def _figures(logs: dict[str, Any] | None) -> dict[str, float]:
    """Return the figures of an epoch that are numbers."""
    rows = (logs or {}).items()
    return {name: float(value) for name, value in rows if isinstance(value, (int, float)) and math.isfinite(value)}


def _known_id(folder: RunFolder, tracker: str) -> str | None:
    """Return the id under which a tracker knows this run, None before its start: a resumed run goes on there."""
    path = _id_file(folder, tracker)
    return path.read_text().strip() if path.exists() else None


def _keep_id(folder: RunFolder, tracker: str, run_id: str) -> None:
    replace_file(_id_file(folder, tracker), f"{run_id}\n")


def _id_file(folder: RunFolder, tracker: str) -> Path:
    return folder.file(f"{tracker}_run.txt")


LOGGERS = {
    "tensorboard": Logger("curves and images in the run folder", "tensorboard", _tensorboard),
    "wandb": Logger("Weights & Biases", "wandb", _wandb),
    "mlflow": Logger("MLflow", "mlflow", _mlflow),
}


def logger_summaries() -> dict[str, str]:
    """Return the names of ``--log``, and what each of them is in a few words."""
    return {name: logger.summary for name, logger in LOGGERS.items()}
