"""``yolo3 detect``: find objects in pictures; write the pictures with boxes, and JSON."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolo3.cli import (
    add_detector_options,
    check_outputs,
    detector_options,
    in_one_line,
    run_command,
    start_tensorflow,
)
from yolo3.datasets.annotation import replace_file, walk_files
from yolo3.images import IMAGE_SUFFIXES
from yolo3.metrics import Detections

SCORE_THRESHOLD = 0.3
_WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # others are written as .png
_WEAK_SHOWN = 10


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 detect``."""
    parser = argparse.ArgumentParser(prog="yolo3 detect", description="Find objects in pictures.")
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE_OR_FOLDER", help="folders are searched with all below"
    )
    add_detector_options(parser, SCORE_THRESHOLD)
    parser.add_argument(
        "--output",
        default="detections",
        metavar="DIR",
        help="folder for pictures with boxes (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the detections as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake or when a picture could not be read."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 detect", lambda: _detect(arguments))


def _detect(arguments: argparse.Namespace) -> int:
    inputs = find_pictures(arguments.pictures, arguments.output)
    targets = output_paths(inputs, arguments.output)
    check_outputs(*targets, arguments.json)
    start_tensorflow()

    from yolo3.detector import load_detector
    from yolo3.draw import draw_boxes, write_image

    # Everything above 0 is asked for, so that weak scores can be shown: suppression goes from strong to weak,
    # and what is above the threshold stays the same.
    detector = load_detector(**detector_options(arguments) | {"score_threshold": 0.0})
    report = Report(detector.class_names, arguments.score_threshold)
    with _bar(len(inputs)) as bar:
        on_error = report.note_unreadable(bar.write)
        for index, image, found in detector.detect_each([path for path, _ in inputs], on_error):
            path = inputs[index][0]
            strong = report.add(path, image, found)
            write_image(targets[index], draw_boxes(image, *strong_parts(strong, detector.class_names)))
            bar.update()
    if arguments.json:
        replace_file(arguments.json, json.dumps(report.records, indent=2) + "\n")
    print("\n".join(report.summary(arguments.output, arguments.json)))
    return 1 if report.num_unreadable else 0


def strong_parts(found: Detections, class_names: Sequence[str]) -> tuple:
    """Return the arguments of ``draw_boxes`` after the picture."""
    return found.boxes, found.class_ids, class_names, found.scores


def _bar(total: int):
    from tqdm import tqdm

    return tqdm(total=total, unit="picture", file=sys.stderr, disable=None if total > 1 else True)


# Which pictures


def find_pictures(arguments: Iterable[str], output: str) -> list[tuple[str, str]]:
    """Return (path, path below the named folder) of all pictures, each once, in order.

    Where the folder ``output`` lies in one that is searched, it is left out: results are no input. Raises
    ``FileNotFoundError`` for what does not exist and ``ValueError`` where there is no picture.
    """
    pictures: dict[str, tuple[str, str]] = {}
    for argument in arguments:
        os.stat(argument)  # says what is wrong with it
        for path in _pictures_in(argument, output) if os.path.isdir(argument) else [argument]:
            below = os.path.relpath(path, argument) if path is not argument else os.path.basename(path)
            pictures.setdefault(os.path.realpath(path), (path, below))
    return list(pictures.values())


def _pictures_in(folder: str, output: str) -> list[str]:
    found = [path for path in walk_files(folder) if path.lower().endswith(IMAGE_SUFFIXES)]
    if Path(folder).resolve() in Path(output).resolve().parents:
        found = [path for path in found if Path(output).resolve() not in Path(path).resolve().parents]
    if not found:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise ValueError(f"{folder}: expected pictures ({suffixes}), got a folder without any")
    return found


def output_paths(inputs: Sequence[tuple[str, str]], output: str) -> list[Path]:
    """Return where each picture with boxes goes: below ``output``, no two to one file, none to an input."""
    taken = {os.path.realpath(path) for path, _ in inputs}
    targets = []
    for _, below in inputs:
        wanted = Path(output, below)
        if wanted.suffix.lower() not in _WRITTEN_SUFFIXES:
            wanted = wanted.with_name(wanted.name + ".png")
        target, number = wanted, 1
        while os.path.realpath(target) in taken:
            number += 1
            target = wanted.with_name(f"{wanted.stem}_{number}{wanted.suffix}")
        taken.add(os.path.realpath(target))
        targets.append(target)
    return targets


# What was found


@dataclass
class Report:
    """What was found so far. ``records``: the content of the JSON file, one dict a picture."""

    class_names: Sequence[str]
    score_threshold: float
    records: list[dict] = field(default_factory=list)
    num_unreadable: int = 0
    _weak: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, path: str, image: np.ndarray, found: Detections) -> Detections:
        """Note the detections of a picture and return those above the threshold."""
        above = found.scores > self.score_threshold
        strong = Detections(found.boxes[above], found.scores[above], found.class_ids[above])
        self.records.append(self._record(path, image, strong))
        weak = zip(found.scores[~above].tolist(), found.class_ids[~above], strict=True)
        self._weak += [(score, self.class_names[class_id], path) for score, class_id in weak]
        self._weak = sorted(self._weak, reverse=True)[:_WEAK_SHOWN]
        return strong

    def _record(self, path: str, image: np.ndarray, found: Detections) -> dict:
        detections = [
            {
                "class_id": int(class_id),
                "class_name": self.class_names[class_id],
                "score": round(float(score), 6),
                "box": [round(float(value), 2) for value in box],
            }
            for box, score, class_id in zip(found.boxes, found.scores, found.class_ids, strict=True)
        ]
        height, width = image.shape[:2]
        return {"image": path, "width": width, "height": height, "detections": detections}

    def note_unreadable(self, write: Callable[..., None]) -> Callable:
        """Return the function that is told of pictures that cannot be read."""

        def on_error(_, error: Exception) -> None:
            self.num_unreadable += 1
            write(f"yolo3 detect: {in_one_line(error)}", file=sys.stderr)

        return on_error

    def summary(self, output: str, json_path: str | None) -> list[str]:
        """Return lines: what each picture shows, where the results are, what to do when nothing was found."""
        lines = [f"{record['image']}: {self._in_words(record['detections'])}" for record in self.records]
        if self.records:
            lines.append(
                f"Pictures with boxes: {output}" + (f"; detections: {json_path}" if json_path else "")
            )
        if self.records and not any(record["detections"] for record in self.records):
            lines += self._advice()
        return lines

    def _in_words(self, detections: list[dict]) -> str:
        names = [detection["class_name"] for detection in detections]
        counted = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        return counted or f"nothing above {self.score_threshold:g}"

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


def _below(score: float) -> float:
    """Return a round number somewhat below a score: .0731 gives .03."""
    return float(f"{score / 2:.0e}") if score > 0 else 0.0
