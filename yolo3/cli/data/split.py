"""``yolo3 data split``: draw the lists of a data set."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence

from yolo3.cli.data.reading import add_reading_options, read_for
from yolo3.cli.options import add_settings, option_type
from yolo3.cli.running import run_command
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.split_settings import SplitSettings
from yolo3.training.settings import TrainConfig


def parse_suffix(text: str) -> str:
    """Return a suffix that a file name can have."""
    if not re.fullmatch(r"[\w.-]*", text):
        raise ValueError(f"expected letters, digits, '_', '-' and '.', got {text}")
    return text


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 data split``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 data split",
        description="Draw lists to train, validate and test on, each class in its share of every list. Equal and "
        "nearly equal images and frames of one film stay in one list. The lists are written beside the data, in its "
        "own format: ImageSets (voc), instances_LIST.json with the boxes (coco), split.yaml and text files (yolo), "
        "text files (keras-yolo3).",
    )
    parser.add_argument("data", metavar="DATA", help="annotations: a file or a folder")
    add_settings(parser, TrainConfig, ["format"])
    add_reading_options(parser)
    add_settings(parser, SplitSettings)
    parser.add_argument(
        "--suffix",
        type=option_type(parse_suffix),
        default="",
        metavar="TEXT",
        help="what is added to the names train, val and test, such as _2",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace lists of these names")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 data split", lambda: _split(arguments))


def _split(arguments: argparse.Namespace) -> int:
    from yolo3.datasets.add_lists import add_lists
    from yolo3.datasets.draw_lists import draw_lists

    listed = read_for(arguments, arguments.format)
    dataset = listed.dataset
    settings = SplitSettings(arguments.val_split, arguments.test_split, arguments.seed)
    lists, notes = draw_lists(dataset.annotations, listed.checks, len(dataset.class_names), settings)
    new, hidden = add_lists(dataset, lists, arguments.data, suffix=arguments.suffix, overwrite=arguments.overwrite)

    print(format_shares(lists, dataset.class_names))
    for note in [*notes, *(f"Written: {file}" for file in new.files)]:
        print(note)
    if hidden:
        print(f"While these files are there, the data set's lists {', '.join(hidden)} are not looked at.")
    train, val = (new.names[name] for name in ("train", "val"))
    print(f"Train on them: yolo3 train --data {shlex.quote(new.data)} --train-list {train} --val-list {val}")
    return 0


def format_shares(lists: Mapping[str, Sequence[Annotation]], class_names: Sequence[str]) -> str:
    """Return a table with the number of images in each list, of each class and of all."""
    rows = [["images", *lists]]
    for class_id, name in enumerate(class_names):
        rows.append([name, *(str(sum(class_id in item.class_ids for item in part)) for part in lists.values())])
    empty = [str(sum(not len(item.class_ids) for item in part)) for part in lists.values()]
    if set(empty) != {"0"}:
        rows.append(["(no object)", *empty])
    rows.append(["all", *(str(len(part)) for part in lists.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
