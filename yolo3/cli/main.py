"""The command ``yolo3``: each of its commands is a file of this folder, imported only when it is used."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from yolo3 import __version__
from yolo3.cli.darknet_commands import answer

COMMANDS = {
    "train": ("yolo3.cli.train", "train a network on annotated images"),
    "detect": ("yolo3.cli.detect", "find objects in images, videos and camera streams"),
    "evaluate": ("yolo3.cli.evaluate", "compute the average precision of a network on annotated images"),
    "export": ("yolo3.cli.export", "write a network as ONNX, LiteRT, OpenVINO or SavedModel, verified"),
    "demo": ("yolo3.cli.demo", "show a network at work in a browser: drop photographs, move thresholds"),
    "anchors": ("yolo3.cli.anchors", "cluster the box sizes of a data set into anchors"),
    "data": ("yolo3.cli.data.main", "show, split and convert a data set"),
    "convert": ("yolo3.cli.convert_darknet", "turn Darknet's cfg and weights into a Keras file, or back"),
    "benchmark": ("yolo3.cli.benchmark", "measure how fast this machine trains, reads images and detects"),
}

SHELLS = ("bash", "zsh", "tcsh")
BEST = "runs/train-001/best.h5"
WAY = (
    ("yolo3 train", "see it work on rendered shapes"),
    ("yolo3 data stats DATA", "what is in your own images and boxes"),
    ("yolo3 train --data DATA --check-only", "check them, and draw what is learned"),
    ("yolo3 train --data DATA", "train the tiny network"),
    ("yolo3 evaluate --run runs/train-001", "how good it is on unseen images"),
    (f"yolo3 detect --weights {BEST} IMAGES", "draw what it finds"),
    (f"yolo3 demo --weights {BEST}", "drop photographs on a page, move the thresholds"),
    (f"yolo3 export --weights {BEST} --format onnx", "for other runtimes, compared with the network"),
    ("yolo3 detect --weights runs/train-001/best.onnx IMAGES", "runs without TensorFlow"),
)
"""The way from nothing to a detector in use: commands, and what each is for."""

_DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml"}  # of modules with other names
# What a command needs, by exported files too: named at once.
_NEEDED = {"evaluate": ("lxml", "yaml", "msgspec", "pycocotools", "tqdm")}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3`` itself."""
    commands = [f"  {name:<11}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    width = max(len(command) for command, _ in WAY)
    way = [f"  {command:<{width}}  # {purpose}" for command, purpose in WAY]
    parser = argparse.ArgumentParser(
        prog="yolo3",
        description="YOLOv3 for Keras 3: train, detect, evaluate.",
        epilog="\n".join(
            [
                "commands:",
                *commands,
                "",
                "from nothing to a detector in use:",
                *way,
                "",
                "Run 'yolo3 COMMAND --help' for the options of a command.",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"yolo3 {__version__}")
    parser.add_argument(
        "--print-completion", choices=SHELLS, help="print what makes this shell complete commands and options, and exit"
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its status: 0, or 1 after a user's mistake; wrong options exit with 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0].startswith("--print-completion"):
        return _print_completion(argv)
    if (darknets := answer(argv)) is not None:
        print(f"yolo3: Darknet's command. Ours is:\n{darknets}", file=sys.stderr)
        return 2
    command = build_parser().parse_args(argv[:1]).command
    try:
        return importlib.import_module(COMMANDS[command][0]).main(argv[1:])
    except ModuleNotFoundError as error:  # an install without some dependencies, for exported files alone
        if error.name is None or error.name.partition(".")[0] == "yolo3":
            raise
        package = error.name.partition(".")[0]
        missing = [package, *(other for other in _NEEDED.get(command, ()) if other != package and not find_spec(other))]
        install = " ".join(_DISTRIBUTIONS.get(name, name) for name in missing)
        verb = "is" if len(missing) == 1 else "are"
        needed = f"needs {', '.join(missing)}, which {verb} not installed: pip install {install}"
        print(f"yolo3 {command}: {needed}", file=sys.stderr)
        return 1


def _print_completion(argv: Sequence[str]) -> int:
    """Print the completion of a shell; it is asked for without a command."""
    shell = build_parser().parse_args([*argv, next(iter(COMMANDS))]).print_completion
    from yolo3.cli.completion import completion
    from yolo3.cli.running import run_command

    def show() -> int:
        print(completion(shell))
        return 0

    return run_command("yolo3", show)
