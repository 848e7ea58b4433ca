"""Images of a run: a sheet of its targets; images and the report of its evaluations, for its folder and TensorBoard.

What draws charts imports matplotlib, which takes longer than the network to build: it is imported when they are drawn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolo3.datasets.images import read_image, write_image
from yolo3.detections import Detections
from yolo3.evaluation.advice import some_of
from yolo3.evaluation.measures import Measures, measure
from yolo3.input.batches import training_batches
from yolo3.input.image_cache import open_images
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training import run_folder
from yolo3.training.best_weights import CHOSEN_BY
from yolo3.training.preparation import Prepared
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import TrainConfig
from yolo3.visualize.sheets import draw_examples, draw_predictions, draw_targets

_IMAGES = (run_folder.PREDICTIONS, run_folder.PRECISION_RECALL, run_folder.CONFUSION)


def write_targets_sheet(config: TrainConfig, prepared: Prepared, path: str | os.PathLike, num_images: int = 12) -> None:
    """Draw training examples with the targets that the network is given for them.

    Args:
        config: Settings of the run.
        prepared: Its data and architecture.
        path: Image file to write.
        num_images: Examples to draw, at most.
    """
    architecture = prepared.architecture
    batches = training_batches(
        open_images(prepared.train, largest_side=max(config.input_size)),
        batch_size=min(num_images, len(prepared.train)),
        input_shape=config.input_size,
        stride=architecture.stride,
        augmentation=config.augment,
        seed=config.seed,
        epochs=range(1),
        resize=config.resize,
    )
    images, boxes, _ = next(iter(batches))

    if isinstance(architecture, YoloV3):
        targets, _ = architecture.build_targets(boxes, config.input_size)
        targets = [target.numpy() for target in targets]
        strides = [scale.stride for scale in architecture.scales]
        sheet = draw_targets(images.numpy(), targets, prepared.class_names, strides=strides)
    else:
        sheet = draw_examples(images.numpy(), boxes.numpy(), prepared.class_names)
    write_image(path, sheet)


def write_curves(folder: RunFolder) -> None:
    """Draw the course of a run from its log."""
    from yolo3.visualize.curves import draw_training_curves

    draw_training_curves(folder.file(run_folder.LOG), folder.file(run_folder.CURVES))


def write_images(
    folder: RunFolder,
    prepared: Prepared,
    *,
    measures: Measures,
    detections: Sequence[Detections],
    callbacks: Iterable[keras.callbacks.Callback],
    epoch: int,
) -> None:
    """Draw predictions, precision-recall curves and confusion matrix of the best weights, in place of the last ones.

    Args:
        folder: Of the run.
        prepared: Its data.
        measures: Figures of their evaluation.
        detections: In each validation image.
        callbacks: TensorBoard's gets the images too, under `images` in its folder.
        epoch: Number of the epoch, for TensorBoard.
    """
    from yolo3.visualize.curves import draw_confusion, draw_precision_recall

    names = prepared.class_names
    write_image(folder.file(run_folder.PREDICTIONS), draw_predictions(prepared.val, list(detections), names))
    curves = dict(zip(names, measures.fixed.curves, strict=True))
    draw_precision_recall(curves, folder.file(run_folder.PRECISION_RECALL))
    draw_confusion(measures.confusion, names, folder.file(run_folder.CONFUSION))

    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            writer = tf.summary.create_file_writer(str(Path(callback.log_dir) / "images"))
            with writer.as_default():
                for path in map(folder.file, _IMAGES):
                    tf.summary.image(path.stem, read_image(path)[None], epoch)
            writer.close()


def write_run_report(
    folder: RunFolder,
    config: TrainConfig,
    prepared: Prepared,
    *,
    detections: Sequence[Detections],
    precision: str,
    epoch: int,
) -> None:
    """Write the report of the weights that a run recommends.

    Args:
        folder: Of the run.
        config: Its settings.
        prepared: Its data.
        detections: In each validation image.
        precision: What the training step computed in.
        epoch: Whose weights they are.
    """
    from yolo3.evaluation.report import Subject, write_report

    boxes = sum(len(annotation.boxes) for annotation in prepared.train)
    epochs = folder.rows[-1]["epoch"] if folder.rows else config.epochs
    height, width = config.input_size
    facts = {
        "Network": prepared.architecture.name,
        "Classes": f"{len(prepared.class_names)}: {some_of(prepared.class_names)}",
        "Trained on": f"{len(prepared.train)} images with {boxes} boxes, {epochs} epochs",
        "Weights": f"{run_folder.BEST}: epoch {epoch}, whose {CHOSEN_BY} on these images is the highest",
    }
    settings = {
        "Network input": f"{width} x {height} pixels (width x height)",
        "Resize": config.resize,
        "Optimizer": f"{config.optimizer}, learning rate {config.learning_rate:g}, {config.schedule}",
        "Images per update": f"{config.batch_size * config.accumulate}",
        "Precision": precision,
        "Seed": str(config.seed),
    }
    subject = Subject(f"Training run {folder.path.name}", facts, settings)
    measures = measure(prepared.val, detections, prepared.class_names)
    write_report(folder.file(run_folder.REPORT), subject, measures, prepared.val, detections)


def objects_by_class(prepared: Prepared) -> dict[str, int]:
    """Return the number of boxes of each class that there are to train on."""
    ids = np.concatenate([annotation.class_ids for annotation in prepared.train] or [np.zeros(0, int)]).astype(int)
    counts = np.bincount(ids, minlength=len(prepared.class_names))
    return dict(zip(prepared.class_names, counts.tolist(), strict=True))
