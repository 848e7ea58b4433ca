"""What a run saves and how it is resumed: pretrained weights, `best.h5`, `last.h5`, and the state that resuming needs.

The state holds the weights, the optimizer, the log, and how far the present epoch has come. It needs no random state:
all that is drawn at random for a batch depends only on the seed, the epoch and its place there (`yolo3.input.batches`).
`yolo3.training.loop.finish_epoch` says when each file is written.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time

from yolo3.files import free_bytes, replace_bytes
from yolo3.models.saving import file_bytes, save_model
from yolo3.records import build_record
from yolo3.training import run_folder
from yolo3.training.best_weights import epoch_of_highest_ap50, is_better
from yolo3.training.data_summary import DataSummary, summarize
from yolo3.training.preparation import with_network
from yolo3.training.pretrained import load_pretrained
from yolo3.training.run import EpochProgress, Run
from yolo3.training.settings import paths_in
from yolo3.training.step_terms import read_terms
from yolo3.training.trained_images import trained_images

_DRAWN_BYTES = 20_000_000  # of curves, sheets of predictions and the report, at most about
_FILES = (run_folder.STATE, run_folder.BEST, run_folder.LAST)
_SAVING_SHARE = 0.02  # of the time, at most, is spent on writing the state


def begin(run: Run) -> None:
    """Load the pretrained weights if the settings name any, and write the settings and data of the run to its folder.

    Args:
        run: As `yolo3.training.run.build_run` returns it.

    Raises:
        ValueError: When the weights do not fit the network.
    """
    config, prepared = run.config, run.prepared
    if config.weights:
        taken = load_pretrained(run.trainer, config.weights, prepared.class_names, config.cfg)
        run.loaded_layers = taken.loaded
        run.say(taken.describe(config.weights, run.trainer.network))

    check_room(run)
    cfg = getattr(prepared.architecture, "cfg", None)
    run.folder.start(
        with_network(config, prepared.architecture),
        class_names=prepared.class_names,
        anchors=prepared.anchors,
        findings=prepared.findings,
        lists=prepared.lists,
        data=summarize_data(run),
        cfg=cfg,
    )


def resume(run: Run) -> None:
    """Continue a run where its state was last saved; a run without a state starts from the beginning.

    Args:
        run: As `yolo3.training.run.build_run` returns it, with the settings that the folder holds.

    Raises:
        ValueError: When the state is damaged, or is that of another network.
    """
    if not run.folder.has_state():
        run.say(f"{run.folder.path}: no state was saved; starting from the beginning.")
        return begin(run)
    run.folder.remove_leftovers()
    if run.folder.image_lists() is None:
        run.say(f"{run.folder.path}: kept no lists of images; validation images that were drawn are drawn anew.")
        run.folder.keep_lists(run.prepared.lists)
    arrays, progress = run.folder.load_state()
    try:
        run.trainer.set_state(arrays)
        progress.pop("best_ap50", None)  # earlier versions, which chose the best weights by it
        state = build_record(_State, progress)
    except ValueError as error:
        raise ValueError(f"{run.folder.file(run_folder.STATE)}: {error}") from error
    run.epoch, run.loaded_layers = state.epoch, list(state.taken)
    rows = run.folder.rows
    run.best_epoch = epoch_of_highest_ap50(rows) if state.best_epoch is None else state.best_epoch
    run.progress = dataclasses.replace(state.progress, totals=dict(state.progress.totals))
    place = f"epoch {run.epoch} of {run.plan.epochs}"
    if run.progress.batches:
        batches = f"batch {run.progress.batches} of {run.plan.steps_per_epoch}"
        place = f"{batches} in epoch {run.epoch + 1} of {run.plan.epochs}"
    run.say(f"Resuming {run.folder.path} after {place}.")


def summarize_data(run: Run) -> DataSummary:
    """Return the summary of the images and boxes that a run has."""
    return DataSummary(train=summarize(run.prepared.train), val=summarize(run.prepared.val))


def check_room(run: Run) -> None:
    """Check before the first step that the disk holds all that a run will write.

    A new file is written beside the old one before it takes its place: there are two states and three files of weights.

    Raises:
        ValueError: When there is too little room.
    """
    state, weights = run.trainer.state_bytes(), file_bytes(run.trainer.inference_network)
    needed = 2 * state + 3 * weights + _DRAWN_BYTES
    there = sum(path.stat().st_size for name in _FILES if (path := run.folder.file(name)).is_file())
    free = free_bytes(run.folder.path) + there
    if needed > free:
        raise ValueError(
            f"{run.folder.path}: expected room for {needed / 1e6:,.0f} MB of state, weights and images, got "
            f"{free / 1e6:,.0f} MB; free some, or train in a folder on another disk (--output)"
        )


@dataclasses.dataclass(frozen=True)
class _State:
    """What the state holds beside arrays and the log; earlier versions saved after whole epochs only.

    They chose the best weights by AP50, and kept no `best_epoch`.
    """

    epoch: int
    best_epoch: int | None = None
    taken: tuple[str, ...] = ()
    progress: EpochProgress = dataclasses.field(default_factory=EpochProgress)


def save_state(run: Run, *, always: bool = False) -> None:
    """Write what resuming needs; unless `always`, seldom enough to take at most a fiftieth of the time.

    Raises:
        NotFiniteError: When a term of the last step is not finite; the state stays that of before.
    """
    now = time.perf_counter()
    if not always and now - run.last_saved < run.seconds_saving / _SAVING_SHARE:
        return
    read_terms(run)
    progress = {
        "epoch": run.epoch,
        "best_epoch": run.best_epoch,
        "taken": run.loaded_layers,
        "progress": dataclasses.asdict(run.progress),
    }
    with run.stop.while_saving():
        run.folder.save_state(run.trainer.state(), progress)
    run.last_saved = time.perf_counter()
    run.seconds_saving = run.last_saved - now


def save_state_within_epoch(run: Run) -> None:
    """Write what resuming needs if the last time was `save_minutes` ago or more."""
    if time.perf_counter() - run.last_saved >= 60 * run.config.save_minutes:
        save_state(run)


def save_weights(run: Run, row: dict) -> None:
    """Write `last.h5`, and `best.h5` if AP is the best so far; without validation the last weights are the best.

    Args:
        run: Its inference network is saved; `run.best_epoch` becomes the epoch if its weights are the best.
        row: The epoch's row of the log.
    """
    metadata = weights_metadata(run, row)
    save_model(run.trainer.inference_network, run.folder.file(run_folder.LAST), metadata)
    if is_better(row, run.best_row):
        run.best_epoch = row["epoch"]
        replace_bytes(run.folder.file(run_folder.BEST), run.folder.file(run_folder.LAST).read_bytes())


def weights_metadata(run: Run, row: dict) -> dict:
    """Return the metadata of saved weights: see `yolo3.models.saving`.

    Of paths in the settings only the file names are kept: weights are shared, but where they were trained is private.

    Args:
        run: Whose weights they are.
        row: The epoch's row of the log.
    """
    config, prepared = run.config, run.prepared
    settings = dataclasses.asdict(config)
    settings |= {name: os.path.basename(path) for name, path in paths_in(settings).items()}
    scores = {name: row.get(name, math.nan) for name in ("AP50", "AP")}
    return {
        **prepared.architecture.metadata(),
        "class_names": list(prepared.class_names),
        "input_shape": list(config.input_size),
        "resize": config.resize,
        "training": {
            "settings": settings,
            "epoch": row["epoch"],
            **{name: None if math.isnan(score) else score for name, score in scores.items()},
            "images": trained_images(prepared.train_digests),
        },
    }
