"""Curves of training, precision and recall, and the confusion matrix, by matplotlib."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolo3.files import replace_bytes
from yolo3.visualize.boxes import class_colour

# ------------------------------------------------------------------------------------------------ curves

_NUMBERED_CLASSES = 20  # beyond which the cells of a confusion matrix are too small for numbers
_NOT_PARTS = ("epoch", "loss", "learning_rate", "images_per_second", "data_wait", "validation_seconds")  # of the loss
_SCORE_COLUMNS = ("AP50", "AP", "val_AP50", "val_AP")


def draw_training_curves(csv_path: str | os.PathLike, png_path: str | os.PathLike) -> None:
    """Draw a run's CSV as three panels: total loss, parts of the loss, AP with the learning rate.

    Columns: ``epoch``, ``loss`` and its parts, whatever their names, the same with ``val_``, ``AP50``, ``AP``,
    ``learning_rate``. Those that are there are drawn; empty cells are skipped.
    The image is replaced atomically.
    """
    columns = _read_columns(csv_path)
    figure = _figure((15, 4.5))
    epochs = columns.pop("epoch", None)
    if epochs is None:
        epochs = np.arange(1, 1 + len(next(iter(columns.values()), ())))
    total, parts, score = figure.subplots(1, 3)
    _plot_pairs(total, epochs, columns, ("loss",), "loss")
    names = [name for name in columns if name not in _NOT_PARTS and not name.startswith(("val_", "AP"))]
    _plot_pairs(parts, epochs, columns, names, "parts of the loss")
    _plot_scores(score, epochs, columns)
    _save_figure(figure, png_path)


def _read_columns(csv_path) -> dict[str, np.ndarray]:
    """Return column name to float64 [rows], NaN where a cell is empty or no number."""
    with open(csv_path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), [name for name in reader.fieldnames or () if name]
    return {name.strip(): np.array([_number(row.get(name)) for row in rows], np.float64) for name in names}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _figure(size_inches: tuple[float, float]):
    """Return a matplotlib figure drawn by Agg, whatever backend the user has chosen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save_figure(figure, path) -> None:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    replace_bytes(path, buffer.getvalue())


def _plot(axes, epochs, values, label: str, **style) -> bool:
    """Plot what is finite; a single point gets a marker, since a line of one point is invisible."""
    there = np.isfinite(values) & np.isfinite(epochs)
    if not there.any():
        return False
    marker = "o" if there.sum() < 30 else ""
    axes.plot(epochs[there], values[there], label=label, marker=marker, markersize=3, **style)
    return True


def _plot_pairs(axes, epochs, columns, names: Sequence[str], title: str) -> None:
    """Plot each column in its colour, and its validation twin dashed."""
    values = []
    for index, name in enumerate(names):
        for column, style, width in ((name, "-", 1.6), (f"val_{name}", "--", 1.3)):
            shown = column if len(names) > 1 else column.replace("val_loss", "validation").replace("loss", "training")
            if column in columns and _plot(
                axes, epochs, columns[column], shown, color=f"C{index}", linestyle=style, linewidth=width
            ):
                values.append(columns[column][np.isfinite(columns[column])])
    _finish_axes(axes, title, bool(values))
    joined = np.concatenate(values) if values else np.zeros(0)
    if len(joined) and joined.min() > 0 and joined.max() > 20 * joined.min():
        axes.set_yscale("log")  # the first epochs are a hundred times the last


def _plot_scores(axes, epochs, columns) -> None:
    """Plot AP on the left axis from 0 to 1, the learning rate on the right one."""
    found = False
    for index, name in enumerate(name for name in _SCORE_COLUMNS if name in columns):
        found |= _plot(axes, epochs, columns[name], name, color=f"C{index}", linewidth=1.6)
    axes.set_ylim(0, 1)
    if "learning_rate" in columns and np.isfinite(columns["learning_rate"]).any():
        right = axes.twinx()
        rate = columns["learning_rate"]
        found |= _plot(right, epochs, rate, "learning rate (right)", color="0.6", linewidth=1.0, linestyle=":")
        right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        axes.plot([], [], color="0.6", linestyle=":", label="learning rate (right)")
    _finish_axes(axes, "average precision", found)


def _finish_axes(axes, title: str, has_lines: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if has_lines:
        axes.legend(fontsize=7, ncols=2, framealpha=0.6)  # ten lines leave little room
    else:
        axes.text(0.5, 0.5, "nothing recorded yet", ha="center", va="center", color="0.5", transform=axes.transAxes)


def draw_precision_recall(curves: Mapping[str, Any], png_path: str | os.PathLike) -> None:
    """Draw precision against recall, one line for each class, and write a PNG.

    ``curves``: class name, in order of the class ids, to an object with ``precision`` [K], ``recall`` [K] and ``ap``
    (``yolo3.evaluation.average_precision.PrecisionRecall``). Classes without truths (recall NaN) are left out. Beyond ten classes
    only the overall look counts: the lines are thin, and the legend names the five best and the five worst.
    """
    known = {name: curve for name, curve in curves.items() if not np.isnan(curve.ap)}
    ranked = sorted(known, key=lambda name: -known[name].ap)
    named = ranked if len(ranked) <= 10 else ranked[:5] + ranked[-5:]
    figure = _figure((6.5, 5.5))
    axes = figure.subplots()
    for class_id, name in enumerate(curves):
        if name in known:
            _plot_curve(axes, known[name], name, class_id, in_legend=name in named)
    axes.set(xlim=(0, 1.0), ylim=(0, 1.02), ylabel="precision")
    _finish_axes(axes, "precision and recall", bool(known))
    axes.xaxis.set_major_locator(_tenths())
    axes.set_xlabel("recall")
    _save_figure(figure, png_path)


def draw_confusion(matrix: np.ndarray, class_names: Sequence[str], png_path: str | os.PathLike) -> None:
    """Draw a confusion matrix [C + 1, C + 1] (rows truth, columns detected, the last of both background) as a PNG.

    The shade is the share of the row. Of few classes each cell has its number.
    """
    names = [*class_names, "background"]
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = min(max(4.5, 0.45 * len(names) + 2), 14)
    figure = _figure((side, side))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 9 if len(names) <= 20 else 5
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    if len(names) <= _NUMBERED_CLASSES:
        for row, column in np.argwhere(matrix > 0):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{int(matrix[row, column])}", ha="center", va="center", color=colour, fontsize=size)
    axes.set(xlabel="detected", ylabel="annotated")
    _save_figure(figure, png_path)


def _tenths():
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(0.1)


def _plot_curve(axes, curve, name: str, class_id: int, in_legend: bool) -> None:
    """Plot a curve from recall 0 to the last recall reached, where it falls to the axis."""
    recall = np.concatenate([[0.0], curve.recall, curve.recall[-1:]])
    precision = np.concatenate([curve.precision[:1], curve.precision, [0.0]])[: len(recall)]
    colour = tuple(channel / 255 for channel in class_colour(class_id))
    label = f"{name}  AP {curve.ap:.3f}" if in_legend else None
    axes.plot(recall, precision, color=colour, linewidth=1.6 if in_legend else 0.7, label=label)
