"""Charts of a training run as PNG files: its log, precision against recall, the confusion matrix."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from yolo3.files import replace_bytes
from yolo3.visualize.charts import (
    PALETTE,
    STYLE,
    add_legend,
    confusion_chart,
    empty_note,
    new_figure,
    png,
    precision_recall_chart,
)

# Columns of the log that are not terms of the loss.
_OTHER_COLUMNS = ("epoch", "loss", "learning_rate", "images_per_second", "data_wait", "validation_seconds")
_SCORE_COLUMNS = ("AP50", "AP", "val_AP50", "val_AP")


@matplotlib.rc_context(STYLE)
def draw_training_curves(csv_path: str | os.PathLike, png_path: str | os.PathLike) -> None:
    """Draw the log of a run in three panels: loss, terms of the loss, average precision with the learning rate.

    Args:
        csv_path: A log with the columns ``epoch``, ``loss`` and its terms, whatever their names, the same with
            ``val_``, ``AP50``, ``AP`` and ``learning_rate``. Columns that are missing and cells that are empty are
            left out.
        png_path: The image, replaced atomically.
    """
    with open(csv_path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), [name for name in reader.fieldnames or () if name]
    columns = {name.strip(): np.array([_number(row.get(name)) for row in rows], np.float64) for name in names}
    epochs = columns.pop("epoch", None)
    if epochs is None:
        epochs = np.arange(1, 1 + len(rows), dtype=np.float64)

    figure, (total, terms, score) = new_figure(width=15, height=4.8, num_panels=3)
    _plot_losses(total, epochs, columns, names=["loss"])
    total.set_title("loss")
    names = [name for name in columns if name not in _OTHER_COLUMNS and not name.startswith(("val_", "AP"))]
    _plot_losses(terms, epochs, columns, names=names)
    terms.set_title("terms of the loss")
    _plot_scores(score, epochs, columns)
    score.set_title("average precision")
    replace_bytes(png_path, png(figure))


def draw_precision_recall(curves: Mapping[str, Any], png_path: str | os.PathLike) -> None:
    """Write :func:`yolo3.visualize.charts.precision_recall_chart` as a PNG file, replaced atomically."""
    replace_bytes(png_path, png(precision_recall_chart(curves)))


def draw_confusion(matrix: np.ndarray, class_names: Sequence[str], png_path: str | os.PathLike) -> None:
    """Write :func:`yolo3.visualize.charts.confusion_chart` as a PNG file, replaced atomically."""
    replace_bytes(png_path, png(confusion_chart(matrix, class_names)))


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _plot_losses(axes: Axes, epochs: np.ndarray, columns: Mapping[str, np.ndarray], *, names: Sequence[str]) -> None:
    """Plot each column in its colour, and its validation twin dashed."""
    values = []
    for index, name in enumerate(names):
        for column, style in ((name, "-"), (f"val_{name}", "--")):
            label = column if len(names) > 1 else column.replace("val_loss", "validation").replace("loss", "training")
            look: dict[str, Any] = {"linestyle": style, "color": PALETTE[index % len(PALETTE)]}
            values.append(_plot(axes, epochs, columns.get(column), label=label, **look))
    joined = np.concatenate(values) if values else np.zeros(0)
    if len(joined) and joined.min() > 0 and joined.max() > 20 * joined.min():
        axes.set_yscale("log")  # the first epochs are a hundred times the last
        axes.yaxis.set_major_formatter("{x:g}")
    _finish(axes, columns=4)


def _plot_scores(axes: Axes, epochs: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Plot AP on the left axis from 0 to 1, the learning rate on the right one."""
    for name, colour in zip(_SCORE_COLUMNS, PALETTE):
        _plot(axes, epochs, columns.get(name), label=name, color=colour)

    right = axes.twinx()
    _plot(right, epochs, columns.get("learning_rate"), label="learning rate (right)", color="0.6", linestyle=":")
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    right.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    right.set_ylim(bottom=0)
    right.set_visible(bool(right.get_lines()))

    axes.set_ylim(0, 1)
    _finish(axes, right.get_lines(), columns=3)


def _plot(axes: Axes, epochs: np.ndarray, values: np.ndarray | None, *, label: str, **look) -> np.ndarray:
    """Plot and return what is finite; short lines get markers, because a line of one point is invisible."""
    if values is None:
        return np.zeros(0)
    there = np.isfinite(values) & np.isfinite(epochs)
    if there.any():
        marker = "o" if there.sum() < 30 else ""
        axes.plot(epochs[there], values[there], label=label, marker=marker, markersize=3, linewidth=1.5, **look)
    return values[there]


def _finish(axes: Axes, more_lines: Sequence = (), columns: int = 3) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [*axes.get_lines(), *more_lines]
    if lines:
        add_legend(axes, lines, columns=columns)
    else:
        empty_note(axes, "nothing recorded yet")
