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
from yolo3.advice import REMEDIES, evaluation_advice, name_of
from yolo3.charts import (
    BAD,
    GOOD,
    PALE,
    STYLE,
    Line,
    bar_chart,
    colour_of,
    confusion_map,
    line_chart,
    shade,
)
from yolo3.datasets.annotation import Annotation, base_name, replace_file
from yolo3.images import read_image
from yolo3.measures import (
    KINDS,
    SIZES,
    Measures,
    PictureError,
    confusions,
    found_by_size,
    picture_costs,
    picture_errors,
)
from yolo3.metrics import BADLY_PLACED_IOU, Detections

PICTURES = 12  # the worst ones that are shown
_PICTURE_SIDE = 720  # pixels of the longer side in the page; as JPEG some 100 kB
_JPEG_QUALITY = 80
_ERRORS_LISTED = 12  # of one picture
_TABLE_CLASSES = 12  # a confusion matrix of more classes is drawn, not written
_NAMED_CURVES = 10
_SIDES = (0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)  # edges of the histogram, in pixels

# Boxes on photographs: from Okabe and Ito's palette, as the charts.
_KIND_COLOURS = {
    "missed": "#E69F00",
    "wrong_class": "#CC79A7",
    "badly_placed": "#0072B2",
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
    most_pictures: int = PICTURES,
) -> None:
    """Write the page in one step. ``measures``: of these ``truths`` and ``detections``, one entry a picture.

    The photographs of the worst ``most_pictures`` are read again. Raises ``OSError`` and ``ValueError`` for one that
    cannot be, and then writes nothing.
    """
    replace_file(path, build_report(subject, measures, truths, detections, most_pictures))


def build_report(
    subject: Subject,
    measures: Measures,
    truths: Sequence[Annotation],
    detections: Sequence[Detections],
    most_pictures: int = PICTURES,
) -> str:
    """Return the page as :func:`write_report` writes it."""
    sections = [
        _section("summary", "In short", _list(evaluation_advice(measures)), _headline(measures)),
        _section("subject", "What was evaluated", _facts({**subject.facts, **_counts(measures)})),
        _section("classes", "Class by class", _class_table(measures)),
        _section("curves", "Precision and recall", _columns(_recall_chart(measures), _threshold_chart(measures))),
        _section("errors", "Kinds of error", _error_table(measures)),
        _section("confusion", "What is taken for what", _confusion(measures)),
        _section("histograms", "Scores and sizes", _columns(_score_chart(measures), _size_chart(measures))),
        _section("pictures", "The worst pictures", _pictures(measures, truths, detections, most_pictures)),
        _section("settings", "Settings", _facts(subject.settings), _definitions()),
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


def _legend(entries: Iterable[tuple[str, str, bool]]) -> str:
    """Return a legend of (text, colour, dashed)."""
    items = "".join(
        f'<li><i style="border-top: 3px {"dashed" if dashed else "solid"} {colour}"></i>{escape(text)}</li>'
        for text, colour, dashed in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _bar_legend(good: str, bad: str) -> str:
    colours = ((good, GOOD), (bad, BAD))
    items = (f'<li><i class="dot" style="background: {colour}"></i>{text}</li>' for text, colour in colours)
    return f'<ul class="legend">{"".join(items)}</ul>'


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
    return {"Pictures": f"{len(measures.matches):,}", "Objects": f"{counted:,}{left_out}"}


def _headline(measures: Measures) -> str:
    fixed, coco = measures.fixed, measures.coco
    score, precision, recall, best = measures.best
    at = f"at a score of {measures.score_threshold:g}"
    cards = [
        ("AP50", coco["AP50"], "average precision at an IoU of .5"),
        ("AP", coco["AP"], "its mean over IoU .5 to .95"),
        ("AP75", coco["AP75"], "at an IoU of .75"),
        ("precision", fixed.overall_precision, f"{at}: hits among the detections"),
        ("recall", fixed.overall_recall, f"{at}: objects that are found"),
        ("F1", fixed.overall_f1, f"{at}: the harmonic mean of the two"),
        ("best F1", best, _at_best(score, precision, recall)),
        ("average IoU", fixed.average_iou, _average_iou(measures, at)),
    ]
    items = "".join(
        f"<div><dt>{name}</dt><dd>{_value(value, name.replace(' ', '-'))}<small>{escape(text)}</small></dd></div>"
        for name, value, text in cards
    )
    return f'<dl class="cards">{items}</dl>\n'


def _at_best(score: float, precision: float, recall: float) -> str:
    if math.isnan(score):
        return "no score has one"
    return f"at a score of {score:.3f}: precision {precision:.3f}, recall {recall:.3f}"


def _average_iou(measures: Measures, at: str) -> str:
    text = f"{at}, Darknet's: false detections count as 0"
    return text if math.isnan(measures.hit_iou) else f"{text}; of the hits alone {measures.hit_iou:.3f}"


def _class_table(measures: Measures) -> str:
    columns = ["class", "objects", "AP50", "AP", "precision", "recall", "F1", "found", "lost", "false", "best score"]
    shown, silent = _ranked_classes(measures)
    caption = (
        "The lowest AP50 first. Precision to false: detections with a score of at least "
        f"{measures.score_threshold:g}; lost are objects that are not found. Best score: the one with the largest F1."
    )
    table = _table(columns, (_class_row(measures, index) for index in shown), caption)
    names = ", ".join(measures.class_names[index] for index in silent)
    return table + (_note(f"Neither annotated nor detected: {names}.") if silent else "")


def _class_row(measures: Measures, index: int) -> list[str]:
    name, fixed = measures.class_names[index], measures.fixed
    coco, curve = measures.coco["per_class"][name], fixed.curves[index]
    return [
        escape(name),
        str(fixed.num_truths[index]),
        *(_value(coco[figure]) for figure in ("AP50", "AP")),
        *(_value(values[index]) for values in (fixed.precision, fixed.recall, fixed.f1)),
        *(str(counts[index]) for counts in (measures.num_hits, measures.num_lost, measures.num_false)),
        _value(curve.best_threshold if curve.f1.max(initial=0) > 0 else math.nan),
    ]


def _ranked_classes(measures: Measures) -> tuple[list[int], list[int]]:
    """Return the classes that something is to be said of, lowest AP50 first, and the others."""
    ap = np.array([measures.coco["per_class"][name]["AP50"] for name in measures.class_names])
    order = [int(index) for index in np.argsort(np.where(np.isnan(ap), 2.0, ap), kind="stable")]
    silent = [index for index in order if not measures.fixed.num_truths[index] and not measures.num_false[index]]
    return [index for index in order if index not in silent], sorted(silent)


# ------------------------------------------------------------------------------------------------ charts


def _recall_chart(measures: Measures) -> str:
    known = [index for index, count in enumerate(measures.fixed.num_truths) if count]
    if not known:
        return _note("No class has objects: there is no precision-recall curve.")
    ranked = sorted(known, key=lambda index: -measures.fixed.ap[index])
    half = _NAMED_CURVES // 2
    named = ranked if len(ranked) <= _NAMED_CURVES else ranked[:half] + ranked[-half:]
    lines = [_recall_line(measures, index, named) for index in known]
    legend = [(line.name, line.colour, line.dashed) for line in (lines[known.index(index)] for index in named)]
    if len(named) < len(known):
        legend.append((f"the other {len(known) - len(named)} classes", PALE, False))
    low, high = ranked[-1], ranked[0]
    title = (
        f"Precision against recall of {len(known)} classes, AP50 from {measures.fixed.ap[low]:.3f} "
        f"({measures.class_names[low]}) to {measures.fixed.ap[high]:.3f} ({measures.class_names[high]})"
    )
    caption = f"Precision against recall at an IoU of {measures.iou_threshold:g}, class by class, with the AP."
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
    curve = measures.fixed.overall
    if not len(curve.scores) or not len(measures.found):
        return _note("There are no detections, or no objects: no curves over the score.")
    values = {"precision": curve.precision, "recall": curve.recall, "F1": curve.f1}
    lines = [Line(name, curve.scores, part, *colour_of(place)) for place, (name, part) in enumerate(values.items())]
    marks, title = [_chosen(measures)], "Precision, recall and F1 over the score; there is no hit"
    if measures.hit.any():
        score, _, _, best = measures.best
        marks.append((f"best F1 {score:.2f}", score))
        title = f"Precision, recall and F1 over the score; F1 is largest, {best:.3f}, at {score:.3f}"
    legend = _legend((line.name, line.colour, line.dashed) for line in lines)
    caption = "All classes together, when only detections with this score or more are kept."
    return _figure(line_chart(lines, "score threshold", "", title, marks), caption, legend)


def _score_chart(measures: Measures) -> str:
    edges = np.round(np.linspace(0.1, 1, 19), 2)
    counts = {
        "hits": np.histogram(measures.scores[measures.hit], edges.astype(np.float32))[0],
        "false": np.histogram(measures.scores[~measures.hit], edges.astype(np.float32))[0],
    }
    below = measures.scores < np.float32(0.1)
    caption = (
        "Scores of the hits and of the false detections. Below 0.1, not drawn: "
        f"{int((below & measures.hit).sum()):,} hits and {int((below & ~measures.hit).sum()):,} false ones."
    )
    title = f"Histogram of scores: {int(counts['hits'].sum())} hits and {int(counts['false'].sum())} false from 0.1 on"
    chart = bar_chart(edges, counts, "score", title, marks=[_chosen(measures)], tick_every=2)
    return _figure(chart, caption, _bar_legend("hits", "false detections"))


def _chosen(measures: Measures) -> tuple[str, float]:
    return f"chosen {measures.score_threshold:g}", measures.score_threshold


def _size_chart(measures: Measures) -> str:
    largest = max(measures.sides.max(initial=0), 128)  # so that COCO's limits, 32 and 96, are in the chart
    edges = [*(side for side in _SIDES if side < largest), *[side for side in _SIDES if side >= largest][:1]]
    sides = np.minimum(measures.sides, edges[-1])
    counts = {
        "found": np.histogram(sides[measures.found], edges)[0],
        "not found": np.histogram(sides[~measures.found], edges)[0],
    }
    groups = found_by_size(measures)
    told = "; ".join(_size_words(measures, name, *groups[name]) for name in SIZES)
    caption = f"Sizes of the objects, root of the box's area in pixels of the picture. {told}."
    marks = [("small | medium", 32), ("medium | large", 96)]
    chart = bar_chart(edges, counts, "size in pixels", f"Histogram of sizes. {told}", marks=marks)
    return _figure(chart, caption, _bar_legend("found", "not found"))


def _size_words(measures: Measures, name: str, found: int, count: int) -> str:
    ap = measures.coco[f"AP_{name}"]
    return f"{name}: {found} of {count} found" + ("" if math.isnan(ap) else f", AP {ap:.3f}")


# ------------------------------------------------------------------------------------------------ errors


def _error_table(measures: Measures) -> str:
    counts = {kind: measures.kinds.counts[kind] for kind in KINDS}
    total = sum(counts.values())
    rows = [
        [
            f'<i class="dot" style="background: {_KIND_COLOURS[kind]}"></i>{name_of(kind)}',
            f'<data id="{kind}" value="{counts[kind]}">{counts[kind]:,}</data>',
            _share(counts[kind], total),
            escape(meaning),
            escape(remedy),
        ]
        for kind, (meaning, remedy) in ((kind, REMEDIES[kind]) for kind in KINDS)
    ]
    caption = (
        f"{measures.kinds.counts['hit']:,} hits and {total:,} errors at a score of {measures.score_threshold:g} and an "
        f"IoU of {measures.iou_threshold:g}. Each error has one kind, the first that fits."
    )
    return _table(["kind", "count", "share", "what it is", "what to do"], rows, caption, "errors")


def _share(count: int, total: int) -> str:
    if not total:
        return "–"
    return "&lt;1%" if 0 < count < 0.01 * total else f"{count / total:.0%}"


def _confusion(measures: Measures) -> str:
    matrix = measures.confusion
    active = np.flatnonzero(matrix[:-1].sum(1) + matrix[:, :-1].sum(0)[: len(matrix) - 1])
    if not len(active):
        return _note("There are neither objects nor detections.")
    chosen = np.append(active, len(matrix) - 1)
    part = matrix[np.ix_(chosen, chosen)]
    names = [measures.class_names[index] for index in active]
    if len(active) <= _TABLE_CLASSES:
        return _confusion_table(part, names)
    title = f"Confusion matrix of {len(active)} classes: rows are true classes, columns detected ones"
    caption = "Rows: the true class. Columns: the detected one. Darker: a larger share of the row. (nothing): none."
    return _confusion_list(measures) + _scrolled(confusion_map(part, [*names, "(nothing)"], title), caption)


def _confusion_table(matrix: np.ndarray, names: Sequence[str]) -> str:
    totals = np.maximum(matrix.sum(axis=1), 1)
    rows = []
    for row, name in enumerate([*names, "(nothing there)"]):
        cells = "".join(_confusion_cell(matrix[row, column], totals[row], row, column) for column in range(len(matrix)))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>\n')
    rows[-1] = rows[-1].replace("<td>0</td></tr>", "<td></td></tr>")  # nothing that is found as nothing
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in [*names, "(missed)"])
    caption = "Rows: the true class. Columns: the class that was detected. Darker: a larger share of the row."
    body = f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody>"
    return _scrolled(f'<table class="matrix">{body}</table>', caption)


def _confusion_cell(count: int, total: int, row: int, column: int) -> str:
    style = f' style="background: {shade(count / total, row == column)}"' if count else ""
    return f"<td{style}>{count}</td>"


def _confusion_list(measures: Measures, most: int = 10) -> str:
    pairs = confusions(measures)
    if not pairs:
        return _note("No class is taken for another.")
    names, truths = [escape(name) for name in measures.class_names], measures.fixed.num_truths
    rows = [[names[true], names[said], str(n), _share(n, truths[true])] for true, said, n in pairs[:most]]
    caption = f"The most frequent of {len(pairs)} confusions."
    return _table(["objects of", "are taken for", "times", "of all"], rows, caption)


# ---------------------------------------------------------------------------------------------- pictures


def _pictures(measures: Measures, truths, detections, most: int) -> str:
    costs = picture_costs(measures, detections)
    if not (costs > 0).any():
        return _note("No picture has errors.")
    worst = [int(index) for index in np.argsort(-costs, kind="stable")[:most] if costs[index] > 0]
    intro = (
        f"{int((costs > 0).sum()):,} of {len(costs):,} pictures have errors. The worst {len(worst)} by cost: 1 for "
        "each object that is not found, and the score of each false detection."
    )
    colours = [("truth", "#fff", True), ("hit", _HIT_COLOUR, False)]
    colours += [(name_of(kind), _KIND_COLOURS[kind], kind == "missed") for kind in KINDS]
    figures = [
        _picture(measures, index, float(costs[index]), truths[index], detections[index], place)
        for place, index in enumerate(worst, 1)
    ]
    return _note(intro) + f'<div class="onphoto">{_legend(colours)}</div>\n' + _columns(*figures)


def _picture(measures: Measures, index: int, cost: float, truth: Annotation, found: Detections, place: int) -> str:
    errors = picture_errors(measures, index, truth, found)
    image = read_image(truth.image_path)
    name = base_name(truth.image_path)
    hits = found.boxes[measures.kinds.detection_kinds[index] == "hit"]
    counts = [(name_of(kind), sum(error.kind == kind for error in errors)) for kind in KINDS]
    told = ", ".join(f"{count} {kind}" for kind, count in counts if count)
    lines = [f"<li>{escape(_error_words(error, measures.class_names))}</li>" for error in errors[:_ERRORS_LISTED]]
    more = f"<p>and {len(errors) - _ERRORS_LISTED} more</p>" if len(errors) > _ERRORS_LISTED else ""
    described = escape(f"{name}: {len(hits)} hits; {told}")
    return (
        f'<figure class="picture"><div class="photo"><img src="{_data_uri(image)}" alt="{described}">'
        f"{_overlay(image.shape[:2], truth.boxes, hits, errors)}</div>"
        f"<figcaption><b>{place}. {escape(name)}</b><br>cost {cost:.2f}: {len(hits)} hits; {escape(told)}"
        f"<ol>{''.join(lines)}</ol>{more}</figcaption></figure>\n"
    )


def _error_words(error: PictureError, names: Sequence[str]) -> str:
    """Return an error in words: "RBC 0.62 badly placed, IoU 0.43"."""
    name, score = names[error.class_id], f"{error.score:.2f}"
    width, height = error.box[2:] - error.box[:2]
    if error.kind == "missed":
        return f"{name} missed ({width:.0f} x {height:.0f} pixels)"
    if error.kind == "wrong_class":
        return f"{name} {score} where {names[error.truth_id]} is"
    if error.kind == "badly_placed":
        return f"{name} {score} badly placed, IoU {error.iou:.2f}"
    if error.kind == "duplicate":
        return f"{name} {score} a second time, IoU {error.iou:.2f}"
    if error.iou >= BADLY_PLACED_IOU:
        return f"{name} {score} on part of {names[error.truth_id]}, IoU {error.iou:.2f}"
    return f"{name} {score}, nothing annotated"


def _data_uri(image: np.ndarray) -> str:
    """Return the picture, reduced, as a JPEG in a data URI."""
    import cv2

    scale = _PICTURE_SIDE / max(image.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _overlay(image_shape, truth_boxes, hits, errors: Sequence[PictureError]) -> str:
    """Return the boxes as SVG that lies over the picture: truths dashed, hits, errors with the numbers of the list."""
    height, width = image_shape
    parts = [_rectangle(box, "truth", "#fff") for box in truth_boxes]
    parts += [_rectangle(box, "hit", _HIT_COLOUR) for box in hits]
    parts += [_rectangle(error.box, error.kind, _KIND_COLOURS[error.kind]) for error in errors]
    parts += [_badge(error, number, image_shape) for number, error in enumerate(errors[:_ERRORS_LISTED], 1)]
    return (
        f'<svg aria-hidden="true" viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(parts)}</svg>'
    )


def _rectangle(box, kind: str, colour: str) -> str:
    x, y, right, bottom = (float(value) for value in box)
    place = f'x="{x:.1f}" y="{y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}"'
    return f'<rect class="{kind}" stroke="{colour}" {place}/>'


def _badge(error: PictureError, number: int, image_shape) -> str:
    """Return the number of an error on a disc at the top left corner of its box, inside the picture."""
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


def _definitions() -> str:
    return _note(
        "AP50, AP and AP75 are COCO's, computed by pycocotools, and use all detections, whatever their score. IoU: "
        "area common to two boxes / area that they cover together. A hit is the best-scored detection of an object of "
        "its class with an IoU at or above the threshold; any other detection is false, but those on difficult objects "
        "and crowds, which do not count. The kinds of error follow TIDE (Bolya et al. 2020)."
    )


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
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
figcaption:has(+ .scroll) { padding-bottom: 6px; max-width: 60em; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid #eef0f3; }
th, td { white-space: nowrap; vertical-align: top; }
thead th { border-bottom: 1px solid #8a93a1; font-weight: 600; }
th:first-child { text-align: left; }
tbody th { font-weight: 600; max-width: 16em; overflow: hidden; text-overflow: ellipsis; }
.errors th:nth-child(n+4), .errors td:nth-child(n+4) { text-align: left; white-space: normal; min-width: 15em; }
.matrix td, .matrix th { border: 1px solid #fff; }
.matrix thead th { max-width: 9em; overflow: hidden; text-overflow: ellipsis; }
.matrix tbody td { min-width: 4em; background: #f5f6f8; }
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
.photo .truth { stroke-width: 1.5; stroke-dasharray: 4 3; }
.photo .missed { stroke-dasharray: 7 4; stroke-width: 3; }
.photo text { fill: #fff; font-weight: 600; }
.picture figcaption { padding-top: 6px; overflow-wrap: anywhere; }
.picture b { color: #1f2733; }
.picture ol { padding-left: 2em; columns: 2 15em; margin-top: 4px; }
footer { max-width: 1120px; margin: 24px auto; padding: 0 16px; color: #566070; font-size: .85rem; }
@media print {
  body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  .columns { display: block; }
  .columns > figure { display: inline-block; width: 48%; margin-right: 1%; padding: 4mm 0; vertical-align: top; }
  .picture figcaption { font-size: 8pt; line-height: 1.3; }
  .picture ol { columns: 2; }
  .cards div, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  #pictures { break-before: page; }
}
"""
