"""``yolo3 detect``: find objects in pictures, videos and what a camera sees; draw them, and write them to files."""

import argparse
import os
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolo3.cli import (
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
from yolo3.detection_files import (
    CocoFile,
    CocoIds,
    CropsFolder,
    CsvFile,
    DrawnFiles,
    JsonFile,
    Writer,
    YoloTxtFolder,
    read_coco_ids,
    writing,
)
from yolo3.draw import draw_boxes
from yolo3.metrics import Detections
from yolo3.sources import Shot, Source, count_shots, find_sources, read_shots, result_paths
from yolo3.tiles import OVERLAP, TiledDetector, check_tiling

SCORE_THRESHOLD = 0.3
_WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # others are written as .png
_WEAK_SHOWN = 10
_ESCAPE = 27


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 detect``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 detect", description="Find objects in pictures, videos and what a camera sees."
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT",
        help="a picture, a video, a folder (searched with all below) or a quoted pattern such as 'photos/**/*.jpg'",
    )  # fmt: skip
    add_detector_options(parser, SCORE_THRESHOLD)
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
        help="look at large pictures through windows of SIZE x SIZE pixels as well, for small objects; pictures that "
        "fit into one are looked at as ever",
    )  # fmt: skip
    group.add_argument(
        "--overlap", type=fraction, default=OVERLAP, metavar="F",
        help="part of a window that the next one shows too, 0 to 0.9; objects up to that size are seen whole "
        "(default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--tiles-only", action="store_true", help="with --tile: do not look at the whole picture as well"
    )


def _add_result_options(group) -> None:
    group.add_argument(
        "--output", default="detections", metavar="DIR",
        help="folder for pictures and videos (.mp4, without sound) with boxes (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--no-pictures", action="store_true", help="write no pictures or videos with boxes")
    group.add_argument("--json", metavar="FILE", help="write the detections as JSON, an object a picture or frame")
    group.add_argument("--csv", metavar="FILE", help="write the detections as CSV, a line each")
    group.add_argument(
        "--coco", metavar="FILE",
        help="write the detections in COCO's results format; a picture's id is the number that is its name where all "
        "names are numbers, else its place from 1",
    )  # fmt: skip
    group.add_argument(
        "--coco-images", metavar="FILE", help="COCO annotations that give the ids of pictures and classes for --coco"
    )
    group.add_argument(
        "--yolo-txt", metavar="DIR",
        help="write a text file a picture: class, centre x and y, width, height (fractions of the picture), score",
    )  # fmt: skip
    group.add_argument("--crops", metavar="DIR", help="write each detection as a picture, in a folder for its class")
    group.add_argument("--show", action="store_true", help="show the results in a window; Esc or q ends")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 after a user's mistake or when a picture could not be read, 130 after Ctrl-C."""
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
    try:
        check_tiling(arguments.tile or 32, arguments.overlap)
    except ValueError as error:
        return f"--{error}"
    return None


def _detect(arguments: argparse.Namespace) -> int:
    sources = find_sources(arguments.inputs, arguments.camera, filter(None, [arguments.output, arguments.crops]))
    drawn = {} if arguments.no_pictures else drawn_paths(sources, arguments.output)
    check_results(arguments, sources, drawn.values())
    coco_ids = read_coco_ids(arguments.coco_images, sources) if arguments.coco_images else None
    if arguments.show:
        check_window()
    start_tensorflow()

    detector = _load_detector(arguments)
    writers = _writers(arguments, detector.class_names, sources, drawn, coco_ids)
    report = Report(detector.class_names, arguments.score_threshold)
    try:
        _look(detector, sources, arguments, writers, report)
    except KeyboardInterrupt:
        report.print_summary(_results_of(arguments))
        raise
    report.print_summary(_results_of(arguments))
    return 1 if report.num_unreadable else 0


def _load_detector(arguments: argparse.Namespace):
    """Return the detector that the options ask for, with windows over large pictures where they do.

    Everything above 0 is asked for, so that weak scores can be shown: suppression goes from strong to weak, and what
    is above the threshold stays the same. What a camera sees is not kept waiting for a full batch.
    """
    from yolo3.detector import load_detector

    options = detector_options(arguments) | {"score_threshold": 0.0}
    if arguments.camera and arguments.tile is None:
        options["batch_size"] = 1
    detector = load_detector(**options)
    if arguments.tile is None:
        return detector
    return TiledDetector(detector, arguments.tile, arguments.overlap, not arguments.tiles_only)


def _look(detector, sources: Sequence[Source], arguments, writers: Sequence[Writer], report: "Report") -> None:
    """Look at all sources; hand what is above the threshold to the writers and to the window."""
    window = Window(detector.class_names) if arguments.show else None
    with _bar(sources, arguments.every) as bar, writing(writers):
        on_error = report.note_unreadable(bar.write)
        for shot, image, found in detect_shots(detector, read_shots(sources, arguments.every, on_error), on_error):
            strong = report.add(shot, found)
            for writer in writers:
                writer.add(shot, image, strong)
            bar.update()
            if window is not None and not window.show(shot, image, strong):
                break


def detect_shots(detector, shots: Iterable[Shot], on_error: Callable) -> Iterator[tuple[Shot, np.ndarray, Detections]]:
    """Yield (shot, picture uint8 RGB [H, W, 3], detections); pictures that cannot be read go to ``on_error``."""
    waiting: deque[tuple[int, Shot]] = deque()

    def pictures():
        for index, shot in enumerate(shots):
            waiting.append((index, shot))
            yield shot.picture

    for index, image, found in detector.detect_each(pictures(), on_error):
        while waiting[0][0] < index:  # unreadable
            waiting.popleft()
        yield waiting.popleft()[1], image, found


def _bar(sources: Sequence[Source], every: int):
    from tqdm import tqdm

    only_pictures = all(source.kind == "picture" for source in sources)
    return tqdm(
        total=count_shots(sources, every), unit="picture" if only_pictures else "frame", file=sys.stderr,
        disable=True if only_pictures and len(sources) == 1 else None,
    )  # fmt: skip


# Where results go


def drawn_paths(sources: Sequence[Source], output: str) -> dict[Source, Path]:
    """Return where each picture or video with boxes goes: below ``output``, no two to one file, none to an input."""
    return dict(zip(sources, result_paths(sources, output, [_drawn_suffix(source) for source in sources]), strict=True))


def _drawn_suffix(source: Source) -> str:
    if source.kind != "picture":
        return ".mp4"
    suffix = Path(source.path).suffix
    return suffix if suffix.lower() in _WRITTEN_SUFFIXES else ".png"


def check_results(arguments: argparse.Namespace, sources: Sequence[Source], drawn: Iterable[Path]) -> None:
    """Raise ``ValueError`` for results that cannot be written, or that would overwrite an input or one another."""
    files = [path for path in (arguments.json, arguments.csv, arguments.coco) if path]
    check_outputs(*drawn, *files)
    for folder in filter(None, (arguments.yolo_txt, arguments.crops)):
        check_outputs(*(Path(folder, f"{source.name}.txt") for source in sources))
    taken = {os.path.realpath(source.path): "an input" for source in sources}
    taken |= {os.path.realpath(path): "a picture with boxes" for path in drawn}
    for path in files:
        if os.path.realpath(path) in taken:
            raise ValueError(f"{path}: expected a file for detections alone, got {taken[os.path.realpath(path)]}")
        taken[os.path.realpath(path)] = "that of another format"
    if arguments.crops:
        _check_no_input_below(arguments.crops, sources)


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
        writers.append(YoloTxtFolder(arguments.yolo_txt))
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
    drawn = [] if arguments.no_pictures else [f"Pictures with boxes: {arguments.output}"]
    paths = [getattr(arguments, name) for name in ("json", "csv", "coco", "yolo_txt", "crops")]
    files = ", ".join(path for path in paths if path)
    return "; ".join([*drawn, *([f"detections: {files}"] if files else [])])


# The window


def check_window() -> None:
    """Raise ``ValueError`` where no window can be opened."""
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        raise ValueError(
            "--show: this OpenCV opens no windows; 'pip uninstall opencv-python-headless', then "
            "'pip install opencv-python'"
        )
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ValueError("--show: expected a screen, got none (DISPLAY is not set)")


class Window:
    """A window for results: frames follow one another, a picture stays until a key is pressed."""

    TITLE = "yolo3 detect"

    def __init__(self, class_names: Sequence[str]):
        self.class_names = class_names

    def show(self, shot: Shot, image: np.ndarray, found: Detections) -> bool:
        """Show a picture with its boxes; returns False when the user wants no more: Esc, q, or the window closed."""
        drawn = draw_boxes(image, found.boxes, found.class_ids, self.class_names, found.scores)
        cv2.namedWindow(self.TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        cv2.imshow(self.TITLE, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1)
        while key < 0 and shot.frame is None and self._is_open():
            key = cv2.waitKey(50)
        return key not in (_ESCAPE, ord("q")) and self._is_open()

    def _is_open(self) -> bool:
        return cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) >= 1


# What was found


@dataclass
class Report:
    """What was found so far: a tally for each path, and the best scores that are not above the threshold."""

    class_names: Sequence[str]
    score_threshold: float
    tallies: dict[str, "Tally"] = field(default_factory=dict)
    num_unreadable: int = 0
    _weak: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, shot: Shot, found: Detections) -> Detections:
        """Note the detections of a picture and return those above the threshold."""
        above = found.scores > self.score_threshold
        strong = Detections(found.boxes[above], found.scores[above], found.class_ids[above])
        self.tallies.setdefault(shot.source.path, Tally()).add(shot, [self.class_names[i] for i in strong.class_ids])
        place = shot.source.path if shot.frame is None else f"{shot.source.path} frame {shot.frame}"
        weak = zip(found.scores[~above].tolist(), found.class_ids[~above], strict=True)
        self._weak += [(score, self.class_names[class_id], place) for score, class_id in weak]
        self._weak = sorted(self._weak, reverse=True)[:_WEAK_SHOWN]
        return strong

    def note_unreadable(self, write: Callable[..., Any]) -> Callable:
        """Return the function that is told of pictures that cannot be read."""

        def on_error(_, error: Exception) -> None:
            self.num_unreadable += 1
            write(f"yolo3 detect: {in_one_line(error)}", file=sys.stderr)

        return on_error

    def print_summary(self, results: str) -> None:
        for line in self.summary(results):
            print(line)

    def summary(self, results: str) -> list[str]:
        """Return lines: what each source shows, where the results are, what to do when nothing was found."""
        if not self.tallies:
            return []
        nothing = f"nothing above {self.score_threshold:g}"
        lines = [f"{path}: {tally.in_words() or nothing}" for path, tally in self.tallies.items()]
        lines += [results] if results else []
        return lines if any(tally.objects for tally in self.tallies.values()) else lines + self._advice()

    def _advice(self) -> list[str]:
        if not self._weak:
            return ["Nothing was found, at any score: are these the right weights?"]
        best = self._weak[0][0]
        return [
            f"Nothing was found above {self.score_threshold:g}. The best scores under it:",
            *(f"  {score:.4f}  {name}  {path}" for score, name, path in self._weak),
            "To see them, lower the threshold: --score-threshold "
            f"{_below(best):g}. If they are wrong too: are --resize and --input-size those of the training, "
            "and are the pictures like those that the network was trained on?",
        ]


@dataclass
class Tally:
    """What a source shows."""

    frames: int = 0  # 0 for a picture
    objects: Counter = field(default_factory=Counter)
    frames_with: Counter = field(default_factory=Counter)

    def add(self, shot: Shot, names: Sequence[str]) -> None:
        self.frames += shot.frame is not None
        self.objects.update(names)
        self.frames_with.update(set(names))

    def in_words(self) -> str:
        """Return "2 dog, 1 car" for a picture, "250 frames; dog in 120, car in 7" for a video."""
        if not self.frames:
            return ", ".join(f"{number} {name}" for name, number in self.objects.items())
        counted = ", ".join(f"{name} in {number}" for name, number in self.frames_with.most_common())
        return f"{self.frames} frames; {counted}" if counted else ""


def _below(score: float) -> float:
    """Return a round number somewhat below a score: .0731 gives .03."""
    return float(f"{score / 2:.0e}") if score > 0 else 0.0
