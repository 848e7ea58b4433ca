"""An epoch of a run: its steps, and what is shown of them.

On a GPU a step returns before it is computed. Its terms of the loss are read when the next step has begun, so that the
GPU never waits for Python in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from yolo3.compilation import seal_compiled
from yolo3.training import checkpoint
from yolo3.training.run import Run, UnreadTerms
from yolo3.training.step import ASKED
from yolo3.training.step_terms import mean_terms, not_finite, read_terms


def train_epoch(run: Run, batches: Iterator) -> dict:
    """Train on every image once, or on those that are left where a run is resumed within an epoch.

    Args:
        run: `run.epoch` is the epoch that begins, `run.progress` how far it has come.
        batches: From `yolo3.training.run.open_batches`.

    Returns:
        The epoch's row of the log: its number from 1, the loss and its terms, learning rate and timing.

    Raises:
        NotFiniteError: When a term of the loss, or a weight at the end of the epoch, is not finite.
        Stopped: When the run is asked to stop, between two steps.
    """
    _set_phase(run)
    run.callbacks.on_epoch_begin(run.epoch)
    plan, progress = run.plan, run.progress
    at_once = any(map(_hears_of_batches, run.callbacks.callbacks))
    start = time.perf_counter() - progress.seconds
    asked, indices = None, np.zeros((0, 4), np.int64)

    with _bar(run) as bar:
        for index in range(progress.batches, plan.steps_per_epoch):
            run.stop.check()
            images, boxes, indices = _next_batch(run, batches, index)
            step = run.epoch * plan.steps_per_epoch + index
            run.callbacks.on_train_batch_begin(index)
            results, former = _begin_step(run, images, boxes, step), asked
            asked = results.pop(ASKED, None)
            _read(run, former)
            run.unread = UnreadTerms(step, indices, results)
            progress.batches, progress.seconds = index + 1, time.perf_counter() - start
            if at_once:
                _read(run, None)
                run.callbacks.on_train_batch_end(index, {"loss": mean_terms(run)["loss"]})
            _show(run, bar)
            with run.timing.phase("saving"):
                checkpoint.save_state_within_epoch(run)
        _read(run, asked)
        progress.seconds = time.perf_counter() - start

    last_step = (run.epoch + 1) * plan.steps_per_epoch - 1
    if not run.trainer.is_finite():  # the last update may have corrupted them; the next loss would show it too late
        raise not_finite(run, "weights", indices, last_step)
    return {
        "epoch": run.epoch + 1,
        **mean_terms(run),
        "learning_rate": plan.learning_rate(last_step),
        "images_per_second": plan.steps_per_epoch * plan.batch_size / progress.seconds,
        "data_wait": progress.waited / progress.seconds,
    }


def _set_phase(run: Run) -> None:
    """Freeze or unfreeze the backbone where a phase of the run begins."""
    frozen = run.epoch < run.plan.frozen_epochs(pretrained=bool(run.loaded_layers))
    if frozen != run.trainer.frozen:
        run.trainer.set_frozen(frozen)
        run.say("Backbone frozen." if frozen else "Backbone unfrozen; training all layers.")


def _hears_of_batches(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback does something at the end of a batch, for which it may want the loss."""
    names = ("on_train_batch_end", "on_batch_end")
    return any(
        getattr(getattr(callback, name), "__func__", None) is not getattr(keras.callbacks.Callback, name)
        for name in names
    )


def _next_batch(run: Run, batches: Iterator, index: int) -> tuple:
    asked = time.perf_counter()
    with run.timing.phase("waiting"):
        batch = next(batches)
    run.progress.waited += time.perf_counter() - asked
    if run.statistics is not None:
        run.statistics.keep(run.epoch, index, batch[0])
    return batch


def _begin_step(run: Run, images: Any, boxes: Any, step: int) -> dict:
    """Return the results of a step, whose time counts as compilation where a graph was built for it."""
    started, graphs = time.perf_counter(), run.trainer.num_graphs
    asked = run.stop.number is not None if run.stop.together else None
    with run.timing.phase("steps"):
        results = run.trainer.train_step(images, boxes, run.plan.learning_rate(step), asked)
    if run.trainer.num_graphs > graphs:
        run.timing.move(time.perf_counter() - started, "steps", "compilation" if graphs else "first_step")
        seal_compiled()
    return results


def _read(run: Run, asked: Any) -> None:
    """Read what the last step found: its terms, and of several processes whether one was asked to stop (`asked`).

    All processes get here at the same steps, and so stop after the same one; the terms alone may be read before, as the
    process that saves the state does.
    """
    with run.timing.phase("steps"):
        read_terms(run)
        if asked is not None:
            run.stop.agreed = float(asked) > 0


def _bar(run: Run) -> tqdm:
    return tqdm(
        total=run.plan.steps_per_epoch,
        initial=run.progress.batches,
        desc=f"epoch {run.epoch + 1}/{run.plan.epochs}",
        unit="batch",
        disable=None if run.show_progress else True,  # None: shown on a terminal alone
        leave=False,
        dynamic_ncols=True,
    )


def _show(run: Run, bar: tqdm) -> None:
    """Show the means of the terms that have been read, and the speed."""
    progress = run.progress
    speed, waiting = progress.batches * run.plan.batch_size / progress.seconds, progress.waited / progress.seconds
    if means := mean_terms(run):
        words = f"{loss_in_words(means, run.architecture.terms)} {speed:.1f} img/s, data {waiting:.0%}"
        bar.set_postfix_str(words, refresh=False)
    bar.update()


def loss_in_words(row: dict, terms: Iterable[str]) -> str:
    """Return the loss and its terms, for a row of the log."""
    return f"loss {row['loss']:.2f} ({' '.join(f'{name} {row[name]:.2f}' for name in terms)})"
