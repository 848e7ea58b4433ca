"""Charts as matplotlib figures, for the PNG files of a training run and for the SVG in a report.

Each function returns a figure; :func:`svg` and :func:`png` turn it into a file's content. Figures never touch pyplot,
so they work whatever backend is configured. Legends stand below the axes, where they cover nothing.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which is too pale for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
GOOD, BAD, PALE, INK = "#0072B2", "#D55E00", "#C9CED6", "#3d4654"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a class may have dollar signs in its name
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8a93a1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e6eb",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "path.simplify_threshold": 0.5,  # points; curves of many detections stay small files
    "svg.hashsalt": "yolo3",  # the same chart gives the same file
}
WIDTH, HEIGHT = 5.6, 3.6  # inches; at 72 points to the inch, text of 9 points is legible on a phone
_LEGEND_ROW = 0.2  # inches
_NAMED_CURVES = 10
_NUMBERED_CLASSES = 20  # cells of a larger confusion matrix have no room for numbers


@matplotlib.rc_context(STYLE)
def new_figure(width: float = WIDTH, height: float = HEIGHT, num_panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of this size in inches, and its panels side by side."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return figure, list(figure.subplots(1, num_panels, squeeze=False)[0])


def svg(figure: Figure) -> str:
    """Return a figure as SVG text in which letters are shapes, so that it looks the same everywhere."""
    return _saved(figure, format="svg", metadata={"Date": None}).decode("utf-8")


def png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    return _saved(figure, format="png")


@matplotlib.rc_context(STYLE)
def _saved(figure: Figure, **options) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in letters that the font lacks shows boxes
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def add_legend(target: Figure | Axes, handles: Sequence, labels: Sequence[str] | None = None, columns: int = 3) -> None:
    """Put a legend below a figure, or below one of its panels."""
    labels = [str(handle.get_label()) for handle in handles] if labels is None else labels
    options: dict[str, Any] = {"ncols": min(columns, len(handles)), "fontsize": 9, "columnspacing": 1.2}
    if isinstance(target, Figure):
        target.legend(handles, labels, loc="outside lower center", **options)
    else:
        target.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.14), **options)


def shortened(name: str, length: int = 22) -> str:
    """Return a name that is cut with an ellipsis where it is longer than ``length``."""
    return name if len(name) <= length else name[: length - 1] + "…"


@matplotlib.rc_context(STYLE)
def precision_recall_chart(curves: Mapping[str, Any]) -> Figure:
    """Draw precision against recall, one line per class.

    Beyond ten classes the five best and the five worst have colours and names; the others are pale.

    Args:
        curves: Class name to an object with ``precision`` and ``recall`` [K] and ``ap``, such as
            :class:`yolo3.evaluation.average_precision.PrecisionRecall`. Classes without ground truth (``ap`` NaN) are
            left out.

    Returns:
        The figure.
    """
    ranked = sorted((name for name in curves if not np.isnan(curves[name].ap)), key=lambda name: -curves[name].ap)
    named = ranked
    if len(ranked) > _NAMED_CURVES:
        named = ranked[: _NAMED_CURVES // 2] + ranked[-_NAMED_CURVES // 2 :]
    unnamed = [name for name in ranked if name not in named]

    figure, (axes,) = new_figure(height=HEIGHT + _LEGEND_ROW * ((len(named) + bool(unnamed)) // 2))
    handles, labels = [], []
    for name in unnamed + named:
        # From recall 0 to the last recall reached, where the curve falls to the axis.
        curve = curves[name]
        recall = np.concatenate([[0.0], curve.recall, curve.recall[-1:]])
        precision = np.concatenate([curve.precision[:1], curve.precision, [0.0]])[: len(recall)]
        if name in unnamed:
            (line,) = axes.plot(recall, precision, color=PALE, linewidth=0.8)
            continue
        place = named.index(name)
        style = "--" if place >= len(PALETTE) else "-"
        (line,) = axes.plot(recall, precision, style, color=PALETTE[place % len(PALETTE)], linewidth=1.6)
        handles.append(line)
        labels.append(f"{curve.ap:.3f} {shortened(name)}")
    if unnamed:
        handles.append(axes.plot([], [], color=PALE)[0])
        labels.append(f"{len(unnamed)} more classes")

    _unit_square(axes, "recall", "precision")
    if handles:
        add_legend(figure, handles, labels, columns=2)
    else:
        empty_note(axes, "no class has ground truth")
    return figure


@matplotlib.rc_context(STYLE)
def threshold_chart(points: np.ndarray, used: float, best: float) -> Figure:
    """Draw precision, recall and F1 against the score threshold.

    Args:
        points: float [4, S], score, precision, recall and F1 at each score, scores falling.
        used: The score threshold in use.
        best: The score with the largest F1, NaN for none.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(height=HEIGHT + 2 * _LEGEND_ROW)
    scores, *values = points
    for name, value, colour in zip(("precision", "recall", "F1"), values, PALETTE):
        # What holds at a threshold holds down to the next lower score, and from the last score to 0.
        axes.step(np.append(scores, 0.0), np.append(value, value[-1:]), where="post", color=colour, label=name)
    axes.axvline(used, color=INK, linestyle="--", linewidth=1, label=f"threshold used: {used:g}")
    if not np.isnan(best):
        axes.axvline(best, color=INK, linestyle=":", linewidth=1.4, label=f"largest F1: {best:.2f}")

    _unit_square(axes, "score threshold", "")
    add_legend(figure, axes.get_lines())
    return figure


@matplotlib.rc_context(STYLE)
def score_histogram(hits: np.ndarray, false: np.ndarray, used: float) -> Figure:
    """Draw how many hits and false positives have which score, in bins of .05 from .1 up.

    Args:
        hits: Scores of the hits.
        false: Scores of the false positives.
        used: The score threshold in use.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(height=HEIGHT + _LEGEND_ROW)
    edges = np.round(np.linspace(0.1, 1, 19), 2).astype(np.float32)
    handles = _stacked_bars(axes, edges, {"hits": hits, "false positives": false})
    if used >= edges[0]:
        handles.append(axes.axvline(used, color=INK, linestyle="--", linewidth=1, label=f"threshold used: {used:g}"))

    axes.set(xlim=(0.1, 1), xlabel="score", ylabel="detections")
    axes.xaxis.set_major_locator(MultipleLocator(0.1))
    add_legend(figure, handles)
    return figure


@matplotlib.rc_context(STYLE)
def size_histogram(found: np.ndarray, not_found: np.ndarray, limits: Sequence[float]) -> Figure:
    """Draw how many objects of which size were found and not found, on a logarithmic axis.

    Args:
        found: Sides in pixels, roots of areas, of the objects that were found.
        not_found: Those of the others.
        limits: Sides at which COCO's size groups begin.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(height=HEIGHT + _LEGEND_ROW)
    sides = np.maximum(np.concatenate([found, not_found, limits]), 1)
    low, high = int(np.floor(np.log2(sides.min()))), int(np.floor(np.log2(sides.max()))) + 1
    edges = 2.0 ** np.arange(low, high + 0.25, 0.5)  # two bins per octave, however large the objects
    handles = _stacked_bars(axes, edges, {"found": np.maximum(found, 1), "not found": np.maximum(not_found, 1)})
    for limit in limits:
        line = axes.axvline(limit, color=INK, linestyle=":", linewidth=1.4)
    line.set_label(f"COCO's limits: {' and '.join(f'{limit:g}' for limit in limits)}")

    axes.set_xscale("log", base=2)
    ticks = 2 ** np.arange(low, high + 1)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set(xlim=(edges[0], edges[-1]), xlabel="size in pixels (root of the area)", ylabel="objects")
    add_legend(figure, [*handles, line])
    return figure


def _stacked_bars(axes: Axes, edges: np.ndarray, groups: Mapping[str, np.ndarray]) -> list:
    """Draw a bar per bin with the first group in blue and the second on it in orange, and return their handles."""
    bottom, handles = np.zeros(len(edges) - 1), []
    for (name, values), colour in zip(groups.items(), (GOOD, BAD)):
        counts, _ = np.histogram(values, edges)
        look: dict[str, Any] = {"color": colour, "edgecolor": "white", "linewidth": 0.6, "align": "edge"}
        handles.append(axes.bar(edges[:-1], counts, np.diff(edges), bottom=bottom, label=name, **look))
        bottom = bottom + counts

    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(0, max(1.0, 1.05 * bottom.max()))
    return handles


@matplotlib.rc_context(STYLE)
def confusion_chart(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix, each cell shaded by its share of the row.

    Hits are blue, everything else is orange. The cells of few classes have their numbers.

    Args:
        matrix: int [C + 1, C + 1], rows true, columns detected, the last of each background.
        class_names: C names.

    Returns:
        The figure.
    """
    names = [shortened(name, 18) for name in class_names]
    numbered = len(names) < _NUMBERED_CLASSES
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    strength = np.where(shares > 0, 0.12 + 0.68 * np.sqrt(shares), 0)  # the root shows rare confusions too
    signs = np.where(np.eye(len(matrix), dtype=bool), 1, -1)

    hues = LinearSegmentedColormap.from_list("error or hit", [BAD, "#f5f6f8", GOOD])
    side = 1.7 + (0.44 if numbered else 0.115) * len(matrix)
    figure, (axes,) = new_figure(width=side + 0.4, height=side)
    axes.imshow(strength * signs, cmap=hues, vmin=-1, vmax=1)
    size = 9 if numbered else 6
    axes.set_xticks(range(len(matrix)), [*names, "(not found)"], rotation=90, fontsize=size)
    axes.set_yticks(range(len(matrix)), [*names, "(no object)"], fontsize=size)
    axes.set(xlabel="detected", ylabel="ground truth")
    axes.tick_params(which="both", length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)

    if numbered:
        edges = np.arange(len(matrix)) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        for row, column in np.argwhere(matrix > 0):
            colour = "white" if strength[row, column] > 0.6 else "black"
            look: dict[str, Any] = {"ha": "center", "va": "center", "color": colour, "fontsize": size - 1}
            axes.text(column, row, f"{int(matrix[row, column])}", **look)
    return figure


def _unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.yaxis.set_major_locator(MultipleLocator(0.2))


def empty_note(axes: Axes, text: str) -> None:
    """Write in the middle of an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#8a93a1", transform=axes.transAxes)
