"""The terms of the loss that steps return: read a step later, added up, and looked at for what is not finite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from yolo3.models.loss import loss_row
from yolo3.training.run import Run


class NotFiniteError(ValueError):
    """The loss or a weight became infinite or NaN."""


def read_terms(run: Run) -> None:
    """Add the terms of the last step to those of the epoch, unless they have been read; waits until it is computed.

    Raises:
        NotFiniteError: When one of them is not finite.
    """
    unread, run.unread = run.unread, None
    if unread is None:
        return
    values = {name: float(value) for name, value in unread.terms.items()}
    if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
        raise not_finite(run, ", ".join(wrong), unread.indices, unread.step)
    totals = run.progress.totals
    run.progress.totals = {name: totals.get(name, 0.0) + value for name, value in values.items()}


def mean_terms(run: Run) -> dict[str, float]:
    """Return the loss and its terms as means over the batches of the epoch whose terms were read; empty without any."""
    read = run.progress.batches - (run.unread is not None)
    if not read:
        return {}
    means = {name: total / read for name, total in run.progress.totals.items()}
    return loss_row(means, run.architecture.terms)


def not_finite(run: Run, wrong: str, indices: Any, step: int) -> NotFiniteError:
    """Return the error that says what is not finite since which step, and which images it saw.

    Args:
        run: The run.
        wrong: What is not finite.
        indices: Of the images in the batch, -1 for none, as `yolo3.input.batches.training_batches` yields them.
        step: Number of the step in the run, from 0.
    """
    here = np.concatenate([np.ravel(part) for part in run.trainer.strategy.experimental_local_results(indices)])
    names = sorted({run.prepared.train[index].image_path for index in here if index >= 0})
    return NotFiniteError(
        f"the loss is no longer finite at step {step + 1} ({wrong}); the batch held {', '.join(names)}; "
        f"{run.folder.path} keeps what was saved before; look at these images, or lower --learning-rate"
    )
