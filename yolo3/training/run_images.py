"""What a run shows of an evaluation: images and a page in its folder, the same images in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolo3.datasets.images import read_image, write_image
from yolo3.detections import Detections
from yolo3.evaluation.advice import some_of
from yolo3.evaluation.measures import Measures
from yolo3.evaluation.report import Subject, write_report
from yolo3.training import run_folder
from yolo3.training.preparation import Prepared
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import TrainConfig
from yolo3.visualize.curves import draw_confusion, draw_precision_recall
from yolo3.visualize.sheets import draw_predictions

_IMAGES = (run_folder.PREDICTIONS, run_folder.PRECISION_RECALL, run_folder.CONFUSION)


def write_images(
    folder: RunFolder, prepared: Prepared, measures: Measures, detections: Sequence[Detections],
    callbacks: Iterable[keras.callbacks.Callback], epoch: int,
) -> None:  # fmt: skip
    """Draw predictions, precision-recall curves and the confusion matrix of an evaluation, each replacing the last one.

    Where one of the callbacks is TensorBoard's, it gets them too.
    """
    names = prepared.class_names
    write_image(folder.file(run_folder.PREDICTIONS), draw_predictions(prepared.val, list(detections), names))
    curves = dict(zip(names, measures.fixed.curves, strict=True))
    draw_precision_recall(curves, folder.file(run_folder.PRECISION_RECALL))
    draw_confusion(measures.confusion, names, folder.file(run_folder.CONFUSION))
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            _show([folder.file(name) for name in _IMAGES], Path(callback.log_dir) / "images", epoch)


def _show(paths: Sequence[Path], log_folder: Path, epoch: int) -> None:
    writer = tf.summary.create_file_writer(str(log_folder))
    with writer.as_default():
        for path in paths:
            tf.summary.image(path.stem, read_image(path)[None], epoch)
    writer.close()


def write_run_report(
    folder: RunFolder, config: TrainConfig, prepared: Prepared, measures: Measures, detections: Sequence[Detections],
    precision: str,
) -> None:  # fmt: skip
    """Write the page of the run's last evaluation."""
    boxes = sum(len(annotation.boxes) for annotation in prepared.train)
    height, width = config.input_size
    facts = {
        "Network": prepared.architecture.name,
        "Classes": f"{len(prepared.class_names)}: {some_of(prepared.class_names)}",
        "Trained on": f"{len(prepared.train)} images with {boxes} boxes, {config.epochs} epochs",
    }
    settings = {
        "Network input": f"{width} x {height} pixels (width x height)",
        "Resize": config.resize,
        "Optimizer": f"{config.optimizer}, learning rate {config.learning_rate:g}, {config.schedule}",
        "Images a step": f"{config.batch_size * config.accumulate}",
        "Precision": precision,
        "Seed": str(config.seed),
    }
    subject = Subject(f"Training run {folder.path.name}", facts, settings)
    write_report(folder.file(run_folder.REPORT), subject, measures, prepared.val, detections)


def objects_by_class(prepared: Prepared) -> dict[str, int]:
    """Return how many boxes of each class there are to train on."""
    ids = np.concatenate([annotation.class_ids for annotation in prepared.train] or [np.zeros(0, int)]).astype(int)
    counts = np.bincount(ids, minlength=len(prepared.class_names))
    return dict(zip(prepared.class_names, counts.tolist(), strict=True))
