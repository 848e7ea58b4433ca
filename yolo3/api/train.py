"""``yolo3.train``: annotated images in, a trained detector out, in one call."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from yolo3.arguments import Arguments
from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.progress import data_bar
from yolo3.training.data_error import DataError
from yolo3.training.recipes import RECIPES
from yolo3.training.result import Result
from yolo3.training.settings import MAY_CHANGE, TrainConfig
from yolo3.training.stopping import stop_signals
from yolo3.training.whole_run import Checked, run_training

if TYPE_CHECKING:
    import keras

_OWN = ("resume", "recipe", "pretrained", "check_only", "callbacks", "verbose")
ARGUMENTS = Arguments(
    "train", (TrainConfig, Augmentation, LossOptions), own=_OWN, valued=("resume", "recipe", "pretrained")
)


def train(
    data: str | os.PathLike | None = None,
    *,
    resume: str | os.PathLike | None = None,
    recipe: str = RECIPES[0],
    pretrained: str | None = None,
    check_only: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    verbose: bool = True,
    **settings: Any,
) -> Result | Checked:
    """Train a detector on annotated images, as ``yolo3 train`` does: the data is checked, and a run folder is written.

    Args:
        data: Annotations, a file or a folder, in any format that is read; the embedded rendered shapes if None.
        resume: Folder of a run to continue; of the settings it takes `data` and `val`, where these have moved, and
            `devices`.
        recipe: "darknet" trains as the [net] section of `cfg` says, except for settings that are given.
        pretrained: Name of the published network to start from, or "none" for random weights.
        check_only: Whether to check the data and draw a sheet of training targets, and train nothing.
        callbacks: Keras callbacks.
        verbose: Whether lines and, on a terminal, progress bars are shown.
        **settings: The options of ``yolo3 train`` with underscores: `model`, `epochs`, `batch_size`, `input_size`,
            `output`, ...; the fields of :class:`yolo3.training.settings.TrainConfig`,
            :class:`yolo3.input.settings.Augmentation` and
            :class:`yolo3.models.yolov3.loss_options.LossOptions`, with their defaults.

    Returns:
        :class:`yolo3.training.result.Result`: AP, weights, history, files; `.detector()` detects with the best
        weights. With `check_only` :class:`yolo3.training.whole_run.Checked`.

    Raises:
        yolo3.training.data_error.DataError: A `ValueError`, when the data cannot be used; `findings` says why.
        OSError: For files that cannot be read.
        TypeError: For an argument that there is not.
        ValueError: For settings that are out of range or do not fit each other.
        KeyboardInterrupt: When Ctrl-C stops the run; its state is saved, and `resume` goes on.

    Example:
        >>> result = yolo3.train("VOCdevkit/VOC2007", model="yolov3-tiny", epochs=60)
        >>> result.AP50, result.weights
        (0.915, PosixPath('runs/train-001/best.h5'))
        >>> result.detector()("dog.jpg").save("found.png")
    """
    given = dict(settings) if data is None else {"data": data, **settings}
    options = ARGUMENTS.checked(given)
    if resume is not None:
        fixed = [name for name in (*settings, "recipe", "pretrained") if name not in MAY_CHANGE]
        changed = {"recipe": recipe != RECIPES[0], "pretrained": pretrained is not None}
        for name in fixed:
            if changed.get(name, True):
                raise TypeError(f"train() takes no {name} with resume, only {', '.join(MAY_CHANGE)}")
    else:
        options |= {} if recipe == RECIPES[0] else {"recipe": recipe}
        options |= {} if pretrained is None else {"pretrained": pretrained}

    with ARGUMENTS.in_messages(), stop_signals() as stop:
        try:
            return run_training(
                options,
                resume=None if resume is None else os.fspath(resume),
                check_only=check_only,
                callbacks=callbacks,
                say=_say if verbose else lambda line: None,
                data_bar=data_bar if verbose else contextlib.nullcontext,
                show_progress=verbose,
                stop=stop,
            )
        except DataError as error:
            first = min(error.findings, key=lambda finding: finding.severity != "error", default=None)
            error.args = (f"{error}; the first: {first}" if first else str(error),)
            raise


def _say(line: str) -> None:
    """Print a line, with arguments in place of options, without breaking a progress bar."""
    from tqdm import tqdm

    tqdm.write(ARGUMENTS.words(line), file=sys.stdout)


def _signature() -> inspect.Signature:
    """Return the signature of `train` with every setting and its default, for `help` and completion."""
    own = [part for part in inspect.signature(train).parameters.values() if part.kind is not part.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    settings = [
        inspect.Parameter(name, keyword, default=default)
        for name, (default, _) in ARGUMENTS.settings.items()
        if name != "data"
    ]
    return inspect.Signature([*own, *settings])


train.__signature__ = _signature()  # type: ignore[attr-defined]
