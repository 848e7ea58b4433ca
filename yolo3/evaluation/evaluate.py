"""Run a detector over annotated images, measure it, and describe what was evaluated."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from yolo3 import __version__
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.class_names import bad_id_message
from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.detections import Detections
from yolo3.evaluation.advice import some_of
from yolo3.evaluation.coco import coco_results
from yolo3.files import replace_file
from yolo3.inference.detector import Detector
from yolo3.inference.writers.coco_results import coco_detections_json

if TYPE_CHECKING:
    from yolo3.evaluation.report import Subject

Progress = Callable[[int, int], None]

_SCORE_SETTING = "Score threshold for precision, errors and images"


def detect_annotations(
    detector: Detector, annotations: Sequence[Annotation], progress: Progress | None = None
) -> list[Detections]:
    """Return the detections in each annotated image, in order.

    Args:
        detector: What detects.
        annotations: The images.
        progress: Called with (images done, all images) after each image.

    Returns:
        One record per image.
    """
    found = []
    for index, _, detections in detector.detect_each([annotation.image_path for annotation in annotations]):
        found.append(detections)
        if progress is not None:
            progress(index + 1, len(annotations))
    return found


def evaluate(
    detector: Detector,
    annotations: Sequence[Annotation],
    class_names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict:
    """Detect objects in annotated images and return COCO's numbers.

    Args:
        detector: Its ``score_threshold`` should be :data:`yolo3.ops.nms_methods.AP_SCORE_THRESHOLD`.
        annotations: Images with their ground truth.
        class_names: Classes of the annotations, which have to be the detector's.
        progress: Called with (images done, all images) after each image.

    Returns:
        The dict of :func:`yolo3.evaluation.coco.coco_results`, with "AP50", "AP" and "per_class"
        {name: {"AP50", "AP", "num_truths"}}; NaN where there is no ground truth.

    Raises:
        ValueError: When the classes differ, and for a class id without a name.
    """
    check_classes(detector, annotations, class_names)
    return coco_results(annotations, detect_annotations(detector, annotations, progress), detector.class_names)


def check_classes(detector: Detector, annotations: Sequence[Annotation], class_names=None) -> None:
    """Raise ``ValueError`` unless the classes of the annotations are those of the detector."""
    own = detector.class_names
    if class_names is not None and list(class_names) != own:
        raise ValueError(
            f"{detector.source} knows {len(own)} classes ({some_of(own)}), but the annotations have "
            f"{len(class_names)} ({some_of(class_names)}); both need the same names in the same order"
        )
    for annotation in annotations:
        wrong = [number for number, class_id in enumerate(annotation.class_ids) if not 0 <= class_id < len(own)]
        if wrong:
            message = bad_id_message(int(annotation.class_ids[wrong[0]]), own)
            raise ValueError(f"{annotation.where(wrong[0])}: {message}")


def check_objects(annotations: Sequence[Annotation], path: str) -> None:
    """Raise ``ValueError`` where no object counts, because average precision is undefined then."""
    if any((~annotation.difficult & ~annotation.crowd).any() for annotation in annotations):
        return
    excluded = sum(len(annotation.boxes) for annotation in annotations)
    got = f"only {excluded} difficult objects and crowds, which do not count" if excluded else "none"
    raise ValueError(
        f"{path}: expected annotated objects in {len(annotations)} images, got {got}; use `yolo3 detect` for images "
        "without annotations"
    )


def describe(detector: Detector, weights: str, data: str, data_format: str, score_threshold: float) -> Subject:
    """Describe what is evaluated, for :func:`yolo3.evaluation.report.write_report`.

    Args:
        detector: What detects.
        weights: Path of its weights; the last folder and the name are shown.
        data: Name of the data set.
        data_format: Format of the data set.
        score_threshold: That of precision, recall and errors; the detector has its own.

    Returns:
        The title, facts and settings of the report.
    """
    from yolo3.evaluation.report import Subject  # needs Jinja2 and matplotlib

    name = "/".join(Path(os.path.abspath(weights)).parts[-2:])
    height, width = detector.input_shape
    files = [Path(weights)] if os.path.isfile(weights) else sorted(filter(Path.is_file, Path(weights).rglob("*")))
    checksum = hashlib.sha256()
    for path in files:  # several for a SavedModel
        checksum.update(path.read_bytes())
    modules = [importlib.import_module(module) for module in (*detector.network.packages, "numpy")]
    versions = [f"yolo3 {__version__}", f"Python {platform.python_version()}"]
    versions += [f"{module.__name__} {getattr(module, '__version__', '')}".strip() for module in modules]

    facts = {
        "Weights": f"{name}, {sum(map(os.path.getsize, files)) / 1e6:.1f} MB, SHA-256 {checksum.hexdigest()[:16]}",
        "Network": detector.network.title,
        **_facts(detector.class_names, data, data_format),
    }
    settings = {
        "Network input": f"{width} x {height} pixels (width x height)",
        "Resize": detector.resize,
        "Score threshold for AP": f"{detector.score_threshold:g}",
        _SCORE_SETTING: f"{score_threshold:g}",
        "Non-maximum suppression": f"{detector.nms}, {detector.nms_overlap} above {detector.iou_threshold:g}",
        "Detections per image": f"at most {detector.max_boxes}; AP uses the best 100 of each class",
        "Versions": ", ".join(versions),
    }
    return Subject(f"Evaluation of {name} on {data}", facts, settings)


def describe_saved(
    files: str, class_names: Sequence[str], data: str, data_format: str, score_threshold: float
) -> Subject:
    """Describe an evaluation of detections from files, as :func:`describe` does that of a detector."""
    from yolo3.evaluation.report import Subject  # needs Jinja2 and matplotlib

    names = ", ".join(os.path.basename(file) for file in files.split(", "))
    facts = {"Detections": names, **_facts(class_names, data, data_format)}
    settings = {_SCORE_SETTING: f"{score_threshold:g}", "Versions": f"yolo3 {__version__}"}
    return Subject(f"Evaluation of {names} on {data}", facts, settings)


def _facts(class_names: Sequence[str], data: str, data_format: str) -> dict[str, str]:
    return {
        "Classes": f"{len(class_names)}: {some_of(class_names)}",
        "Data": f"{data} ({data_format})",
        "Date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
    }


def write_coco_detections(
    path: str | os.PathLike,
    annotations: Sequence[Annotation],
    detections: Sequence[Detections],
    class_names: Sequence[str],
) -> None:
    """Write detections in COCO's results format, atomically.

    Annotations read from COCO JSON give the ids of images and categories. Otherwise an image has the number that is
    its name (000000397133.jpg), or its place from 1 where a name is not a number or occurs twice, and the first class
    is category 1.
    """
    ids = coco_ids(annotations, class_names) or (_image_numbers(annotations), None)
    replace_file(path, json.dumps(coco_detections_json(detections, *ids)))


def coco_ids(annotations: Sequence[Annotation], class_names: Sequence[str]) -> tuple[list, list[int]] | None:
    """Return (id of each image, id of each category) as the COCO JSON files of the annotations have them.

    ``None`` when annotations do not all come from such files, or these lack an image or a class. Raises ``ValueError``
    when several images of a file fit an annotation equally well.
    """
    sources = {annotation.source for annotation in annotations}
    if not sources or not all(source.lower().endswith(".json") for source in sources):
        return None
    ids = {source: CocoIds(source) for source in sources}
    categories = {name: number for source in ids.values() for name, number in source.categories.items()}
    image_ids = [ids[annotation.source].image_id(annotation.image_path) for annotation in annotations]
    if None in image_ids or not set(class_names) <= set(categories):
        return None
    return image_ids, [categories[name] for name in class_names]


def _image_numbers(annotations: Sequence[Annotation]) -> list[int]:
    stems = [Path(annotation.image_path).stem for annotation in annotations]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return [int(stem) for stem in stems]
    return list(range(1, len(stems) + 1))
