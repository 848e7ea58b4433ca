"""The report of an evaluation: one HTML page that holds everything it shows, for screens of any size and for print.

``templates/report.html`` has the layout and most of the text; this module prepares what is filled in. The page has no
scripts and loads nothing, which its Content-Security-Policy enforces: charts are SVG and images reduced JPEGs, all
in data URIs. Figures are ``<data>`` elements whose ``value`` has all digits.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from yolo3 import __version__
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.evaluation.advice import REMEDIES, evaluation_advice, name_of
from yolo3.evaluation.errors import BACKGROUND_IOU, KINDS
from yolo3.evaluation.measures import (
    ImageError,
    Measures,
    best_point,
    confusions,
    image_costs,
    image_errors,
)
from yolo3.evaluation.report_charts import confusion_chart, recall_chart, score_chart, size_chart, threshold_chart
from yolo3.files import base_name, replace_file

IMAGES = 12  # shown, those with the highest cost
_IMAGE_SIDE = 720  # pixels of the longer side in the page; as JPEG some 100 kB
_JPEG_QUALITY = 80
_ERRORS_LISTED = 12  # of one image
_CONFUSIONS_LISTED = 10


@dataclass(frozen=True)
class Subject:
    """Say what was evaluated.

    Attributes:
        title: Heading of the page.
        facts: Names and values near the top of the page.
        settings: Names and values at its end.
    """

    title: str
    facts: Mapping[str, str]
    settings: Mapping[str, str]


def write_report(
    path: str | os.PathLike,
    subject: Subject,
    measures: Measures,
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    most_images: int = IMAGES,
) -> None:
    """Write the report of an evaluation as an HTML file, atomically.

    Args:
        path: The file.
        subject: What was evaluated.
        measures: Figures of these ground truths and detections.
        ground_truths: One annotation per image; the images that are shown are read again.
        detections: One record per image, in the same order.
        most_images: How many of the images with the highest cost are shown.

    Raises:
        OSError, ValueError: For an image that cannot be read; nothing is written then.
    """
    page = build_report(subject, measures, ground_truths=ground_truths, detections=detections, most_images=most_images)
    replace_file(path, page.encode(errors="backslashreplace").decode())  # names of images that are not UTF-8


def build_report(
    subject: Subject,
    measures: Measures,
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    most_images: int = IMAGES,
) -> str:
    """Return the page that :func:`write_report` writes; arguments and errors are the same."""
    costs = image_costs(measures, detections)
    worst = [int(index) for index in np.argsort(-costs, kind="stable")[:most_images] if costs[index] > 0]
    images = [
        {"cost": float(costs[index])}
        | _image(measures, index, ground_truth=ground_truths[index], found=detections[index])
        for index in worst
    ]
    counts = {kind: measures.kinds.counts[kind] for kind in KINDS}

    # Classes that there is something to say about, lowest AP50 first, and the others.
    ap = np.array([measures.coco["per_class"][name]["AP50"] for name in measures.class_names])
    seen = (measures.fixed.num_ground_truths > 0) | (measures.false_positives > 0)
    ranked = [int(index) for index in np.argsort(np.where(np.isnan(ap), 2.0, ap), kind="stable") if seen[index]]

    environment = Environment(
        loader=PackageLoader("yolo3.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"name_of": name_of, "code": _code}
    return environment.get_template("report.html").render(
        version=__version__,
        subject=subject,
        measures=measures,
        advice=evaluation_advice(measures),
        num_ignored=sum(len(matches.counted) for matches in measures.matches) - len(measures.found),
        best=dict(zip(("score", "precision", "recall", "f1"), measures.best)),
        classes=[_class_row(measures, index) for index in ranked],
        silent_classes=[name for name, known in zip(measures.class_names, seen) if not known],
        recall_chart=recall_chart(measures),
        threshold_chart=threshold_chart(measures),
        counts=counts,
        num_errors=sum(counts.values()),
        remedies=REMEDIES,
        confusion_chart=confusion_chart(measures),
        confusions=confusions(measures),
        most_confusions=_CONFUSIONS_LISTED,
        score_chart=score_chart(measures),
        size_chart=size_chart(measures),
        num_with_errors=int((costs > 0).sum()),
        images=images,
    )


def _code(text: str) -> Markup:
    """Return escaped text in which `commands` and --options are code, which is not broken at a hyphen."""
    return Markup(re.sub(r"`([^`]+)`|(?<!\S)(--[a-z-]+)", r"<code>\1\2</code>", str(escape(text))))


def _class_row(measures: Measures, index: int) -> dict:
    name, fixed = measures.class_names[index], measures.fixed
    return {
        "name": name,
        "objects": fixed.num_ground_truths[index],
        "figures": [
            *(measures.coco["per_class"][name][figure] for figure in ("AP50", "AP")),
            *(values[index] for values in (fixed.precision, fixed.recall, fixed.f1)),
        ],
        "counts": [
            counts[index] for counts in (measures.true_positives, measures.false_negatives, measures.false_positives)
        ],
        "best_score": best_point(fixed.curves[index])[0],
    }


def _image(measures: Measures, index: int, ground_truth: Annotation, found: Detections) -> dict:
    """Return an image with its boxes and errors as the template shows them; boxes are (x, y, width, height)."""
    image = read_image(ground_truth.image_path)
    height, width = image.shape[:2]
    errors = image_errors(measures, index, ground_truth, found)
    hits = found.boxes[measures.kinds.detection_kinds[index] == "hit"]
    counts = {kind: sum(error.kind == kind for error in errors) for kind in KINDS}
    summary = [f"{len(hits)} {'hit' if len(hits) == 1 else 'hits'}"]
    summary += [f"{count} {name_of(kind, count)}" for kind, count in counts.items() if count]

    # The number of an error is on a disc at the top left corner of its box, inside the image.
    radius = max(height, width) / 45
    badges = [
        (error.kind, min(max(float(x), radius), width - radius), min(max(float(y), radius), height - radius))
        for error in errors[:_ERRORS_LISTED]
        for x, y in [error.box[:2]]
    ]
    return {
        "name": base_name(ground_truth.image_path),
        "source": _jpeg(image),
        "size": (width, height),
        "summary": ", ".join(summary),
        "objects": [_xywh(box) for box in ground_truth.boxes[~measures.kinds.missed[index]]],
        "hits": [_xywh(box) for box in hits],
        "errors": [(error.kind, _xywh(error.box)) for error in errors],
        "badges": badges,
        "radius": radius,
        "words": [_error_words(error, measures.class_names) for error in errors[:_ERRORS_LISTED]],
        "num_unlisted": max(len(errors) - _ERRORS_LISTED, 0),
    }


def _xywh(box: np.ndarray) -> list[float]:
    x, y, right, bottom = box.tolist()
    return [x, y, right - x, bottom - y]


def _error_words(error: ImageError, names: Sequence[str]) -> str:
    """Return an error in words: "RBC 0.62, localization error, IoU 0.43"."""
    name, score = names[error.class_id], f"{error.score:.2f}"
    if error.kind == "missed":
        width, height = error.box[2:] - error.box[:2]
        return f"{name} missed ({width:.0f} x {height:.0f} pixels)"
    if error.kind == "misclassified":
        return f"{name} {score} instead of {names[error.ground_truth_id]}"
    if error.kind == "background":
        on = f"overlaps {names[error.ground_truth_id]}, IoU {error.iou:.2f}"
        return f"{name} {score} {on if error.iou >= BACKGROUND_IOU else 'on background'}"
    return f"{name} {score}, {name_of(error.kind)}, IoU {error.iou:.2f}"


def _jpeg(image: np.ndarray) -> str:
    """Return the image, reduced, as a JPEG in a data URI."""
    scale = _IMAGE_SIDE / max(image.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
