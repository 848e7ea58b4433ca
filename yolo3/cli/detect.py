"""``yolo3 detect``: find objects in images, videos and camera streams; draw them, and write them to files."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from yolo3.cli.detect_results import add_result_options, check_results, open_writers, results_in_words
from yolo3.cli.options import add_detector_options, add_settings, detector_options, option_type
from yolo3.cli.running import in_one_line, run_command
from yolo3.datasets.pixel_limit import limit_pixels
from yolo3.detections import Detections
from yolo3.inference.loading import loading_network
from yolo3.inference.sources import Shot, Source, count_shots, detect_shots, find_sources, read_shots
from yolo3.inference.summary import Summary
from yolo3.inference.tiles import MOST_OVERLAP, OVERLAP, SMALLEST_TILE, TiledDetector, check_tiling
from yolo3.inference.window import Window, check_window
from yolo3.inference.writers.coco_results import read_coco_ids
from yolo3.inference.writers.drawn import drawn_paths
from yolo3.inference.writers.writer import Writer, writing
from yolo3.progress import open_bar
from yolo3.settings import COUNT, SHARE, WHOLE
from yolo3.training.settings import TrainConfig


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 detect``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 detect", description="Find objects in images, videos and camera streams."
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="an image, a video, a folder (searched recursively) or a quoted pattern such as 'images/**/*.jpg'",
    )
    parser.add_argument(
        "--part",
        type=option_type(parse_part),
        default=(1, 1),
        metavar="I/N",
        help="detect in the I-th of N parts of the inputs, for N jobs that share them; result names are as of all",
    )
    add_detector_options(parser)
    add_settings(parser, TrainConfig, ["max_pixels"])

    group = parser.add_argument_group("cameras, frames and tiles")
    group.add_argument(
        "--camera",
        type=option_type(WHOLE.parse),
        action="append",
        default=[],
        metavar="N",
        help="detect in the stream of camera N (the first is 0) until Ctrl-C",
    )
    group.add_argument(
        "--every",
        type=option_type(COUNT.parse),
        default=1,
        metavar="N",
        help="detect in every N-th frame of videos and cameras (default: %(default)s)",
    )
    group.add_argument(
        "--tile",
        type=option_type(COUNT.parse),
        metavar="SIZE",
        help="also detect in tiles of SIZE x SIZE pixels, for small objects in large images",
    )
    group.add_argument(
        "--overlap",
        type=option_type(SHARE.parse),
        default=OVERLAP,
        metavar="F",
        help=f"share of a tile that the next one overlaps, 0 to {MOST_OVERLAP}; smaller objects are complete in some "
        "tile (default: %(default)s)",
    )
    group.add_argument("--tiles-only", action="store_true", help="with --tile: do not detect in the whole image too")
    add_result_options(parser.add_argument_group("results"))
    return parser


def parse_part(text: str) -> tuple[int, int]:
    """Return (I, N) of "I/N"."""
    number, slash, parts = text.partition("/")
    if slash and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts):
        return int(number), int(parts)
    raise ValueError(f"expected a part such as 1/4, from 1/4 to 4/4, got {text}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 after a user's mistake or when an image could not be read, 130 after Ctrl-C."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not arguments.inputs and not arguments.camera:
        parser.error("expected at least one INPUT, or --camera N")
    if arguments.tiles_only and arguments.tile is None:
        parser.error("--tiles-only: expected --tile SIZE with it")
    if arguments.coco_images and not arguments.coco:
        parser.error("--coco-images: expected --coco FILE with it")
    if arguments.yolo_scores and not arguments.yolo_txt:
        parser.error("--yolo-scores: expected --yolo-txt DIR with it")

    try:
        check_tiling(arguments.tile or SMALLEST_TILE, arguments.overlap)
    except ValueError as error:
        parser.error(f"--{error}")
    return run_command("yolo3 detect", lambda: _detect(arguments))


def _detect(arguments: argparse.Namespace) -> int:
    limit_pixels(arguments.max_pixels)
    results = (arguments.output, arguments.crops, arguments.dataset)
    sources = find_sources(arguments.inputs, arguments.camera, filter(None, results))
    drawn = {} if arguments.no_images else drawn_paths(sources, arguments.output)
    check_results(arguments, sources, drawn.values())
    coco_ids = read_coco_ids(arguments.coco_images, sources) if arguments.coco_images else None
    if arguments.show:
        try:
            check_window()
        except OSError as error:
            raise ValueError(f"--show: {error}") from error

    with loading_network(arguments.weights):
        detector = _load_detector(arguments)
    writers = open_writers(arguments, detector.class_names, sources, drawn, coco_ids)
    number, parts = arguments.part
    own = getattr(detector, "detector", detector)  # behind tiles
    max_boxes = min(arguments.max_boxes, own.max_boxes)
    network_input = f"{own.input_shape[0]} x {own.input_shape[1]} pixels ({own.resize})"
    summary = Summary(detector.class_names, arguments.score_threshold, max_boxes, network_input)
    try:
        _look(detector, sources[number - 1 :: parts], arguments, writers, summary)
    except KeyboardInterrupt:
        summary.print(results_in_words(arguments))
        raise
    summary.print(results_in_words(arguments))
    return 1 if summary.num_unreadable else 0


def _load_detector(arguments: argparse.Namespace):
    """Return the detector that the options ask for, with tiles over large images where they do.

    Its threshold is the lowest that the network allows, so that weak scores can be shown: suppression goes from strong
    to weak, so what is above the threshold stays the same. Tiles are given the threshold.
    """
    from yolo3.inference.loading import load_detector

    options = detector_options(arguments) | {"score_threshold": None}
    if arguments.camera and arguments.tile is None:
        options["batch_size"] = 1  # no frame waits for a full batch
    detector = load_detector(**options)
    if detector.score_threshold > arguments.score_threshold:
        raise ValueError(
            f"--score-threshold: expected {detector.score_threshold:g} or more, as suppression within "
            f"{arguments.weights} keeps no lower scores, got {arguments.score_threshold:g}; export it without --nms"
        )
    if arguments.tile is None:
        return detector
    return TiledDetector(
        detector,
        arguments.tile,
        overlap=arguments.overlap,
        whole=not arguments.tiles_only,
        strong=arguments.score_threshold,
    )


def _look(detector, sources: Sequence[Source], arguments, writers: Sequence[Writer], summary: Summary) -> None:
    """Detect in all sources; hand what is above the threshold to the writers and to the window."""
    only_images = all(source.kind == "image" for source in sources)
    bar = open_bar(
        total=count_shots(sources, arguments.every),
        unit="image" if only_images else "frame",
        disable=True if only_images and len(sources) == 1 else None,
    )

    def on_error(_: Any, error: Exception) -> None:
        summary.num_unreadable += 1
        bar.write(f"yolo3 detect: {in_one_line(error)}", file=sys.stderr)  # above the bar

    with bar, writing(writers), _window(arguments.show, detector.class_names) as show:
        for shot, image, found in detect_shots(detector, read_shots(sources, arguments.every, on_error), on_error):
            strong = summary.add(shot, found)
            for writer in writers:
                writer.add(shot, image, strong)
            bar.update()
            if not show(shot, image, strong):
                break


@contextlib.contextmanager
def _window(wanted: bool, class_names: Sequence[str]) -> Iterator[Callable[[Shot, np.ndarray, Detections], bool]]:
    """Give a function that shows a result, an image until a key is pressed, and returns whether to go on."""
    if not wanted:
        yield lambda shot, image, found: True
        return
    from yolo3.visualize.boxes import draw_boxes  # needs Pillow

    with contextlib.closing(Window("yolo3 detect")) as window:
        yield lambda shot, image, found: window.show(
            draw_boxes(image, found.boxes, found.class_ids, class_names, found.scores), wait=shot.frame is None
        )
