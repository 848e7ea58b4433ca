"""``yolo3 demo``: a page on this machine where photographs are dropped and thresholds moved."""

import argparse
import signal
import threading
from collections.abc import Sequence

from yolo3.cli.options import add_detector_options, add_settings, detector_options, option_type
from yolo3.cli.running import run_command
from yolo3.datasets.pixel_limit import limit_pixels
from yolo3.inference.loading import load_detector, loading_network
from yolo3.settings import Number
from yolo3.training.settings import TrainConfig

PORT = Number("a port from 1 to 65535", int, lambda value: 1 <= value <= 65535)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 demo``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 demo",
        description="Show a network at work in a browser: drop a photograph, move the thresholds. The page is for this "
        "machine alone (127.0.0.1) and runs until Ctrl-C.",
    )
    add_detector_options(parser, batch_size=1)
    add_settings(parser, TrainConfig, ["max_pixels"])
    parser.add_argument(
        "--port",
        type=option_type(PORT.parse),
        metavar="N",
        help="port of the page (default: the first free one from 7860 on)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command until Ctrl-C; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 demo", lambda: _demo(arguments))


def _demo(arguments: argparse.Namespace) -> int:
    limit_pixels(arguments.max_pixels)
    from yolo3.inference.demo_page import check_gradio, serve_page  # needs Pillow

    check_gradio()
    with loading_network(arguments.weights):
        detector = load_detector(**detector_options(arguments) | {"score_threshold": None})

    with serve_page(detector, arguments.score_threshold, arguments.port) as address:
        print(f"{arguments.weights}: open {address} in a browser; Ctrl-C ends it", flush=True)
        stopped = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: stopped.set())
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())  # docker stop
        stopped.wait()
    return 0
