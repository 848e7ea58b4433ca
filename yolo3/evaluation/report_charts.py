"""The charts of a report: what is drawn of an evaluation, and its description in words.

Each function returns a :class:`Chart`, or ``None`` where there is nothing to draw.
"""

import base64
import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from yolo3.evaluation.coco import SIZES
from yolo3.evaluation.measures import Measures, at_thresholds, found_by_size
from yolo3.visualize import charts


@dataclass(frozen=True)
class Chart:
    """Hold a chart as a page shows it.

    Attributes:
        source: Data URI of the SVG.
        width: Pixels.
        alt: Description for readers who cannot see it.
        note: What the caption adds.
    """

    source: str
    width: int
    alt: str
    note: str = ""


def recall_chart(measures: Measures) -> Chart | None:
    """Return precision against recall, one line per class."""
    curves = dict(zip(measures.class_names, measures.fixed.curves))
    known = {name: curve.ap for name, curve in curves.items() if not math.isnan(curve.ap)}
    if not known:
        return None

    low, high = min(known, key=lambda name: known[name]), max(known, key=lambda name: known[name])
    alt = (
        f"Precision against recall of {len(known)} classes: AP50 from {known[low]:.3f} ({low}) to {known[high]:.3f} "
        f"({high})"
    )
    return _chart(charts.precision_recall_chart(curves), alt)


def threshold_chart(measures: Measures) -> Chart | None:
    """Return precision, recall and F1 against the score threshold."""
    points = at_thresholds(measures.fixed.overall)
    if not points.size or not len(measures.found):
        return None

    score, precision, recall, f1 = measures.best
    alt = "Precision, recall and F1 against the score threshold"
    if math.isnan(score):
        alt += "; there are no hits"
    else:
        alt += f": F1 is largest, {f1:.3f}, at {score:.3f}, with precision {precision:.3f} and recall {recall:.3f}"
    return _chart(charts.threshold_chart(points, used=measures.score_threshold, best=score), alt)


def confusion_chart(measures: Measures) -> Chart | None:
    """Return the confusion matrix of the classes that are annotated or detected."""
    matrix = measures.confusion
    active = np.flatnonzero(matrix[:-1].sum(axis=1) + matrix[:, :-1].sum(axis=0))
    if not len(active):
        return None

    chosen = np.append(active, len(matrix) - 1)
    names = [measures.class_names[index] for index in active]
    alt = (
        f"Confusion matrix of {len(active)} classes: {int(np.trace(matrix))} hits, {int(matrix[:, -1].sum())} objects "
        f"not found, {int(matrix[-1].sum())} detections without an object"
    )
    return _chart(charts.confusion_chart(matrix[np.ix_(chosen, chosen)], names), alt)


def score_chart(measures: Measures) -> Chart | None:
    """Return the histogram of the scores of hits and of false positives; the note counts what is below it."""
    if not len(measures.scores):
        return None

    hits, false = measures.scores[measures.hit], measures.scores[~measures.hit]
    low_hits, low_false = (int((scores < np.float32(0.1)).sum()) for scores in (hits, false))
    alt = f"Histogram of scores from 0.1 up: {len(hits) - low_hits} hits and {len(false) - low_false} false positives"
    note = f"{low_hits:,} hits and {low_false:,} false positives"
    return _chart(charts.score_histogram(hits, false, used=measures.score_threshold), alt, note)


def size_chart(measures: Measures) -> Chart | None:
    """Return the histogram of the sizes of objects; the note says how many of each size group were found."""
    if not len(measures.sides):
        return None

    groups = []
    for name, (found, count) in found_by_size(measures).items():
        if count:
            ap = measures.coco[f"AP_{name}"]
            groups.append(f"{name} {found} of {count}" + ("" if math.isnan(ap) else f" (AP {ap:.3f})"))
    note = ", ".join(groups)

    figure = charts.size_histogram(
        measures.sides[measures.found],
        measures.sides[~measures.found],
        limits=[SIZES[name][0] for name in ("medium", "large")],
    )
    return _chart(figure, f"Histogram of object sizes. Found: {note}", note)


def _chart(figure: Figure, alt: str, note: str = "") -> Chart:
    source = "data:image/svg+xml;base64," + base64.b64encode(charts.svg(figure).encode()).decode("ascii")
    return Chart(source=source, width=round(110 * figure.get_figwidth()), alt=alt, note=note)
