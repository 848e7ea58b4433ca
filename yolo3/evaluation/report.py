"""The report of an evaluation: one HTML page that holds everything it shows, for screens of any size and for print.

``templates/report.html`` has the layout and most of the text; this module prepares what is filled in. The page has no
scripts and loads nothing, which its Content-Security-Policy enforces: charts are SVG and photographs reduced JPEGs, all
in data URIs. Figures are ``<data>`` elements whose ``value`` has all digits.
"""

from __future__ import annotations

import base64
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from yolo3 import __version__
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.evaluation.advice import REMEDIES, evaluation_advice, name_of
from yolo3.evaluation.coco import SIZES
from yolo3.evaluation.errors import BACKGROUND_IOU, KINDS
from yolo3.evaluation.measures import (
    ImageError,
    Measures,
    at_thresholds,
    best_point,
    confusions,
    found_by_size,
    image_costs,
    image_errors,
)
from yolo3.files import base_name, replace_file
from yolo3.visualize.charts import (
    confusion_chart,
    precision_recall_chart,
    score_histogram,
    size_histogram,
    svg,
    threshold_chart,
)

IMAGES = 12  # shown, those with the highest cost
_IMAGE_SIDE = 720  # pixels of the longer side in the page; as JPEG some 100 kB
_JPEG_QUALITY = 80
_ERRORS_LISTED = 12  # of one image
_CONFUSIONS_LISTED = 10


@dataclass(frozen=True)
class Subject:
    """Say what was evaluated.

    Attributes:
        title: heading of the page.
        facts: names and values that stand near the top of the page.
        settings: names and values that stand at its end.
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
        path: the file.
        subject: what was evaluated.
        measures: figures of these ground truths and detections.
        ground_truths: one annotation per image; the images that are shown are read again.
        detections: one record per image, in the same order.
        most_images: how many of the images with the highest cost are shown.

    Raises:
        OSError, ValueError: for an image that cannot be read; nothing is written then.
    """
    replace_file(path, build_report(subject, measures, ground_truths, detections, most_images))


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
        {"cost": float(costs[index])} | _image(measures, index, ground_truths[index], detections[index])
        for index in worst
    ]
    counts = {kind: measures.kinds.counts[kind] for kind in KINDS}
    ranked, silent = _ranked_classes(measures)

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
        silent_classes=[measures.class_names[index] for index in silent],
        precision_recall=_precision_recall(measures),
        thresholds=_thresholds(measures),
        counts=counts,
        num_errors=sum(counts.values()),
        remedies=REMEDIES,
        confusion=_confusion(measures),
        confusions=_confusion_rows(measures),
        num_confusions=len(confusions(measures)),
        scores=_scores(measures),
        sizes=_sizes(measures),
        num_with_errors=int((costs > 0).sum()),
        images=images,
    )


def _code(text: str) -> Markup:
    """Return escaped text in which `commands` and --options are code, which is not broken at a hyphen."""
    return Markup(re.sub(r"`([^`]+)`|(?<!\S)(--[a-z-]+)", r"<code>\1\2</code>", str(escape(text))))


def _ranked_classes(measures: Measures) -> tuple[list[int], list[int]]:
    """Return the classes that there is something to say about, lowest AP50 first, and the others."""
    ap = np.array([measures.coco["per_class"][name]["AP50"] for name in measures.class_names])
    order = [int(index) for index in np.argsort(np.where(np.isnan(ap), 2.0, ap), kind="stable")]
    seen = (measures.fixed.num_ground_truths > 0) | (measures.false_positives > 0)
    return [index for index in order if seen[index]], [index for index in range(len(ap)) if not seen[index]]


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


# Charts: None where there is nothing to draw.


def _chart(figure: Figure, alt: str) -> dict:
    """Return a chart as the template shows it: its address, its width in pixels and its words."""
    address = "data:image/svg+xml;base64," + base64.b64encode(svg(figure).encode()).decode("ascii")
    return {"source": address, "width": round(110 * figure.get_figwidth()), "alt": alt}


def _precision_recall(measures: Measures) -> dict | None:
    curves = dict(zip(measures.class_names, measures.fixed.curves))
    known = {name: curve.ap for name, curve in curves.items() if not math.isnan(curve.ap)}
    if not known:
        return None
    low, high = min(known, key=lambda name: known[name]), max(known, key=lambda name: known[name])
    alt = (
        f"Precision against recall of {len(known)} classes: AP50 from {known[low]:.3f} ({low}) to {known[high]:.3f} "
        f"({high})"
    )
    return _chart(precision_recall_chart(curves), alt)


def _thresholds(measures: Measures) -> dict | None:
    points = at_thresholds(measures.fixed.overall)
    if not points.size or not len(measures.found):
        return None
    score, precision, recall, f1 = measures.best
    alt = "Precision, recall and F1 against the score threshold; there are no hits"
    if not math.isnan(score):
        alt = (
            f"Precision, recall and F1 against the score threshold: F1 is largest, {f1:.3f}, at {score:.3f}, with "
            f"precision {precision:.3f} and recall {recall:.3f}"
        )
    return _chart(threshold_chart(points, used=measures.score_threshold, best=score), alt)


def _scores(measures: Measures) -> dict | None:
    if not len(measures.scores):
        return None
    hits, false = measures.scores[measures.hit], measures.scores[~measures.hit]
    below = [int((scores < np.float32(0.1)).sum()) for scores in (hits, false)]
    alt = f"Histogram of scores from 0.1 up: {len(hits) - below[0]} hits and {len(false) - below[1]} false positives"
    return _chart(score_histogram(hits, false, used=measures.score_threshold), alt) | {"below": below}


def _sizes(measures: Measures) -> dict | None:
    if not len(measures.sides):
        return None
    groups = []
    for name, (found, count) in found_by_size(measures).items():
        if count:
            ap = measures.coco[f"AP_{name}"]
            groups.append(f"{name} {found} of {count}" + ("" if math.isnan(ap) else f" (AP {ap:.3f})"))
    told = ", ".join(groups)
    figure = size_histogram(
        measures.sides[measures.found],
        measures.sides[~measures.found],
        limits=[SIZES[name][0] for name in ("medium", "large")],
    )
    return _chart(figure, f"Histogram of object sizes. Found: {told}") | {"told": told}


def _confusion(measures: Measures) -> dict | None:
    """Return the confusion matrix of the classes that are annotated or detected."""
    matrix = measures.confusion
    active = np.flatnonzero(matrix[:-1].sum(axis=1) + matrix[:, :-1].sum(axis=0))
    if not len(active):
        return None
    chosen = np.append(active, len(matrix) - 1)
    figure = confusion_chart(matrix[np.ix_(chosen, chosen)], [measures.class_names[index] for index in active])
    alt = (
        f"Confusion matrix of {len(active)} classes: {int(np.trace(matrix))} hits, {int(matrix[:, -1].sum())} objects "
        f"not found, {int(matrix[-1].sum())} detections without an object"
    )
    return _chart(figure, alt)


def _confusion_rows(measures: Measures) -> list[dict]:
    names, objects = measures.class_names, measures.fixed.num_ground_truths
    return [
        {"true": names[true], "detected": names[detected], "count": count, "objects": objects[true]}
        for true, detected, count in confusions(measures)[:_CONFUSIONS_LISTED]
    ]


# Images


def _image(measures: Measures, index: int, ground_truth: Annotation, found: Detections) -> dict:
    """Return an image with its boxes and errors as the template shows them; boxes are (x, y, width, height)."""
    image = read_image(ground_truth.image_path)
    height, width = image.shape[:2]
    errors = image_errors(measures, index, ground_truth, found)
    hits = found.boxes[measures.kinds.detection_kinds[index] == "hit"]
    counts = {kind: sum(error.kind == kind for error in errors) for kind in KINDS}
    told = [f"{len(hits)} {'hit' if len(hits) == 1 else 'hits'}"]
    told += [
        f"{count} {name_of(kind)}{'s' * (kind == 'localization' and count > 1)}"
        for kind, count in counts.items()
        if count
    ]

    # The number of an error stands on a disc at the top left corner of its box, inside the image.
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
        "told": ", ".join(told),
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
