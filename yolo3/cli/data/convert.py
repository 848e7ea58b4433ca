"""``yolo3 data convert``: write a data set in another format."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from yolo3.cli.data.reading import add_reading_options, read_for
from yolo3.cli.options import add_settings
from yolo3.cli.running import run_command
from yolo3.datasets.formats.registry import FORMATS, written_formats
from yolo3.datasets.split_settings import SplitSettings
from yolo3.outputs import check_outputs, require_new_folder
from yolo3.progress import progress_bar


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 data convert``."""
    formats = ", ".join(f"{name} ({description})" for name, description in written_formats().items())
    parser = argparse.ArgumentParser(
        prog="yolo3 data convert",
        description="Write a data set in another format: images, boxes, class names and lists. The new data set is "
        "complete in its folder, or nothing is written.",
    )
    parser.add_argument("data", metavar="FROM", help="annotations: a file or a folder")
    parser.add_argument("output", metavar="TO", help="folder of the new data set; must be new or empty")
    parser.add_argument("--format", required=True, choices=written_formats(), help=f"format to write: {formats}")
    parser.add_argument(
        "--from-format", choices=FORMATS, help="format of the annotations in FROM (default: recognised by content)"
    )
    add_reading_options(parser)
    add_settings(parser, SplitSettings, val_split=None)
    parser.add_argument(
        "--link",
        action="store_true",
        help="make hard links of the images where the disk allows it, not copies: what is changed in one data set is "
        "changed in the other",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.test_split and arguments.val_split is None:
        parser.error("--test-split needs --val-split, as all lists are drawn then")
    return run_command("yolo3 data convert", lambda: _convert(arguments))


def _convert(arguments: argparse.Namespace) -> int:
    from yolo3.datasets.draw_lists import draw_lists
    from yolo3.datasets.write_lists import ONLY_LIST, lists_for, lost_marks, write_lists

    require_new_folder(arguments.output)
    check_outputs(os.path.join(arguments.output, "data.yaml"))  # or whatever file
    source, target = os.path.realpath(arguments.data), os.path.realpath(arguments.output)
    if os.path.isdir(source) and os.path.commonpath([source, target]) == source:
        raise ValueError(
            f"{arguments.output}: expected a folder outside {arguments.data}, or both would be read as one"
        )
    listed = read_for(arguments, arguments.from_format)
    dataset = listed.dataset

    if arguments.val_split is not None:
        settings = SplitSettings(arguments.val_split, arguments.test_split, arguments.seed)
        lists, notes = draw_lists(dataset.annotations, listed.checks, len(dataset.class_names), settings)
    else:
        lists, notes = lists_for(arguments.format, listed.lists or {ONLY_LIST: dataset.annotations})
        if rest := listed.in_no_list:
            first = rest[0].image_path
            notes.append(
                f"{len(rest):,} images are in no list and are not written, first {first}; --val-split draws all."
            )
    written = {id(item): item for members in lists.values() for item in members}
    notes += lost_marks(list(written.values()), arguments.format)

    with progress_bar("image", title="writing", leave=False) as show:
        write_lists(dataset, lists, arguments.output, arguments.format, link=arguments.link, progress=show)
    for note in notes:
        print(note)
    keeps_crowd = "crowd" in FORMATS[arguments.format].keeps
    boxes = sum(len(item.boxes) if keeps_crowd else int((~item.crowd).sum()) for item in written.values())
    parts = ", ".join(f"{name} {len(members):,}" for name, members in lists.items())
    classes = len(dataset.class_names)
    print(
        f"{arguments.output}: {len(written):,} images with {boxes:,} boxes of {classes} classes ({arguments.format}); "
        f"lists: {parts}"
    )
    return 0
