"""The command ``yolo3``: each of its commands is a file of this folder, imported only when it is used."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from yolo3 import __version__

COMMANDS = {
    "train": ("yolo3.cli.train", "train a network on annotated images"),
    "detect": ("yolo3.cli.detect", "find objects in images, videos and camera streams"),
    "evaluate": ("yolo3.cli.evaluate", "compute the average precision of a network on annotated images"),
    "anchors": ("yolo3.cli.anchors", "cluster the box sizes of a data set into anchors"),
    "convert": ("yolo3.cli.convert_darknet", "turn Darknet's cfg and weights into a Keras file, or back"),
    "benchmark": ("yolo3.cli.benchmark", "measure how fast this machine trains, reads images and detects"),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3`` itself."""
    lines = [f"  {name:<11}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="yolo3",
        description="YOLOv3 for Keras 3: train, detect, evaluate.",
        epilog="\n".join(["commands:", *lines, "", "Run 'yolo3 COMMAND --help' for the options of a command."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"yolo3 {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status: 0, or 1 after a user's mistake; wrong options exit with 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = build_parser().parse_args(argv[:1]).command
    return importlib.import_module(COMMANDS[command][0]).main(argv[1:])
