"""``yolo3 data``: what is in a data set, lists to train and validate on, and other formats."""

import argparse
import importlib
from collections.abc import Sequence

COMMANDS = {
    "stats": ("yolo3.cli.data.stats", "show what is in a data set: classes, lists, sizes, faults, a sheet of images"),
    "split": ("yolo3.cli.data.split", "draw lists to train, validate and test on"),
    "convert": ("yolo3.cli.data.convert", "write a data set in another format"),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 data`` itself."""
    lines = [f"  {name:<11}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="yolo3 data",
        description="Look at annotated images, divide them, and write them in another format.",
        epilog="\n".join(["commands:", *lines, "", "Run 'yolo3 data COMMAND --help' for the options of a command."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status: 0, or 1 after a user's mistake; wrong options exit with 2."""
    argv = list(argv or [])
    command = build_parser().parse_args(argv[:1]).command
    return importlib.import_module(COMMANDS[command][0]).main(argv[1:])
