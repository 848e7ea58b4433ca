"""Run a detector over annotated images and say how good it is."""

import hashlib
import importlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import keras

from yolo3 import __version__
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.class_names import bad_id_message
from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.detections import Detections, coco_detections_json
from yolo3.evaluation.advice import some_of
from yolo3.evaluation.coco import coco_results
from yolo3.evaluation.report import Subject
from yolo3.files import replace_file
from yolo3.inference.detector import Detector

Progress = Callable[[int, int], None]


def detect_annotations(
    detector: Detector, annotations: Sequence[Annotation], progress: Progress | None = None
) -> list[Detections]:
    """Return the detections of each annotated image, in order; ``progress`` is called with (done, all)."""
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
    """Detect and compare: COCO's numbers, as :func:`yolo3.evaluation.coco.coco_results` returns them.

    Among them "AP50", "AP" and "per_class" {name: {"AP50", "AP", "num_truths"}}; NaN where there are no
    truths. The detector should have a ``score_threshold`` of :data:`yolo3.detections.AP_SCORE_THRESHOLD`.
    ``class_names``: those of the annotations, which have to be the detector's. Raises ``ValueError`` when they are not,
    and for a class id that names no class.
    """
    check_classes(detector, annotations, class_names)
    return coco_results(annotations, detect_annotations(detector, annotations, progress), detector.class_names)


def check_classes(detector: Detector, annotations: Sequence[Annotation], class_names=None) -> None:
    """Raise ``ValueError`` unless the annotations speak of the detector's classes."""
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
    """Raise ``ValueError`` where no object counts, because average precision says nothing then."""
    aside = sum(len(annotation.boxes) for annotation in annotations)
    if any((~annotation.difficult & ~annotation.crowd).any() for annotation in annotations):
        return
    told = f"none but {aside} difficult ones and crowds, which do not count" if aside else "none"
    raise ValueError(
        f"{path}: expected annotated objects in {len(annotations)} images, got {told}; `yolo3 detect` shows what is "
        "found in images without annotations"
    )


def describe(detector: Detector, weights: str, data: str, data_format: str, score_threshold: float) -> Subject:
    """Return what is evaluated in words for :func:`yolo3.evaluation.report.write_report`.

    ``weights``: their file, of which the last folder and the name are told. ``data``: the name of the data set.
    ``score_threshold``: that of precision, recall and errors; the detector has its own.
    """
    name = "/".join(Path(os.path.abspath(weights)).parts[-2:])
    height, width = detector.input_shape
    facts = {
        "Weights": f"{name}, {os.path.getsize(weights) / 1e6:.1f} MB, SHA-256 {_checksum(weights)[:16]}",
        "Network": f"{detector.model.name}, {detector.model.count_params():,} parameters",
        "Classes": f"{len(detector.class_names)}: {some_of(detector.class_names)}",
        "Data": f"{data} ({data_format})",
        "Date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
    }
    settings = {
        "Network input": f"{width} x {height} pixels (width x height)",
        "Resize": detector.resize,
        "Scores for AP": f"above {detector.score_threshold:g}",
        "Scores for precision, errors and images": f"from {score_threshold:g}",
        "Suppression": f"{detector.nms}, {detector.nms_overlap} above {detector.iou_threshold:g}",
        "Detections an image": f"{detector.max_boxes} at most; AP uses the best 100 of each class",
        "Versions": _versions(),
    }
    return Subject(f"Evaluation of {name} on {data}", facts, settings)


def _checksum(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> str:
    modules = [importlib.import_module(name) for name in ("keras", keras.backend.backend(), "numpy")]
    versions = [f"{module.__name__} {module.__version__}" for module in modules]
    return ", ".join([f"yolo3 {__version__}", f"Python {platform.python_version()}", *versions])


def write_coco_detections(
    path: str | os.PathLike,
    annotations: Sequence[Annotation],
    detections: Sequence[Detections],
    class_names: Sequence[str],
) -> None:
    """Write detections in COCO's results format, in one step.

    Annotations that come from COCO JSON give the ids of images and categories. Otherwise images have the
    number that is their name (000000397133.jpg), or their place from 1 where a name is no number or comes
    twice, and the first class is category 1.
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
