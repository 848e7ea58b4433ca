"""``yolo3 train`` and ``python train.py``: annotated images in, a trained detector out."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo3.cli.options import add_settings
from yolo3.cli.progress import data_bar
from yolo3.cli.recipes import RANDOM_WEIGHTS, RECIPES, config_from
from yolo3.cli.running import run_command, start_tensorflow
from yolo3.file_states import one_look
from yolo3.files import existing_parent
from yolo3.input.settings import Augmentation
from yolo3.models.published import PUBLISHED, describe_published
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.loggers import build_loggers, check_loggers
from yolo3.training.settings import PATHS, TrainConfig
from yolo3.training.stopping import Stopped, StopRequest, stop_signals


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command; options that are not given are not in its namespace."""
    parser = argparse.ArgumentParser(
        prog="yolo3 train",
        description="Train a detector on annotated images; --data alone is enough. Without --data it trains on an "
        "embedded data set of rendered shapes, with a short recipe.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue the run in this folder; of the other options it takes --data and --val, for data that has moved",
    )
    parser.add_argument("--check-only", action="store_true", help="check the data, draw a sheet of targets, and stop")
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help="darknet: train as the [net] section of --cfg says, except for options that are given "
        f"(default: {RECIPES[0]})",
    )

    parser.add_argument(
        "--pretrained",
        choices=(*PUBLISHED, RANDOM_WEIGHTS),
        help="published network to start from, fetched if it is not at hand: "
        + "; ".join(f"{name}: {text}" for name, text in describe_published().items())
        + f"; {RANDOM_WEIGHTS}: random weights (default with --data: that of the network, if it is at hand)",
    )

    for record in (TrainConfig, LossOptions, Augmentation):
        add_settings(parser, record)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 after a user's mistake; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    if "resume" in options and set(options) - {"resume", "data", "val"}:
        parser.error("--resume takes no other option but --data and --val, for data that has moved")
    for other in ("model", "anchor_mask"):
        if "cfg" in options and other in options:
            parser.error(f"--{other.replace('_', '-')} does not go with --cfg, which defines its own")
    return run_command("yolo3 train", lambda: _run(options))


def _run(options: dict[str, Any]) -> int:
    resume, check_only = options.pop("resume", None), options.pop("check_only", False)
    from yolo3.training import run_folder

    with stop_signals() as stop:
        if resume:
            config, folder = resumed(resume, **options)
            _check_paths(config, folder.path)
            folder.take_lock()
        else:
            config = config_from(options)
            output = options.get("output")
            _check_paths(config, Path(output or "runs"))
            folder = run_folder.new_run_folder(output, "check" if check_only else "train")
        try:
            return _train(config, folder, stop=stop, resume=bool(resume), check_only=check_only, moved=options)
        finally:
            folder.lock.release()


def _train(config: TrainConfig, folder, *, stop: StopRequest, resume: bool, check_only: bool, moved: dict) -> int:
    """Prepare and train; `moved` are the options that say where the data of a resumed run is now."""
    from yolo3.training import run_folder

    check_loggers(config.log)

    start_tensorflow()
    from yolo3.cli.farewell import farewell
    from yolo3.training.loop import train
    from yolo3.training.run_images import write_targets_sheet

    prepared = _prepare(config, folder, folder.image_lists() if resume else None, keep=check_only)
    if prepared is None:
        return 1
    if check_only:
        path = folder.file(run_folder.TARGETS)
        write_targets_sheet(config, prepared, path)
        print(f"The data can be used. Training targets: {path}")
        return 0

    print(f"Run folder: {folder.path}", flush=True)
    if resume:
        folder.move_data(moved.get("data"), moved.get("val"))
    try:
        result = train(
            config,
            prepared,
            folder,
            resume=resume,
            callbacks=build_loggers(config, folder),
            say=_say,
            show_progress=sys.stderr.isatty(),
            stop=stop,
        )
    except Stopped as stopped:
        if folder.has_state():
            print(f"\nStopped by {stopped}. Continue with: yolo3 train --resume {folder.path}")
        else:
            print(f"\nStopped by {stopped} before the first step: there is nothing to continue.")
        return stopped.status
    print(farewell(prepared, result))
    return 0


def resumed(path: str, **moved: Any):
    """Return (settings, folder) of a run to continue: it takes class names, anchors and cfg from its own folder.

    Args:
        path: The folder.
        moved: The settings `data` and `val`, where the data has moved.
    """
    from yolo3.training import run_folder

    config = run_folder.read_settings(path)
    folder = run_folder.RunFolder(path)
    own = {"classes": run_folder.CLASSES, "anchors": run_folder.ANCHORS, "cfg": run_folder.CFG}
    files: dict[str, Any] = {name: str(folder.file(file)) for name, file in own.items() if folder.file(file).exists()}
    return dataclasses.replace(config, **files, **moved), folder


def _check_paths(config: TrainConfig, output: Path) -> None:
    """Raise `OSError` or `ValueError` now for files that would stop the run after its data was checked."""
    for name in PATHS:
        if name != "output" and (path := getattr(config, name)):
            os.stat(path)
    parent = existing_parent(output)
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"{output}: expected a folder that can be written to, got {parent}")


def _prepare(config: TrainConfig, folder, lists, keep: bool):
    """Return the checked data, or None after listing what is invalid.

    The findings are written to the folder if `keep`, and if the data is invalid and not all of them are listed; a run
    that begins writes them itself.
    """
    from yolo3.cli.findings import print_findings
    from yolo3.datasets.finding_groups import group_findings
    from yolo3.training import run_folder
    from yolo3.training.preparation import DataError, prepare

    kept = f"all in {folder.file(run_folder.FINDINGS)}"
    try:
        with one_look(), data_bar() as show:
            prepared = prepare(config, show, lists)
    except DataError as error:
        if keep or any(group.is_summed for group in group_findings(error.findings)):
            folder.keep_findings(error.findings)
        print_findings(error.findings, kept=kept)
        print("\n".join(error.notes), flush=True)
        print(f"yolo3 train: {error}", file=sys.stderr)
        return None

    if keep:
        folder.keep_findings(prepared.findings)
    print_findings(prepared.findings, kept=kept, error_word="skipped")
    print("\n".join(prepared.notes))
    return prepared


def _say(line: str) -> None:
    """Print a line without breaking a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
