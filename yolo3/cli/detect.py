"""``yolo3 detect``: find objects in images, videos and what a camera sees; draw them, and write them to files."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo3.cli.options import (
    add_detector_options,
    check_outputs,
    count,
    detector_options,
    fraction,
    from_zero,
    in_one_line,
    run_command,
    start_tensorflow,
)
from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.datasets.formats.yolo_txt import find_label
from yolo3.detections import SHOWN_SCORE, Detections
from yolo3.inference.sources import Shot, Source, count_shots, find_sources, look, read_shots
from yolo3.inference.tiles import OVERLAP, TiledDetector, check_tiling
from yolo3.inference.videos import Window, check_window
from yolo3.inference.writers import (
    CocoFile,
    CropsFolder,
    CsvFile,
    DrawnFiles,
    JsonFile,
    Report,
    Writer,
    YoloTxtFolder,
    drawn_paths,
    read_coco_ids,
    writing,
)
from yolo3.visualize.boxes import draw_boxes


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 detect``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 detect", description="Find objects in images, videos and what a camera sees."
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT",
        help="an image, a video, a folder (searched with all below) or a quoted pattern such as 'photos/**/*.jpg'",
    )  # fmt: skip
    add_detector_options(parser, SHOWN_SCORE)
    _add_looking_options(parser.add_argument_group("how to look"))
    _add_result_options(parser.add_argument_group("results"))
    return parser


def _add_looking_options(group) -> None:
    group.add_argument(
        "--camera", type=from_zero, action="append", default=[], metavar="N",
        help="look at what camera N (0 is the first) sees, until Ctrl-C",
    )  # fmt: skip
    group.add_argument(
        "--every", type=count, default=1, metavar="N",
        help="look at each N-th frame of videos and cameras (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--tile", type=count, metavar="SIZE",
        help="look at large images through windows of SIZE x SIZE pixels as well, for small objects; images that "
        "fit into one are looked at as ever",
    )  # fmt: skip
    group.add_argument(
        "--overlap", type=fraction, default=OVERLAP, metavar="F",
        help="part of a window that the next one shows too, 0 to 0.9; objects up to that size are seen whole "
        "(default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--tiles-only", action="store_true", help="with --tile: do not look at the whole image as well")


def _add_result_options(group) -> None:
    group.add_argument(
        "--output", default="detections", metavar="DIR",
        help="folder for images and videos (.mp4, without sound) with boxes (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--no-images", action="store_true", help="write no images or videos with boxes")
    group.add_argument("--no-pictures", dest="no_images", action="store_true", help=argparse.SUPPRESS)  # the old name
    group.add_argument("--json", metavar="FILE", help="write the detections as JSON, an object an image or frame")
    group.add_argument("--csv", metavar="FILE", help="write the detections as CSV, a line each")
    group.add_argument(
        "--coco", metavar="FILE",
        help="write the detections in COCO's results format; an image's id is the number that is its name where all "
        "names are numbers, else its place from 1; COCO's own classes have COCO's ids, others count from 1",
    )  # fmt: skip
    group.add_argument(
        "--coco-images", metavar="FILE", help="COCO annotations that give the ids of images and classes for --coco"
    )
    group.add_argument(
        "--yolo-txt", metavar="DIR",
        help="write labels, a text file an image: class, centre x and y, width, height (fractions of the image)",
    )  # fmt: skip
    group.add_argument(
        "--yolo-scores", action="store_true", help="with --yolo-txt: the score as sixth number; no labels, then"
    )
    group.add_argument("--crops", metavar="DIR", help="write each detection as an image, in a folder for its class")
    group.add_argument("--show", action="store_true", help="show the results in a window; Esc or q ends")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 after a user's mistake or when an image could not be read, 130 after Ctrl-C."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    wrong = _wrong_options(arguments)
    if wrong:
        parser.error(wrong)
    return run_command("yolo3 detect", lambda: _detect(arguments))


def _wrong_options(arguments: argparse.Namespace) -> str | None:
    """Return what is wrong with options together."""
    if not arguments.inputs and not arguments.camera:
        return "expected at least one INPUT, or --camera N"
    if arguments.tiles_only and arguments.tile is None:
        return "--tiles-only: expected --tile SIZE with it"
    if arguments.coco_images and not arguments.coco:
        return "--coco-images: expected --coco FILE with it"
    if arguments.yolo_scores and not arguments.yolo_txt:
        return "--yolo-scores: expected --yolo-txt DIR with it"
    try:
        check_tiling(arguments.tile or 32, arguments.overlap)
    except ValueError as error:
        return f"--{error}"
    return None


def _detect(arguments: argparse.Namespace) -> int:
    sources = find_sources(arguments.inputs, arguments.camera, filter(None, [arguments.output, arguments.crops]))
    drawn = {} if arguments.no_images else drawn_paths(sources, arguments.output)
    check_results(arguments, sources, drawn.values())
    coco_ids = read_coco_ids(arguments.coco_images, sources) if arguments.coco_images else None
    if arguments.show:
        _check_window()
    start_tensorflow()

    detector = _load_detector(arguments)
    writers = _writers(arguments, detector.class_names, sources, drawn, coco_ids)
    report = Report(detector.class_names, arguments.score_threshold, arguments.max_boxes, _network_input(detector))
    try:
        _look(detector, sources, arguments, writers, report)
    except KeyboardInterrupt:
        report.print_summary(_results_of(arguments))
        raise
    report.print_summary(_results_of(arguments))
    return 1 if report.num_unreadable else 0


def _load_detector(arguments: argparse.Namespace):
    """Return the detector that the options ask for, with windows over large images where they do.

    Everything above 0 is asked for, so that weak scores can be shown: suppression goes from strong to weak, and what
    is above the threshold stays the same; windows are told it. What a camera sees is not kept waiting for a full batch.
    """
    from yolo3.inference.detector import load_detector

    options = detector_options(arguments) | {"score_threshold": 0.0}
    if arguments.camera and arguments.tile is None:
        options["batch_size"] = 1
    detector = load_detector(**options)
    if arguments.tile is None:
        return detector
    return TiledDetector(
        detector, arguments.tile, arguments.overlap, not arguments.tiles_only, arguments.score_threshold
    )


def _network_input(detector) -> str:
    """Return how the network sees an image, in words."""
    own = getattr(detector, "detector", detector)  # behind windows
    return f"{own.input_shape[0]} x {own.input_shape[1]} pixels ({own.resize})"


def _look(detector, sources: Sequence[Source], arguments, writers: Sequence[Writer], report: Report) -> None:
    """Look at all sources; hand what is above the threshold to the writers and to the window."""
    with _bar(sources, arguments.every) as bar, writing(writers), _window(arguments.show, detector.class_names) as show:
        on_error = _error_lines(bar.write, report)
        for shot, image, found in look(detector, read_shots(sources, arguments.every, on_error), on_error):
            strong = report.add(shot, found)
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
    with contextlib.closing(Window("yolo3 detect")) as window:
        yield lambda shot, image, found: window.show(
            draw_boxes(image, found.boxes, found.class_ids, class_names, found.scores), wait=shot.frame is None
        )


def _check_window() -> None:
    try:
        check_window()
    except OSError as error:
        raise ValueError(f"--show: {error}") from error


def _error_lines(write: Callable[..., Any], report: Report) -> Callable:
    """Return the function that is told of images that cannot be read: a line for each, above the progress bar."""

    def on_error(_, error: Exception) -> None:
        report.num_unreadable += 1
        write(f"yolo3 detect: {in_one_line(error)}", file=sys.stderr)

    return on_error


def _bar(sources: Sequence[Source], every: int):
    from tqdm import tqdm

    only_images = all(source.kind == "image" for source in sources)
    return tqdm(
        total=count_shots(sources, every), unit="image" if only_images else "frame", file=sys.stderr,
        disable=True if only_images and len(sources) == 1 else None,
    )  # fmt: skip


# Where results go


def check_results(arguments: argparse.Namespace, sources: Sequence[Source], drawn: Iterable[Path]) -> None:
    """Raise ``ValueError`` for results that cannot be written, or that would overwrite an input or one another."""
    files = [path for path in (arguments.json, arguments.csv, arguments.coco) if path]
    check_outputs(*drawn, *files)
    for folder in filter(None, (arguments.yolo_txt, arguments.crops)):
        check_outputs(*(Path(folder, f"{source.name}.txt") for source in sources))
    taken = {os.path.realpath(source.path): "an input" for source in sources}
    taken |= {os.path.realpath(path): "an image with boxes" for path in drawn}
    for path in files:
        if os.path.realpath(path) in taken:
            raise ValueError(f"{path}: expected a file for detections alone, got {taken[os.path.realpath(path)]}")
        taken[os.path.realpath(path)] = "that of another format"
    if arguments.crops:
        _check_no_input_below(arguments.crops, sources)
    if arguments.yolo_txt:
        _check_no_labels(arguments.yolo_txt, sources)


def _check_no_labels(folder: str, sources: Sequence[Source]) -> None:
    """Raise ``ValueError`` where detections would take the place of the labels that somebody has made."""
    for source in sources:
        path = Path(folder, f"{source.name}.txt")
        label = find_label(source.path) if source.kind == "image" and path.exists() else None
        if label is not None and os.path.samefile(label, path):
            raise ValueError(f"{path}: expected a new file, got the labels of {source.path}; give another folder")


def _check_no_input_below(crops: str, sources: Sequence[Source]) -> None:
    for source in sources:
        if Path(crops).resolve() in Path(source.path).resolve().parents and source.kind != "camera":
            raise ValueError(f"{crops}: expected a folder for crops alone, got one that holds {source.path}")


def _writers(
    arguments: argparse.Namespace, class_names: Sequence[str], sources: Sequence[Source], drawn: dict[Source, Path],
    coco_ids: CocoIds | None,
) -> list[Writer]:  # fmt: skip
    """Return a writer for each kind of result that is wanted."""
    writers: list[Writer] = [DrawnFiles(drawn, class_names)] if drawn else []
    if arguments.yolo_txt:
        writers.append(YoloTxtFolder(arguments.yolo_txt, arguments.yolo_scores))
    if arguments.crops:
        writers.append(CropsFolder(arguments.crops, class_names))
    if arguments.json:
        writers.append(JsonFile(arguments.json, class_names))
    if arguments.csv:
        writers.append(CsvFile(arguments.csv, class_names))
    if arguments.coco:
        writers.append(CocoFile(arguments.coco, class_names, sources, coco_ids))
    return writers


def _results_of(arguments: argparse.Namespace) -> str:
    """Return where the results are, in words."""
    drawn = [] if arguments.no_images else [f"Images with boxes: {arguments.output}"]
    paths = [getattr(arguments, name) for name in ("json", "csv", "coco", "yolo_txt", "crops")]
    files = ", ".join(path for path in paths if path)
    return "; ".join([*drawn, *([f"detections: {files}"] if files else [])])
