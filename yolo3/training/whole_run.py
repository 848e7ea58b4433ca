"""A training run from its options to its result: checks, folder, training; of the command and of Python alike."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo3.compilation import keep_compiled
from yolo3.datasets.finding_groups import finding_lines, group_findings
from yolo3.file_states import one_look
from yolo3.files import existing_parent
from yolo3.startup import check_tensorflow, start_tensorflow
from yolo3.temporary import temporary_path
from yolo3.training import run_folder
from yolo3.training.cluster import Task, check_same, task_of_environment
from yolo3.training.data_error import DataError
from yolo3.training.devices import build_strategy
from yolo3.training.image_lists import ImageLists
from yolo3.training.loggers import build_loggers, check_loggers
from yolo3.training.recipes import config_from, recipe_notes
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import MAY_MOVE, TrainConfig, format_config, paths_in
from yolo3.training.stopping import Stopped, StopRequest
from yolo3.training.timing import Timing

if TYPE_CHECKING:
    import keras

    from yolo3.datasets.annotation import Annotation
    from yolo3.training.preparation import Prepared
    from yolo3.training.result import Result

_OWN_FILES: dict[str, Any] = {"classes": None, "anchors": None, "cfg": None}  # a resumed run takes them from its folder

Bar = Callable[[], AbstractContextManager[Callable[[int, int], None] | None]]


@dataclass(frozen=True, eq=False)
class Checked:
    """Data that was checked, and no more.

    Args:
        prepared: The images, classes and findings.
        targets: File of the sheet of training targets.
    """

    prepared: Prepared
    targets: Path


def run_training(
    options: Mapping[str, Any],
    *,
    resume: str | None = None,
    check_only: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
    data_bar: Bar = contextlib.nullcontext,
    show_progress: bool = False,
    stop: StopRequest | None = None,
) -> Result | Checked:
    """Check the data and train a network on it, in a folder of the run's own.

    Args:
        options: Values by setting, without those that were not given, as :func:`yolo3.training.recipes.config_from`
            takes them; of a resumed run those in `MAY_CHANGE`.
        resume: Folder of the run to continue.
        check_only: Whether to check the data and draw a sheet of targets, and train nothing.
        callbacks: Keras callbacks, besides those of the trackers in the settings.
        say: Is called with each line of text for the user.
        data_bar: Returns a context whose value is called with the number of images checked and of all.
        show_progress: Whether progress bars of training are shown.
        stop: Whether the run has been asked to stop, from :func:`yolo3.training.stopping.stop_signals`.

    Returns:
        How the run ended; or with `check_only` what was checked.

    Raises:
        DataError: When the data cannot be used; the lines on what is wrong were said.
        OSError, ValueError: For files that cannot be read, settings that do not fit each other, and as
            :func:`yolo3.training.loop.train`.
        Stopped: When `stop` asks for it; once training has begun, how to go on was said.
    """
    timing, task = Timing(), task_of_environment()
    if not task.is_first:
        say, show_progress, callbacks = _nothing, False, ()
    config, folder = _begin(options, resume, check_only, say, task)
    try:
        if task.count > 1 and config.fit_batch:
            raise ValueError(f"batch_size: expected a number for {task.count} processes, got auto")
        with timing.phase("start"):
            check_loggers(config.log)
            keep_compiled()
            start_tensorflow()
            check_tensorflow()
            strategy = build_strategy(config.devices, task)
        with timing.phase("data"):
            lists = folder.image_lists() if resume is not None else None
            prepared = _prepare(config, folder, lists, keep=check_only, say=say, data_bar=data_bar)
        if check_only:
            return _check(config, folder, prepared, say)

        settings = format_config(dataclasses.replace(config, output=None, devices=None, **_OWN_FILES))
        check_same(strategy, task, settings=settings, train=_names(prepared.train), val=_names(prepared.val))
        if stop is not None and task.count > 1:
            stop.together = True
            stop.listen()  # TensorFlow has taken SIGTERM, to tell the other processes
        with timing.phase("start"):
            from yolo3.training.loop import train
        say(f"Run folder: {folder.path}")
        if resume is not None:
            folder.move_data(*(options.get(name) for name in MAY_MOVE))
        with _saying_how_to_go_on(folder, say), strategy.scope():
            return train(
                config,
                prepared,
                folder,
                resume=resume is not None,
                callbacks=[*(build_loggers(config, folder) if task.is_first else ()), *callbacks],
                say=say,
                show_progress=show_progress,
                stop=stop,
                timing=timing,
            )
    finally:
        folder.lock.release()
        if not task.is_first:
            shutil.rmtree(folder.path, ignore_errors=True)


def _begin(
    options: Mapping[str, Any], resume: str | None, check_only: bool, say: Callable[[str], None], task: Task
) -> tuple[TrainConfig, RunFolder]:
    """Return (settings, folder) of a run, whose lock is taken; arguments as of :func:`run_training`.

    Of several processes the first one has the folder of the run; the others write to temporary ones.
    """
    if not task.is_first:
        return _begin_beside(options, resume)
    if resume is not None:
        config, folder = resumed(resume, **options)
        _check_paths(config, folder.path)
        folder.take_lock()
        return config, folder
    config = config_from(options)
    for line in recipe_notes(options):
        say(line)
    output = options.get("output")  # as it was given, to be named so
    _check_paths(config, Path(output or "runs"))
    return config, run_folder.new_run_folder(output, "check" if check_only else "train")


def _begin_beside(options: Mapping[str, Any], resume: str | None) -> tuple[TrainConfig, RunFolder]:
    """Return (settings, temporary folder) of a process besides the first one, with a copy of what is resumed."""
    place = temporary_path(Path(tempfile.gettempdir(), "yolo3"))
    if resume is None:
        return config_from(options), RunFolder(place)
    shutil.copytree(resume, place, ignore=shutil.ignore_patterns(".*"))
    return resumed(str(place), **options)


def _names(annotations: Iterable[Annotation]) -> str:
    """Return the names of images, in their order."""
    return "\n".join(os.path.basename(annotation.image_path) for annotation in annotations)


def _nothing(line: str) -> None:
    """Say nothing."""


def _check(config: TrainConfig, folder: RunFolder, prepared: Prepared, say: Callable[[str], None]) -> Checked:
    """Try the weights on the network, draw the sheet of targets, and return what was checked."""
    from yolo3.training.run_images import write_targets_sheet

    if config.weights:
        from yolo3.training.pretrained import try_weights

        say(try_weights(config, prepared.architecture, prepared.class_names))
    path = folder.file(run_folder.TARGETS)
    write_targets_sheet(config, prepared, path)
    say(f"The data can be used. Training targets: {path}")
    return Checked(prepared, path)


@contextlib.contextmanager
def _saying_how_to_go_on(folder: RunFolder, say: Callable[[str], None]) -> Iterator[None]:
    """Say how to continue a run that is stopped within the block."""
    try:
        yield
    except Stopped as stopped:
        if folder.has_state():
            say(f"\nStopped by {stopped}. Continue with: yolo3 train --resume {folder.path}")
        else:
            say(f"\nStopped by {stopped} before the first step: there is nothing to continue.")
        stopped.told = True
        raise


def resumed(path: str, **changed: Any) -> tuple[TrainConfig, RunFolder]:
    """Return (settings, folder) of a run to continue: it takes class names, anchors and cfg from its own folder.

    Args:
        path: The folder.
        changed: Settings that are not what they were, of those in `MAY_CHANGE`.
    """
    config = run_folder.read_settings(path)
    folder = RunFolder(path)
    own = {"classes": run_folder.CLASSES, "anchors": run_folder.ANCHORS, "cfg": run_folder.CFG}
    files: dict[str, Any] = {name: str(folder.file(file)) for name, file in own.items() if folder.file(file).exists()}
    return dataclasses.replace(config, **files, **changed), folder


def _check_paths(config: TrainConfig, output: Path) -> None:
    """Raise `OSError` or `ValueError` now for files that would stop the run after its data was checked."""
    for name, path in paths_in(vars(config)).items():
        if name != "output":
            os.stat(path)
    parent = existing_parent(output)
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"{output}: expected a folder that can be written to, got {parent}")


def _prepare(
    config: TrainConfig,
    folder: RunFolder,
    lists: ImageLists | None,
    *,
    keep: bool,
    say: Callable[[str], None],
    data_bar: Bar,
) -> Prepared:
    """Return the checked data, after saying what is wrong with it and what was read.

    The findings are written to the folder if `keep`, and if the data is invalid and not all of them are listed; a run
    that begins writes them itself.
    """
    from yolo3.training.preparation import prepare

    kept = f"all in {folder.file(run_folder.FINDINGS)}"
    try:
        with one_look(), data_bar() as show:
            prepared = prepare(config, show, lists)
    except DataError as error:
        if keep or any(group.is_summed for group in group_findings(error.findings)):
            folder.keep_findings(error.findings)
        for line in [*finding_lines(error.findings, kept=kept), *error.notes]:
            say(line)
        raise

    if keep:
        folder.keep_findings(prepared.findings)
    for line in [*finding_lines(prepared.findings, kept=kept, error_word="skipped"), *prepared.notes]:
        say(line)
    return prepared
