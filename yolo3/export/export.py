"""Export a detector to a file, which takes its place only when its own runtime has computed the same with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.evaluation.evaluate import evaluate
from yolo3.export.compare import TOLERANCES, Comparison, compare
from yolo3.export.graph import ExportGraph
from yolo3.export.images import CALIBRATED, COMPARED, sample_images
from yolo3.export.registry import EXPORTERS
from yolo3.export.settings import ARGUMENTS, ExportSettings
from yolo3.files import replace_file
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.registry import RUNTIMES
from yolo3.models.metadata import format_metadata
from yolo3.ops.letterbox import resize_image
from yolo3.temporary import put_in_place, temporary_path

AP_TOLERANCE = 0.02  # that int8 may fall below float32


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and how it compares.

    Args:
        path: The file, or the folder of a SavedModel.
        size: Bytes of all its files.
        comparison: Differences from the network.
        average_precision: (AP50, AP) of the network and of the file on the data, by "network" and "file"; empty where
            none was measured.
    """

    path: Path
    size: int
    comparison: Comparison
    average_precision: dict[str, tuple[float, float]]


class DifferentError(ValueError):
    """A file computes something else than the network that it was made of."""


@ARGUMENTS.in_messages()
def export(
    detector: Detector,
    path: str | os.PathLike,
    settings: ExportSettings,
    annotations: Sequence[Annotation] = (),
) -> Exported:
    """Write an exported file and its metadata beside it, if the file computes what the network does.

    Args:
        detector: The network with its thresholds and input size, of Keras and in float32.
        path: The file to write; a folder for a SavedModel.
        settings: What it computes.
        annotations: Images to compare on and, for int8, to calibrate and to measure average precision with.

    Returns:
        The file and the comparison.

    Raises:
        DifferentError: With what differs, where that is more than rounding; nothing is written then.
        ValueError: If a package is missing or settings do not fit.
        OSError: If the file cannot be written.
    """
    exporter = EXPORTERS[settings.format]
    exporter.check_packages()
    if settings.precision == "int8" and not annotations:
        raise ValueError("int8: expected annotated images, to calibrate and measure with, got none")
    path = Path(path)
    graph = ExportGraph(detector, settings, settings.batch or exporter.batch)
    metadata = graph.metadata()
    calibration = None
    if settings.precision == "int8":
        images = sample_images(annotations, CALIBRATED)
        calibration = np.stack([resize_image(image, detector.input_shape, detector.resize) for image in images])

    path.parent.mkdir(parents=True, exist_ok=True)
    folder = temporary_path(path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        try:
            exporter.load()(graph, folder / path.name, metadata, calibration)
        except OSError:
            raise
        except Exception as error:  # converters raise almost anything
            message = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{settings.format}: this network cannot be converted: {message}") from error
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        comparison, average_precision = _check(graph, folder / path.name, annotations)
        for written in sorted(folder.iterdir()):
            _move(written, path.parent / written.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    replace_file(metadata_path(path), format_metadata(metadata) + "\n")
    return Exported(path, size, comparison, average_precision)


def metadata_path(path: str | os.PathLike) -> Path:
    """Return the path of the JSON file beside an exported file: "best.onnx.json"."""
    return Path(f"{os.fspath(path)}.json")


def default_path(weights: str | os.PathLike, settings: ExportSettings) -> Path:
    """Return the path of an exported file without a name of its own: "best.onnx", "best_int8.onnx" beside best.h5."""
    path = Path(weights)
    stem = path.name.removesuffix(".weights.h5") if path.name.endswith(".weights.h5") else path.stem
    if settings.precision != "float32":
        stem += f"_{settings.precision}"
    suffix = RUNTIMES[settings.format].suffix or f"_{settings.format}"
    return path.with_name(stem + suffix)


def _check(graph: ExportGraph, path: Path, annotations: Sequence[Annotation]) -> tuple[Comparison, dict]:
    """Compare a file with the network. Raises `DifferentError` above the tolerance."""
    detector, settings = graph.detector, graph.settings
    exported = Detector(
        path,
        score_threshold=detector.score_threshold,
        iou_threshold=detector.iou_threshold,
        max_boxes=detector.max_boxes,
        nms=settings.suppression or detector.nms,
        nms_overlap=detector.nms_overlap,
        batch_size=detector.batch_size,
    )
    tolerance = TOLERANCES.get(settings.precision, TOLERANCES["float16"])
    comparison = compare(graph, exported, sample_images(annotations, COMPARED), tolerance)
    if settings.precision != "int8":
        failures = comparison.failures(tolerance)
        if failures:
            raise DifferentError(f"{settings.format}: not written, as {'; '.join(failures)}")
        return comparison, {}

    figures = {}
    for name, each in (("network", detector), ("file", exported)):
        results = evaluate(each, annotations)
        figures[name] = results["AP50"], results["AP"]
    loss = figures["network"][1] - figures["file"][1]
    if not loss <= AP_TOLERANCE:
        raise DifferentError(
            f"{settings.format}: not written, as AP on the data falls from {figures['network'][1]:.3f} to "
            f"{figures['file'][1]:.3f} in int8 (allowed: {AP_TOLERANCE:g} less)"
        )
    return comparison, figures


def _move(written: Path, path: Path) -> None:
    """Put a written file or folder in its place, instead of one that is there; links and modes stay."""
    target = Path(os.path.realpath(path))
    former = temporary_path(target, ".former")
    if target.is_dir():
        os.replace(target, former)
    put_in_place(written, target)
    shutil.rmtree(former, ignore_errors=True)
