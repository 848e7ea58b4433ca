"""``yolo3 train`` and ``python train.py``: annotated images in, a trained detector out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from yolo3.cli.options import add_settings
from yolo3.cli.running import run_command
from yolo3.input.settings import Augmentation
from yolo3.models.published import PUBLISHED, describe_published
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.progress import data_bar
from yolo3.training.cluster import task_of_environment
from yolo3.training.recipes import RANDOM_WEIGHTS, RECIPES
from yolo3.training.settings import MAY_CHANGE, TrainConfig
from yolo3.training.stopping import Stopped, stop_signals


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
        help="continue the run in this folder; it takes --data and --val too, for data that has moved, and --devices",
    )
    parser.add_argument("--check-only", action="store_true", help="check data and weights, draw targets, and stop")
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
    if "resume" in options and set(options) - {"resume", *MAY_CHANGE}:
        parser.error("--resume takes no other option but --data and --val, for data that has moved, and --devices")
    for other in ("model", "anchor_mask"):
        if "cfg" in options and other in options:
            parser.error(f"--{other.replace('_', '-')} does not go with --cfg, which defines its own")
    return run_command("yolo3 train", lambda: _run(options))


def _run(options: dict[str, Any]) -> int:
    from yolo3.cli.farewell import farewell  # what a run needs, and help does not
    from yolo3.training.result import Result
    from yolo3.training.whole_run import run_training

    resume, check_only = options.pop("resume", None), options.pop("check_only", False)
    with stop_signals() as stop:
        try:
            result = run_training(
                options,
                resume=resume,
                check_only=check_only,
                say=_say,
                data_bar=data_bar,
                show_progress=sys.stderr.isatty(),
                stop=stop,
            )
        except Stopped as stopped:
            if not stopped.told:
                raise
            return stopped.status
    if isinstance(result, Result) and task_of_environment().is_first:
        print(farewell(result))
    return 0


def _say(line: str) -> None:
    """Print a line without breaking a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
