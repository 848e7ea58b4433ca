"""Read and check the data set of a command, with its lists."""

from __future__ import annotations

import argparse

from yolo3.cli.findings import add_findings_option
from yolo3.cli.options import add_settings
from yolo3.datasets.check_findings import check_findings
from yolo3.datasets.listed import ListedDataset
from yolo3.file_states import one_look
from yolo3.progress import data_bar
from yolo3.training.settings import TrainConfig


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a data set is read."""
    add_settings(parser, TrainConfig, ["classes"])
    parser.add_argument(
        "--list", dest="lists", nargs="+", metavar="NAME", help="lists of the data set to take (default: all)"
    )
    add_settings(parser, TrainConfig, ["skip_bad", "max_pixels"])
    add_findings_option(parser)


def read_for(arguments: argparse.Namespace, format: str | None, stop: bool = True) -> ListedDataset:
    """Read and check the data set of a command, and print what was found.

    Args:
        arguments: With the options of `add_reading_options`.
        format: Name of its format; recognised by content if None.
        stop: Whether invalid annotations stop the command where they are not skipped.

    Returns:
        What can be used of it.

    Raises:
        ValueError: If it cannot be read, or annotations are invalid.
    """
    from yolo3.datasets.class_names import read_class_names
    from yolo3.datasets.listed import read_listed
    from yolo3.datasets.pixel_limit import limit_pixels

    limit_pixels(arguments.max_pixels)
    names = read_class_names(arguments.classes) if arguments.classes else None
    with one_look(), data_bar() as show:
        listed = read_listed(arguments.data, format, names, arguments.lists, show)

    check_findings(listed.dataset, arguments.data, arguments.findings, skip=arguments.skip_bad or not stop)
    return listed
