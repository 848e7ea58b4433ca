"""The report of an evaluation: one HTML page that holds all it shows, to be read on screens of any size and printed.

The page has no scripts and asks no network for anything, which its Content-Security-Policy enforces: charts are inline
SVG, photographs reduced JPEGs in data URIs. Figures are ``<data>`` elements: their ``value`` has all digits.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

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
from yolo3.visualize.charts import BAD, GOOD, PALE, STYLE, Line, bar_chart, colour_of, confusion_map, line_chart, shade

IMAGES = 12  # the worst ones that are shown
_IMAGE_SIDE = 720  # pixels of the longer side in the page; as JPEG some 100 kB
_JPEG_QUALITY = 80
_ERRORS_LISTED = 12  # of one image
_TABLE_CLASSES = 12  # a confusion matrix of more classes is drawn, not written
_NAMED_CURVES = 10
_SIDES = (0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)  # edges of the histogram, in pixels

# Boxes on photographs: from Okabe and Ito's palette, as the charts.
_KIND_COLOURS = {
    "missed": "#E69F00",
    "misclassified": "#CC79A7",
    "localization": "#0072B2",
    "duplicate": "#333333",
    "background": "#D55E00",
}
_HIT_COLOUR = "#009E73"


@dataclass(frozen=True)
class Subject:
    """What was evaluated, in words. ``facts`` stand at the top of the page, ``settings`` at its end."""

    title: str
    facts: Mapping[str, str]
    settings: Mapping[str, str]


def write_report(
    path: str | os.PathLike,
    subject: Subject,
    measures: Measures,
    truths: Sequence[Annotation],
    detections: Sequence[Detections],
    most_images: int = IMAGES,
) -> None:
    """Write the page in one step. ``measures``: of these ``truths`` and ``detections``, one entry an image.

    The photographs of the worst ``most_images`` are read again. Raises ``OSError`` and ``ValueError`` for one that
    cannot be, and then writes nothing.
    """
    replace_file(path, build_report(subject, measures, truths, detections, most_images))


def build_report(
    subject: Subject,
    measures: Measures,
    truths: Sequence[Annotation],
    detections: Sequence[Detections],
    most_images: int = IMAGES,
) -> str:
    """Return the page as :func:`write_report` writes it."""
    sections = [
        _section("summary", "In short", _list(evaluation_advice(measures)), _headline(measures), _terms(measures)),
        _section("subject", "What was evaluated", _facts({**subject.facts, **_counts(measures)})),
        _section("classes", "Class by class", _class_table(measures)),
        _section("curves", "Precision and recall", _columns(_recall_chart(measures), _threshold_chart(measures))),
        _section("errors", "Kinds of error", _error_table(measures)),
        _section("confusion", "What is taken for what", _confusion(measures)),
        _section("histograms", "Scores and sizes", _columns(_score_chart(measures), _size_chart(measures))),
        _section("images", "The worst images", _images(measures, truths, detections, most_images)),
        _section("settings", "Settings", _facts(subject.settings)),
    ]
    title = escape(subject.title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{title}</h1></header>\n{''.join(sections)}</main>\n"
        f"<footer>Written by yolo3 {escape(__version__)}.</footer>\n</body>\n</html>\n"
    )


# ------------------------------------------------------------------------------------------------ pieces


def _section(name: str, title: str, *parts: str) -> str:
    return f'<section id="{name}">\n<h2>{escape(title)}</h2>\n{"".join(parts)}</section>\n'


def _list(sentences: Iterable[str]) -> str:
    return f'<ul class="advice">{"".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)}</ul>\n'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>\n'


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>\n'


def _columns(*figures: str) -> str:
    return f'<div class="columns">{"".join(figures)}</div>\n'


def _figure(chart: str, caption: str, legend: str = "") -> str:
    return f"<figure>{chart}{legend}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    """Return a legend of (text, mark); marks are HTML of :func:`_stroke` and :func:`_dot`."""
    return f'<ul class="legend">{"".join(f"<li>{mark}{escape(text)}</li>" for text, mark in entries)}</ul>'


def _stroke(colour: str, dashed: bool = False) -> str:
    return f'<i style="border-top: 3px {"dashed" if dashed else "solid"} {colour}"></i>'


def _dot(colour: str) -> str:
    return f'<i class="dot" style="background: {colour}"></i>'


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _value(number: float, name: str = "", digits: int = 3) -> str:
    """Return a figure, rounded for the eye and with all its digits for programs; a dash for NaN."""
    if math.isnan(number):
        return "–"
    label = f' id="{name}"' if name else ""
    return f'<data{label} value="{float(number)!r}">{number:.{digits}f}</data>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "") -> str:
    """Return a table; cells are HTML already, the first of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for first, *cells in rows
    )
    return _scrolled(f'<table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>', caption)


def _scrolled(content: str, caption: str) -> str:
    """Return what may be wider than a phone, with its caption, which is not."""
    return f'<figure><figcaption>{escape(caption)}</figcaption><div class="scroll">{content}</div></figure>\n'


# ----------------------------------------------------------------------------------------------- figures


def _counts(measures: Measures) -> dict[str, str]:
    counted = len(measures.found)
    aside = sum(len(matches.counted) for matches in measures.matches) - counted
    left_out = f"; {aside:,} difficult ones and crowds do not count" if aside else ""
    return {"Images": f"{len(measures.matches):,}", "Objects": f"{counted:,}{left_out}"}


def _headline(measures: Measures) -> str:
    fixed, coco = measures.fixed, measures.coco
    score, precision, recall, best = measures.best
    cards = [
        ("AP50", coco["AP50"], "average precision at an IoU of .5, mean of the classes"),
        ("AP", coco["AP"], "mean of the average precision at IoUs from .5 to .95"),
        ("AP75", coco["AP75"], "average precision at an IoU of .75"),
        ("precision", fixed.overall_precision, f"share of hits among the detections {_enough(measures)}"),
        ("recall", fixed.overall_recall, "share of the objects that they find"),
        ("F1", fixed.overall_f1, "harmonic mean of precision and recall"),
        ("best F1", best, _at_best(score, precision, recall)),
        ("average IoU", fixed.average_iou, _average_iou(measures)),
    ]
    items = "".join(
        f"<div><dt>{name}</dt><dd>{_value(value, name.replace(' ', '-'))}<small>{escape(text)}</small></dd></div>"
        for name, value, text in cards
    )
    return f'<dl class="cards">{items}</dl>\n'


def _enough(measures: Measures) -> str:
    return f"with a score of {measures.score_threshold:g} or more"


def _at_best(score: float, precision: float, recall: float) -> str:
    if math.isnan(score):
        return "there is no hit at any score"
    return f"from a score of {score:.3f} on: precision {precision:.3f}, recall {recall:.3f}"


def _average_iou(measures: Measures) -> str:
    text = f"of the detections {_enough(measures)}, false ones as 0, as Darknet has it"
    return text if math.isnan(measures.hit_iou) else f"{text}; of the hits alone {measures.hit_iou:.3f}"


def _terms(measures: Measures) -> str:
    return _note(
        "IoU, intersection over union: the area common to two boxes / the area that they cover together. A hit is the "
        "best-scored detection of an object of its class with an IoU of "
        f"{measures.iou_threshold:g} or more; any other detection is false. Difficult objects and crowds, and "
        "detections on them, do not count. AP, AP50 and AP75 are COCO's, computed by pycocotools, of all detections "
        "whatever their score."
    )


def _class_table(measures: Measures) -> str:
    columns = ["class", "objects", "AP50", "AP", "precision", "recall", "F1", "found", "not found", "false"]
    shown, silent = _ranked_classes(measures)
    caption = (
        f"The lowest AP50 first. The columns from precision to false are those of detections {_enough(measures)}: "
        "found and not found count objects, false detections. Best score: the one from which on F1 is largest."
    )
    table = _table([*columns, "best score"], (_class_row(measures, index) for index in shown), caption)
    names = ", ".join(measures.class_names[index] for index in silent)
    return table + (_note(f"Neither annotated nor detected: {names}.") if silent else "")


def _class_row(measures: Measures, index: int) -> list[str]:
    name, fixed = measures.class_names[index], measures.fixed
    coco = measures.coco["per_class"][name]
    return [
        escape(name),
        str(fixed.num_ground_truths[index]),
        *(_value(coco[figure]) for figure in ("AP50", "AP")),
        *(_value(values[index]) for values in (fixed.precision, fixed.recall, fixed.f1)),
        *(
            str(counts[index])
            for counts in (measures.true_positives, measures.false_negatives, measures.false_positives)
        ),
        _value(best_point(fixed.curves[index])[0]),
    ]


def _ranked_classes(measures: Measures) -> tuple[list[int], list[int]]:
    """Return the classes that something is to be said of, lowest AP50 first, and the others."""
    ap = np.array([measures.coco["per_class"][name]["AP50"] for name in measures.class_names])
    order = [int(index) for index in np.argsort(np.where(np.isnan(ap), 2.0, ap), kind="stable")]
    silent = [
        index for index in order if not measures.fixed.num_ground_truths[index] and not measures.false_positives[index]
    ]
    return [index for index in order if index not in silent], sorted(silent)


# ------------------------------------------------------------------------------------------------ charts


def _recall_chart(measures: Measures) -> str:
    known = [index for index, count in enumerate(measures.fixed.num_ground_truths) if count]
    if not known:
        return _note("No class has objects: there is no precision-recall curve.")
    ranked = sorted(known, key=lambda index: -measures.fixed.ap[index])
    half = _NAMED_CURVES // 2
    named = ranked if len(ranked) <= _NAMED_CURVES else ranked[:half] + ranked[-half:]
    lines = [_recall_line(measures, index, named) for index in known]
    legend = [(line.name, _stroke(line.colour, line.dashed)) for line in (lines[known.index(i)] for i in named)]
    if len(named) < len(known):
        legend.append((f"{len(known) - len(named)} more", _stroke(PALE)))
    low, high = ranked[-1], ranked[0]
    title = (
        f"Precision against recall, class by class ({len(known)}): AP50 from {measures.fixed.ap[low]:.3f} "
        f"({measures.class_names[low]}) to {measures.fixed.ap[high]:.3f} ({measures.class_names[high]})"
    )
    caption = f"Precision against recall at an IoU of {measures.iou_threshold:g}, class by class, with the AP50."
    return _figure(line_chart(lines, "recall", "precision", title), caption, _legend(legend))


def _recall_line(measures: Measures, index: int, named: Sequence[int]) -> Line:
    """Return the curve of a class from recall 0 to the last recall reached, where it falls to the axis."""
    curve = measures.fixed.curves[index]
    recall = np.concatenate([[0.0], curve.recall, curve.recall[-1:]])
    precision = np.concatenate([curve.precision[:1], curve.precision, [0.0]])[: len(recall)]
    name = f"{measures.class_names[index]} {measures.fixed.ap[index]:.3f}"
    if index not in named:
        return Line(name, recall, precision, PALE, thin=True)
    return Line(name, recall, precision, *colour_of(named.index(index)))


def _threshold_chart(measures: Measures) -> str:
    scores, *values = at_thresholds(measures.fixed.overall)
    if not len(scores) or not len(measures.found):
        return _note("There are no detections, or no objects: no curves over the score.")
    names = ("precision", "recall", "F1")
    lines = [
        Line(name, *_steps(scores, part), *colour_of(place)) for place, (name, part) in enumerate(zip(names, values))
    ]
    marks, title = [_used(measures)], "Precision, recall and F1 over the score; there is no hit"
    score, _, _, best = measures.best
    if not math.isnan(score):
        marks.append((f"best F1: {score:.2f}", score))
        title = f"Precision, recall and F1 over the score; F1 is largest, {best:.3f}, at {score:.3f}"
    legend = _legend((line.name, _stroke(line.colour, line.dashed)) for line in lines)
    caption = "All classes together, when only detections with this score or more are kept."
    return _figure(line_chart(lines, "score", "", title, marks), caption, legend)


def _steps(scores: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the line of what holds at thresholds from a score down to the next one, as far as 0."""
    return np.append(np.repeat(scores, 2)[1:], 0.0), np.repeat(values, 2)


def _score_chart(measures: Measures) -> str:
    edges = np.round(np.linspace(0.1, 1, 19), 2)
    counts = {
        "hits": np.histogram(measures.scores[measures.hit], edges.astype(np.float32))[0],
        "false": np.histogram(measures.scores[~measures.hit], edges.astype(np.float32))[0],
    }
    below = measures.scores < np.float32(0.1)
    caption = (
        "Scores of the hits and of the false detections, all classes together. Below 0.1, not drawn: "
        f"{int((below & measures.hit).sum()):,} hits and {int((below & ~measures.hit).sum()):,} false ones."
    )
    title = f"Histogram of scores: {int(counts['hits'].sum())} hits and {int(counts['false'].sum())} false from 0.1 on"
    marks = [mark for mark in [_used(measures)] if mark[1] >= edges[0]]
    chart = bar_chart(edges, counts, "score", "detections", title, marks, tick_every=2)
    return _figure(chart, caption, _legend([("hits", _dot(GOOD)), ("false", _dot(BAD))]))


def _used(measures: Measures) -> tuple[str, float]:
    return f"used: {measures.score_threshold:g}", measures.score_threshold


def _size_chart(measures: Measures) -> str:
    if not len(measures.sides):
        return _note("There are no objects: no sizes.")
    largest = max(measures.sides.max(), 128)  # so that COCO's limits, 32 and 96, are in the chart
    edges = [*(side for side in _SIDES if side < largest), *[side for side in _SIDES if side >= largest][:1]]
    sides = np.minimum(measures.sides, edges[-1])
    counts = {
        "found": np.histogram(sides[measures.found], edges)[0],
        "not found": np.histogram(sides[~measures.found], edges)[0],
    }
    groups = found_by_size(measures)
    told = "; ".join(_size_words(measures, name, *groups[name]) for name in SIZES if groups[name][1])
    caption = (
        f"Sizes of the objects: root of the box's area in pixels of the image. Found {_enough(measures)}: {told}."
        + f" Those above {edges[-1]} are in the last bar." * bool(largest > edges[-1])
    )
    marks = [(f"{name} from {SIZES[name][0]}", SIZES[name][0]) for name in ("medium", "large")]
    chart = bar_chart(edges, counts, "size in pixels", "objects", f"Histogram of sizes. {told}", marks)
    return _figure(chart, caption, _legend([("found", _dot(GOOD)), ("not found", _dot(BAD))]))


def _size_words(measures: Measures, name: str, found: int, count: int) -> str:
    ap = measures.coco[f"AP_{name}"]
    return f"{name} {found} of {count}" + ("" if math.isnan(ap) else f", AP {ap:.3f}")


# ------------------------------------------------------------------------------------------------ errors


def _error_table(measures: Measures) -> str:
    counts = {kind: measures.kinds.counts[kind] for kind in KINDS}
    total = sum(counts.values())
    rows = [
        [
            f"{_dot(_KIND_COLOURS[kind])}{name_of(kind)}",
            f'<data id="{kind}" value="{counts[kind]}">{counts[kind]:,}</data>',
            _share(counts[kind], total),
            escape(meaning),
            escape(remedy),
        ]
        for kind, (meaning, remedy) in ((kind, REMEDIES[kind]) for kind in KINDS)
    ]
    caption = (
        f"{_counted(measures.kinds.counts['hit'], 'hit')} and {_counted(total, 'error')}, where detections "
        f"{_enough(measures)} are kept, at an IoU of {measures.iou_threshold:g}. Each error has one kind. An object "
        "with a wrong class or a badly placed box on it is not found, but not missed either. The kinds follow TIDE "
        "(Bolya et al. 2020)."
    )
    return _table(["kind", "count", "share", "what it is", "what to do"], rows, caption, "errors")


def _share(count: int, total: int) -> str:
    if not total:
        return "–"
    return "&lt;1%" if 0 < count < 0.01 * total else f"{count / total:.0%}"


def _confusion(measures: Measures) -> str:
    matrix = measures.confusion
    active = np.flatnonzero(matrix[:-1].sum(1) + matrix[:, :-1].sum(0))
    if not len(active):
        return _note("There are neither objects nor detections.")
    chosen = np.append(active, len(matrix) - 1)
    part = matrix[np.ix_(chosen, chosen)]
    names = [measures.class_names[index] for index in active]
    if len(active) <= _TABLE_CLASSES:
        return _confusion_table(part, names)
    title = f"Confusion matrix of {len(active)} classes: rows are true classes, columns detected ones"
    drawn = confusion_map(part, [*names, "(nothing)"], title)
    return _confusion_list(measures) + _scrolled(drawn, _PAIRING.format(missed="(nothing)", false="(nothing)"))


_PAIRING = (
    "Rows: the true class. Columns: the detected one. Darker: a larger share of the row. An object and a detection "
    "that overlap enough are paired once, those of one class first. Column {missed}: objects without a partner; row "
    "{false}: detections without one, be they on nothing, badly placed or second ones."
)


def _confusion_table(matrix: np.ndarray, names: Sequence[str]) -> str:
    totals = np.maximum(matrix.sum(axis=1), 1)
    rows = []
    for row, name in enumerate([*names, "(no object)"]):
        cells = "".join(_confusion_cell(matrix[row, column], totals[row], row, column) for column in range(len(matrix)))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>\n')
    rows[-1] = rows[-1].replace("<td>0</td></tr>", "<td></td></tr>")  # nothing that is found as nothing
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in [*names, "(not found)"])
    caption = _PAIRING.format(missed="(not found)", false="(no object)")
    body = f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody>"
    return _scrolled(f'<table class="matrix">{body}</table>', caption)


def _confusion_cell(count: int, total: int, row: int, column: int) -> str:
    style = f' style="background: {shade(count / total, row == column)}"' if count else ""
    return f"<td{style}>{count}</td>"


def _confusion_list(measures: Measures, most: int = 10) -> str:
    pairs = confusions(measures)
    if not pairs:
        return _note("No class is taken for another.")
    names, truths = [escape(name) for name in measures.class_names], measures.fixed.num_ground_truths
    rows = [[names[true], names[said], str(n), _share(n, truths[true])] for true, said, n in pairs[:most]]
    caption = f"The most frequent of {len(pairs)} confusions, with their share of the objects of the class."
    return _table(["objects of", "are taken for", "times", "share"], rows, caption, "taken")


# ---------------------------------------------------------------------------------------------- images


def _images(measures: Measures, truths, detections, most: int) -> str:
    costs = image_costs(measures, detections)
    if not (costs > 0).any():
        return _note("No image has errors.")
    worst = [int(index) for index in np.argsort(-costs, kind="stable")[:most] if costs[index] > 0]
    intro = (
        f"Images with errors: {int((costs > 0).sum()):,} of {len(costs):,}. Here are the {len(worst)} with the "
        "highest cost: 1 for each object that is not found, and the score of each false detection."
    )
    entries = [("object", _stroke("#fff", dashed=True)), ("hit", _stroke(_HIT_COLOUR))]
    entries += [(name_of(kind), _stroke(_KIND_COLOURS[kind], kind == "missed")) for kind in KINDS]
    figures = [
        _image(measures, index, float(costs[index]), truths[index], detections[index], place)
        for place, index in enumerate(worst, 1)
    ]
    return _note(intro) + f'<div class="onphoto">{_legend(entries)}</div>\n' + _columns(*figures)


def _image(measures: Measures, index: int, cost: float, truth: Annotation, found: Detections, place: int) -> str:
    errors = image_errors(measures, index, truth, found)
    image = read_image(truth.image_path)
    name = base_name(truth.image_path)
    hits = found.boxes[measures.kinds.detection_kinds[index] == "hit"]
    counts = [(name_of(kind), sum(error.kind == kind for error in errors)) for kind in KINDS]
    told = ", ".join(f"{count} {kind}" for kind, count in counts if count)
    lines = [f"<li>{escape(_error_words(error, measures.class_names))}</li>" for error in errors[:_ERRORS_LISTED]]
    more = f"and {len(errors) - _ERRORS_LISTED} more, without numbers" if len(errors) > _ERRORS_LISTED else ""
    told = f"{_counted(len(hits), 'hit')}; {told}"
    described = escape(f"{name}: {told}")
    return (
        f'<figure class="image"><div class="photo"><img src="{_data_uri(image)}" alt="{described}">'
        f"{_overlay(image.shape[:2], truth.boxes[~measures.kinds.missed[index]], hits, errors)}</div>"
        f"<figcaption><b>{place}. {escape(name)}</b><br>cost {cost:.2f}: {escape(told)}"
        f"<ol>{''.join(lines)}</ol>{more}</figcaption></figure>\n"
    )


def _error_words(error: ImageError, names: Sequence[str]) -> str:
    """Return an error in words: "RBC 0.62 badly placed, IoU 0.43"."""
    name, score = names[error.class_id], f"{error.score:.2f}"
    width, height = error.box[2:] - error.box[:2]
    if error.kind == "missed":
        return f"{name} missed ({width:.0f} x {height:.0f} pixels)"
    if error.kind == "misclassified":
        return f"{name} {score} where {names[error.ground_truth_id]} is"
    if error.kind == "localization":
        return f"{name} {score} badly placed, IoU {error.iou:.2f}"
    if error.kind == "duplicate":
        return f"{name} {score} a second time, IoU {error.iou:.2f}"
    if error.iou >= BACKGROUND_IOU:
        return f"{name} {score} on part of {names[error.ground_truth_id]}, IoU {error.iou:.2f}"
    return f"{name} {score}, nothing annotated"


def _data_uri(image: np.ndarray) -> str:
    """Return the image, reduced, as a JPEG in a data URI."""
    import cv2

    scale = _IMAGE_SIDE / max(image.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _overlay(image_shape, objects, hits, errors: Sequence[ImageError]) -> str:
    """Return the boxes as SVG that lies over the image: objects dashed, hits, errors with the numbers of the list."""
    height, width = image_shape
    parts = [_rectangle(box, "object", "#fff") for box in objects]
    parts += [_rectangle(box, "hit", _HIT_COLOUR) for box in hits]
    parts += [_rectangle(error.box, error.kind, _KIND_COLOURS[error.kind]) for error in errors]
    parts += [_badge(error, number, image_shape) for number, error in enumerate(errors[:_ERRORS_LISTED], 1)]
    return f'<svg aria-hidden="true" viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(parts)}</svg>'


def _rectangle(box, kind: str, colour: str) -> str:
    x, y, right, bottom = (float(value) for value in box)
    place = f'x="{x:.1f}" y="{y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}"'
    return f'<rect class="{kind}" stroke="{colour}" {place}/>'


def _badge(error: ImageError, number: int, image_shape) -> str:
    """Return the number of an error on a disc at the top left corner of its box, inside the image."""
    height, width = image_shape
    radius = max(image_shape) / 45
    x = min(max(float(error.box[0]), radius), width - radius)
    y = min(max(float(error.box[1]), radius), height - radius)
    place = f'x="{x:.1f}" y="{y + 0.38 * radius:.1f}" font-size="{1.15 * radius:.1f}"'
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_KIND_COLOURS[error.kind]}"/>'
        f'<text {place} text-anchor="middle">{number}</text>'
    )


# -------------------------------------------------------------------------------------------------- page

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1f2733;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 8px 0 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 36px 0 12px; padding-bottom: 4px; border-bottom: 1px solid #dfe3e8; }
dl, dd, figure, ul, ol { margin: 0; padding: 0; }
.advice { margin: 0 0 20px; padding-left: 1.2em; max-width: 52em; }
.advice li { margin: 4px 0; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 10px; }
@media (min-width: 760px) { .cards { grid-template-columns: repeat(4, 1fr); } }
.cards div { background: #f5f6f8; border-radius: 6px; padding: 10px 12px; }
.cards dt { font-size: .85rem; color: #566070; }
.cards data { font-size: 1.6rem; font-variant-numeric: tabular-nums; }
.cards small { display: block; font-size: .75rem; line-height: 1.35; color: #566070; }
.facts div { display: flex; flex-wrap: wrap; gap: 0 12px; padding: 4px 0; border-bottom: 1px solid #eef0f3; }
.facts dt { flex: 0 0 13em; color: #566070; }
.facts dd { flex: 1 1 16em; overflow-wrap: anywhere; }
.note, figcaption { color: #566070; font-size: .85rem; }
.note { max-width: 60em; margin: 10px 0; overflow-wrap: anywhere; }
section > figure + figure { margin-top: 20px; }
.scroll { overflow-x: auto; background:  /* a shadow on the side where more is to be scrolled to */
  linear-gradient(#fff, #fff) left / 24px 100% no-repeat local,
  linear-gradient(#fff, #fff) right / 24px 100% no-repeat local,
  linear-gradient(to right, #0004, #0000) left / 14px 100% no-repeat scroll,
  linear-gradient(to left, #0004, #0000) right / 14px 100% no-repeat scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
figcaption:has(+ .scroll) { padding-bottom: 6px; max-width: 60em; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid #eef0f3; }
th, td { white-space: nowrap; vertical-align: top; }
thead th { border-bottom: 1px solid #8a93a1; font-weight: 600; }
th:first-child { text-align: left; }
tbody th, .matrix thead th { font-weight: 600; white-space: normal; overflow-wrap: break-word; }
tbody th { max-width: 16em; }
.scroll table:not(.errors) { width: max-content; }
.errors tbody th { white-space: nowrap; }
.errors th:nth-child(n+4), .errors td:nth-child(n+4) { text-align: left; white-space: normal; min-width: 15em; }
.matrix td, .matrix th { border: 1px solid #fff; }
.matrix thead th { max-width: 8em; vertical-align: bottom; }
.matrix tbody td { min-width: 4em; background: #f5f6f8; }
.taken th, .taken td:nth-child(2) { text-align: left; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: 8px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 24px; }
.columns > * { min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; font-size: .85rem; margin: 4px 0; }
.legend li { overflow-wrap: anywhere; }
.legend i:not(.dot) { display: inline-block; width: 22px; vertical-align: middle; margin-right: 6px; }
.onphoto .legend { display: inline-flex; background: #8b8f96; color: #fff; padding: 4px 10px; border-radius: 6px; }
.onphoto .legend { margin-bottom: 12px; }
.photo { position: relative; line-height: 0; }
.photo img { width: 100%; height: auto; }
.photo svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.photo rect { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.photo .object { stroke-width: 1.5; stroke-dasharray: 4 3; filter: drop-shadow(0 0 1px #000); }
.photo .missed { stroke-dasharray: 7 4; stroke-width: 3; }
.photo text { fill: #fff; font-weight: 600; }
.image figcaption { padding-top: 6px; overflow-wrap: anywhere; }
.image b { color: #1f2733; }
.image ol { padding-left: 2em; columns: 2 15em; margin-top: 4px; }
.image li { break-inside: avoid; }
footer { max-width: 1120px; margin: 24px auto; padding: 0 16px; color: #566070; font-size: .85rem; }
@media (max-width: 640px) {
  tbody th { max-width: 8em; }
  .scroll table.matrix { width: auto; }
  .scroll tbody th { position: sticky; left: 0; background: #fff; }
  .errors thead { display: none; }
  .errors tr { display: grid; grid-template-columns: 1fr auto auto; padding: 6px 0; border-bottom: 1px solid #eef0f3; }
  .errors th, .errors td { border: 0; padding: 2px 6px; max-width: none; }
  .errors th:nth-child(n+4), .errors td:nth-child(n+4) { grid-column: 1 / -1; min-width: 0; }
}
@media print {
  body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  .columns { display: block; }
  .columns > figure { display: inline-block; width: 48%; margin-right: 1%; padding: 4mm 0; vertical-align: top; }
  .image figcaption { font-size: 8pt; line-height: 1.3; }
  .image ol { columns: 2; }
  .cards div, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  #images { break-before: page; }
}
"""
