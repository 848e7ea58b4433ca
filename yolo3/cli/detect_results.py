"""Where the results of ``yolo3 detect`` go: the options, checks before the work, and writers."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.datasets.formats.yolo_labels import find_label
from yolo3.inference.sources import Source
from yolo3.inference.writers.coco_results import CocoFile
from yolo3.inference.writers.crops import CropsFolder
from yolo3.inference.writers.drawn import DrawnFiles
from yolo3.inference.writers.json_csv import CsvFile, JsonFile
from yolo3.inference.writers.writer import Writer
from yolo3.inference.writers.yolo_dataset import YoloDataset
from yolo3.inference.writers.yolo_txt import YoloTxtFolder
from yolo3.outputs import check_outputs, require_new_folder


def add_result_options(group) -> None:
    """Add the options that say which results are written, and where."""
    group.add_argument(
        "--output",
        default="detections",
        metavar="DIR",
        help="folder for images and videos (.mp4, without sound) with boxes (default: %(default)s)",
    )
    group.add_argument("--no-images", action="store_true", help="do not write images and videos with boxes")
    group.add_argument("--no-pictures", dest="no_images", action="store_true", help=argparse.SUPPRESS)  # the old name
    group.add_argument("--json", metavar="FILE", help="write the detections as JSON, an object per image or frame")
    group.add_argument("--csv", metavar="FILE", help="write the detections as CSV, one per line")
    group.add_argument(
        "--coco",
        metavar="FILE",
        help="write the detections in COCO's results format; the id of an image is its name where all names are "
        "numbers, else its position from 1; COCO's own classes have COCO's ids, others count from 1",
    )
    group.add_argument(
        "--coco-images", metavar="FILE", help="COCO annotations that give the ids of images and classes for --coco"
    )
    group.add_argument(
        "--yolo-txt",
        metavar="DIR",
        help="write a text file per image: class, centre x and y, width, height (fractions of the image)",
    )
    group.add_argument(
        "--yolo-scores", action="store_true", help="with --yolo-txt: add the score, which labels do not have"
    )
    group.add_argument(
        "--dataset",
        metavar="DIR",
        help="write images and detections as a YOLO data set, a new folder, to be corrected in a labelling tool and "
        "trained on",
    )
    group.add_argument("--crops", metavar="DIR", help="write each detection as an image, in a folder for its class")
    group.add_argument("--show", action="store_true", help="show the results in a window; Esc or q quits")


def check_results(arguments: argparse.Namespace, sources: Sequence[Source], drawn: Iterable[Path]) -> None:
    """Check that results can be written and overwrite neither inputs, nor labels, nor one another.

    Args:
        arguments: The options of `add_result_options`.
        sources: What is detected in.
        drawn: Paths of the images and videos with boxes.

    Raises:
        ValueError: Naming the path, and what is wrong with it.
    """
    drawn = list(drawn)
    files = [path for path in (arguments.json, arguments.csv, arguments.coco) if path]
    check_outputs(*drawn, *files)
    if arguments.dataset:
        require_new_folder(arguments.dataset)
        check_outputs(Path(arguments.dataset, "data.yaml"))
    for folder in filter(None, (arguments.yolo_txt, arguments.crops)):
        check_outputs(*(Path(folder, f"{source.name}.txt") for source in sources))

    taken = {os.path.realpath(source.path): "an input" for source in sources}
    taken |= {os.path.realpath(path): "an image with boxes" for path in drawn}
    for path in files:
        if os.path.realpath(path) in taken:
            raise ValueError(f"{path}: expected a file for detections alone, got {taken[os.path.realpath(path)]}")
        taken[os.path.realpath(path)] = "that of another format"

    for source in sources:
        if arguments.crops and source.kind != "camera":
            if Path(arguments.crops).resolve() in Path(source.path).resolve().parents:
                raise ValueError(
                    f"{arguments.crops}: expected a folder for crops alone, got one that holds {source.path}"
                )
        if arguments.yolo_txt and source.kind == "image":
            path = Path(arguments.yolo_txt, f"{source.name}.txt")
            label = find_label(source.path) if path.exists() else None
            if label is not None and os.path.samefile(label, path):
                raise ValueError(f"{path}: expected a new file, got the labels of {source.path}; give another folder")


def open_writers(
    arguments: argparse.Namespace,
    class_names: Sequence[str],
    sources: Sequence[Source],
    drawn: dict[Source, Path],
    coco_ids: CocoIds | None,
) -> list[Writer]:
    """Return a writer for each kind of result that is wanted.

    Args:
        arguments: The options of `add_result_options`.
        class_names: Names of the detector's classes.
        sources: What is detected in.
        drawn: Path of the image or video with boxes of each source; empty where none are wanted.
        coco_ids: Ids of images and classes, where `--coco-images` gives them.
    """
    writers: list[Writer] = [DrawnFiles(drawn, class_names)] if drawn else []

    if arguments.yolo_txt:
        writers.append(YoloTxtFolder(arguments.yolo_txt, arguments.yolo_scores))
    if arguments.dataset:
        writers.append(YoloDataset(arguments.dataset, class_names))
    if arguments.crops:
        writers.append(CropsFolder(arguments.crops, class_names))
    if arguments.json:
        writers.append(JsonFile(arguments.json, class_names))
    if arguments.csv:
        writers.append(CsvFile(arguments.csv, class_names))
    if arguments.coco:
        writers.append(CocoFile(arguments.coco, class_names, sources, coco_ids))
    return writers


def results_in_words(arguments: argparse.Namespace) -> str:
    """Return where the results are, as text."""
    drawn = [] if arguments.no_images else [f"Images with boxes: {arguments.output}"]
    paths = [getattr(arguments, name) for name in ("json", "csv", "coco", "yolo_txt", "dataset", "crops")]
    files = ", ".join(path for path in paths if path)
    return "; ".join([*drawn, *([f"detections: {files}"] if files else [])])
