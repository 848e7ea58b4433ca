"""The training loop: epochs, evaluations, what is shown and what is saved.

`train` does it all. A notebook can go step by step:

    run = build_run(config, prepare(config), RunFolder("runs/notebook"))
    checkpoint.begin(run)  # or checkpoint.resume(run)
    batches = open_batches(run, open_store(run))
    while not run.is_over:
        finish_epoch(run, train_epoch(run, batches))
    write_last_images(run)
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator

import keras
import tensorflow as tf

from yolo3.detections import Detections
from yolo3.evaluation.measures import Measures
from yolo3.evaluation.recall import RECALL_PROPOSALS
from yolo3.input.reading import unreadable_image
from yolo3.models.loading import load_weights_by_name
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training import checkpoint, run_folder
from yolo3.training.advice import run_advice, run_warnings
from yolo3.training.best_weights import CHOSEN_BY
from yolo3.training.epoch import loss_in_words, train_epoch
from yolo3.training.preparation import Prepared
from yolo3.training.result import Result
from yolo3.training.run import EpochProgress, Run, build_run, open_batches, open_store, update_inference_network
from yolo3.training.run_folder import RunFolder
from yolo3.training.run_images import objects_by_class, write_curves, write_images, write_run_report
from yolo3.training.settings import TrainConfig
from yolo3.training.stopping import Stopped, StopRequest
from yolo3.training.timing import Timing

_IMAGES = {
    "memory": "images kept in memory",
    "disk": "decoded images kept on disk",
    "none": "images decoded each time",
}


def train(
    config: TrainConfig,
    prepared: Prepared,
    folder: RunFolder,
    *,
    resume: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
    show_progress: bool = True,
    stop: StopRequest | None = None,
    timing: Timing | None = None,
) -> Result:
    """Train a network; weights, log and images are in the run's folder.

    Args:
        config: Settings.
        prepared: As `yolo3.training.preparation.prepare` returns it for `config`.
        folder: Where the run is written.
        resume: Whether to go on from the state in `folder`.
        callbacks: Keras callbacks, called for each epoch and each batch with the network that is trained. They may ask
            its layers for weights, but not for outputs (`yolo3.models.rewriting.pool_before_activation`).
        say: Is called with each line of text for the user.
        show_progress: Whether to show progress bars.
        stop: Whether the run has been asked to stop, from :func:`yolo3.training.stopping.stop_signals`.
        timing: Where the time went before.

    Raises:
        NotFiniteError: When the loss or a weight is no longer finite.
        Stopped: When `stop` asks for it; the state is saved then.
        ValueError: When memory does not suffice, TensorFlow cannot compute a step, or an image can no longer be read.
    """
    timing = timing or Timing()
    with folder.locked():
        with timing.phase("building"):
            run = build_run(
                config,
                prepared,
                folder,
                callbacks=callbacks,
                say=say,
                show_progress=show_progress,
                stop=stop,
                timing=timing,
            )
        return _train_locked(run, resume=resume)


def _train_locked(run: Run, *, resume: bool) -> Result:
    folder, say = run.folder, run.say
    try:
        with run.timing.phase("building"):
            if resume:
                checkpoint.resume(run)
                run.timing.add(folder.seconds())
            else:
                checkpoint.begin(run)
        with run.timing.phase("data"):
            store = open_store(run)
        say(_describe(run, _IMAGES[store.kept] + " at network size" * store.resized))
        batches = open_batches(run, store)

        run.callbacks.on_train_begin()
        run.last_saved = max(run.last_saved, time.perf_counter())
        with run.stop.deferring():
            _train_epochs(run, batches)
        folder.keep_seconds(run.timing.seconds)
        run.callbacks.on_train_end()
    except tf.errors.OpError as error:
        words = _in_words(run, error)
        if words is None:
            raise
        raise ValueError(words) from error
    finally:
        for failed in run.drawing.end():
            say(f"Not drawn: {failed}")
        folder.remove_decoded()

    evaluated = [row for row in folder.rows if "AP50" in row]
    last_row = (evaluated or folder.rows or [{}])[-1]
    return Result(
        folder,
        last_row,
        run.best_row,
        advice=tuple(run_advice(**_log(run))),
        num_val=len(run.prepared.val),
        seconds=dict(run.timing.seconds),
    )


def _train_epochs(run: Run, batches: Iterator) -> None:
    """Train and finish the epochs that are left, and draw; save the state when the run is asked to stop."""
    begun_at = run.epoch
    try:
        while not run.is_over:
            row = train_epoch(run, batches)
            finish_epoch(run, row)
            if getattr(run.trainer.network, "stop_training", False):
                run.say(f"Stopped after epoch {run.epoch} by a callback.")
                _save_all(run, row)
                break
        if run.stands:
            run.say(
                f"{CHOSEN_BY} has not risen in {run.config.patience} evaluations; ended after epoch {run.epoch} of "
                f"{run.plan.epochs}."
            )
        if run.epoch > begun_at or not run.folder.file(run_folder.REPORT).exists():
            with run.timing.phase("drawing"):
                write_last_images(run)
    except Stopped:
        checkpoint.save_state(run, always=True)
        raise


def finish_epoch(run: Run, row: dict) -> None:
    """Evaluate where it is due, log the epoch, save, and only then have the rest drawn (`yolo3.training.drawing`).

    After every epoch: a row of `log.csv`, and `state.npz` unless that would take more than a fiftieth of the time;
    when the run is over in any case. After an evaluation: before the state `last.h5`, and `best.h5` if AP is the best
    so far; after it `curves.png`, and with validation images `predictions.png`, `precision_recall.png` and
    `confusion.png` of the weights in `best.h5`, which are drawn anew when these are.

    Args:
        run: `run.epoch` is the epoch that ends; it goes up by one.
        row: From `train_epoch`; the figures of an evaluation are added to it.

    Raises:
        Stopped: When the run is asked to stop during the evaluation; the epoch is then finished when it is resumed.
    """
    folder = run.folder
    evaluates = run.plan.evaluates_after(run.epoch + 1)

    evaluation: tuple[list[Detections], Measures] | None = None
    if evaluates:
        with run.timing.phase("evaluation"):
            run.stop.check()
            update_inference_network(run)
            if run.validator:
                started = time.perf_counter()
                values, detections, measures = run.validator.run(run.stop.check)
                evaluation = detections, measures
                row |= values | {"validation_seconds": time.perf_counter() - started}

    run.epoch, run.progress = run.epoch + 1, EpochProgress()
    folder.log(row)
    run.say(_epoch_line(run, row))
    with run.timing.phase("saving"):
        if evaluates:
            checkpoint.save_weights(run, row)
        checkpoint.save_state(run, always=run.is_over)  # before anything is drawn: an image that fails must not cost it

    if evaluates:
        run.drawing.ask("curves", lambda: write_curves(folder))
    if evaluation and run.best_epoch == run.epoch:
        run.best_detections = evaluation[0]
        run.drawing.ask("images", functools.partial(_write_images, run, run.best_epoch, *evaluation))
    folder.keep_seconds(run.timing.seconds)
    if evaluation and not run.is_over:
        for rule, sentence in run_warnings(**_log(run)).items():
            if rule not in run.warned:
                run.say(f"  {sentence}")
            run.warned.add(rule)

    run.callbacks.on_epoch_end(run.epoch - 1, {name: value for name, value in row.items() if name != "epoch"})


def write_last_images(run: Run) -> None:
    """Write the report at the end of a run with validation images: that of the weights in `best.h5`.

    Where another process has evaluated these, they are evaluated again, and all that shows them is drawn anew.

    Raises:
        Stopped: When the run is asked to stop during that evaluation.
    """
    run.drawing.wait()
    if run.validator is None or not run.best_epoch:
        return
    if run.best_detections is None:
        load_weights_by_name(run.trainer.inference_network, run.folder.file(run_folder.BEST))
        _, detections, measures = run.validator.run(run.stop.check)
        run.best_detections = detections
        _write_images(run, run.best_epoch, detections, measures)

    write_run_report(
        run.folder,
        run.config,
        run.prepared,
        detections=run.best_detections,
        precision=run.trainer.precision,
        epoch=run.best_epoch,
    )


def _write_images(run: Run, epoch: int, detections: list[Detections], measures: Measures) -> None:
    """Draw what the weights in `best.h5`, those of an epoch, detect."""
    write_images(
        run.folder,
        run.prepared,
        measures=measures,
        detections=detections,
        callbacks=run.callbacks.callbacks,
        epoch=epoch,
    )


def _save_all(run: Run, row: dict) -> None:
    """Save weights and state after an epoch that did not save them itself."""
    if "AP50" not in row:
        update_inference_network(run)
        checkpoint.save_weights(run, row)
    checkpoint.save_state(run, always=True)


# Words


def _describe(run: Run, images: str) -> str:
    config, plan = run.config, run.plan
    height, width = config.input_size
    replicas = run.trainer.strategy.num_replicas_in_sync
    on = f" on {replicas} devices" if replicas > 1 else ""
    return (
        f"{os.path.basename(config.cfg) if config.cfg else run.architecture.name}, "
        f"{run.trainer.network.count_params():,} parameters, {len(run.prepared.class_names)} classes, "
        f"input {width}x{height}, {run.trainer.precision}{on}; {_epochs(plan.epochs)} of "
        f"{plan.steps_per_epoch} batches of {plan.batch_size}; {images}."
    )


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _epoch_line(run: Run, row: dict) -> str:
    line = f"epoch {row['epoch']:>3}/{run.plan.epochs}  {loss_in_words(row, run.architecture.terms)}"
    line += f"  {row['images_per_second']:.1f} img/s, {row['data_wait']:.0%} waiting for data"
    if "AP50" in row:
        line += f"  | validation loss {row['val_loss']:.2f}  AP50 {row['AP50']:.3f}  AP {row['AP']:.3f}"
        line += f"  recall@{RECALL_PROPOSALS} {row['recall']:.3f}" if "recall" in row else ""
    return line


def _log(run: Run) -> dict:
    """Return the arguments of the functions in `yolo3.training.advice`."""
    return {
        "rows": run.folder.rows,
        "objects": objects_by_class(run.prepared),
        "yolov3_terms": isinstance(run.architecture, YoloV3),
    }


def _in_words(run: Run, error: tf.errors.OpError) -> str | None:
    """Return what an error of TensorFlow means to the user; None for a fault of a program."""
    if image := unreadable_image(error):
        return (
            f"{image}; it was changed since it was checked: put it right, and continue with "
            f"yolo3 train --resume {run.folder.path}, which keeps the epochs that were saved"
        )
    if isinstance(error, (tf.errors.UnavailableError, tf.errors.AbortedError)):
        other = re.search(r"/job:(\w+)/replica:\d+/task:(\d+)", str(error))
        name = f"{other[1]} {other[2]}" if other else "another process"
        return f"{name} of the run has ended; start all of them again with --resume {run.folder.path}"
    first_line = str(error).strip().split("\n")[0][:300]
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return f"out of memory; lower --batch-size (auto finds what fits) or --input-size ({first_line})"
    if isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.NotFoundError)):
        return f"TensorFlow cannot compute this: {first_line}"
    return None
