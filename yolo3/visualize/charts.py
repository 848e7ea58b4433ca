"""Charts as SVG text to put into an HTML page: lines over the unit square, stacked bars, a map of confusions.

Each chart is one ``<svg>`` element without scripts, fonts or addresses, labelled for those who cannot see it. Colours
of axes and text come from :data:`STYLE`, which the page has to carry. Names are escaped here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which is too pale for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
GOOD, BAD = "#0072B2", "#D55E00"
PALE = "#C9CED6"

STYLE = """
svg.chart { display: block; width: 100%; height: auto; }
svg.chart text { font-size: 13px; fill: #3d4654; }
svg.chart text.small { font-size: 10px; }
svg.chart .grid { stroke: #e3e6eb; stroke-width: 1; }
svg.chart .axis { stroke: #8a93a1; stroke-width: 1; }
svg.chart .mark { stroke: #6b7482; stroke-width: 1; stroke-dasharray: 3 3; }
svg.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg.chart .thin { stroke-width: 1; }
svg.chart .dashed { stroke-dasharray: 6 3; }
"""

_WIDTH, _HEIGHT = 480, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 18, 42, 44  # room for the labels around the plot, in the chart's own units
_COLUMNS = 150  # of a line: a plot 402 units wide shows no more


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a chart: ``x``, ``y`` [K] from 0 to 1. ``thin``: one of many, in the background."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str = PALETTE[0]
    dashed: bool = False
    thin: bool = False


def colour_of(place: int) -> tuple[str, bool]:
    """Return (colour, dashed) of the line with this place: when the colours are used up they come again in dashes."""
    return PALETTE[place % len(PALETTE)], (place // len(PALETTE)) % 2 == 1


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, title: str, marks: Sequence[tuple[str, float]] = ()
) -> str:
    """Return lines over 0..1 by 0..1. ``marks``: (text, x) of dashed uprights."""
    parts = [_grid(np.linspace(0, 1, 6), np.linspace(0, 1, 6), 1.0, "{:.1f}", x_label, y_label)]
    parts += [_upright(name, place, level) for level, (name, place) in enumerate(marks)]
    for line in sorted(lines, key=lambda line: not line.thin):
        points = " ".join(f"{_x(x):.1f},{_y(y, 1.0):.1f}" for x, y in zip(*thinned(line.x, line.y)))
        kinds = "line" + " dashed" * line.dashed + " thin" * line.thin
        look = f'class="{kinds}" stroke="{line.colour}"'
        parts.append(f'<polyline {look} points="{points}"><title>{escape(line.name)}</title></polyline>')
    return _svg(parts, title)


def thinned(x: np.ndarray, y: np.ndarray, columns: int = _COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """Return a line that looks the same: of each column of 0..1 the first, the lowest, the highest and the last point.

    ``x`` rises or falls throughout; at most 4 * (columns + 1) points are left.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(x):
        return x, y
    column = np.floor(x * columns)
    kept = []
    for stretch in np.split(np.arange(len(x)), np.flatnonzero(np.diff(column)) + 1):
        kept += [stretch[0], stretch[y[stretch].argmin()], stretch[y[stretch].argmax()], stretch[-1]]
    chosen = np.unique(kept)
    return x[chosen], y[chosen]


def bar_chart(
    edges: Sequence[float] | np.ndarray,
    counts: Mapping[str, np.ndarray],
    x_label: str,
    y_label: str,
    title: str,
    marks: Sequence[tuple[str, float]] = (),
    tick_every: int = 1,
) -> str:
    """Return stacked bars, one for each bin. ``edges`` [N + 1]; ``counts``: two names to int [N], the good one first.

    Bins are drawn equally wide, whatever their edges. ``marks``: (text, edge) of dashed uprights.
    ``tick_every``: every so manieth edge has its number.
    """
    num_bins = len(edges) - 1
    ticks = nice_ticks(max(1, int(np.sum(list(counts.values()), axis=0).max(initial=0))))
    places = {index / num_bins: f"{edges[index]:g}" for index in range(0, num_bins + 1, tick_every)}
    parts = [_grid(list(places), ticks, ticks[-1], "{:,}", x_label, y_label, list(places.values()))]
    for index in range(num_bins):
        here = {name: int(values[index]) for name, values in counts.items()}
        parts.append(_bar(index, edges, here, ticks[-1]))
    for level, (name, edge) in enumerate(marks):
        parts.append(_upright(name, np.interp(edge, edges, np.linspace(0, 1, num_bins + 1)), level))
    return _svg(parts, title)


def _bar(index: int, edges, counts: dict[str, int], top: float) -> str:
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    left, right = (_x(place / (len(edges) - 1)) for place in (index, index + 1))
    rectangles, total = [], 0
    for count, colour in zip(counts.values(), (GOOD, BAD)):
        high, low = _y(total + count, top), _y(total, top)
        if count:
            place = f'x="{left + 1:.1f}" y="{high:.1f}" width="{right - left - 2:.1f}" height="{low - high:.1f}"'
            rectangles.append(f'<rect {place} fill="{colour}"/>')
        total += count
    return f"<g><title>{edges[index]:g} to {edges[index + 1]:g}: {escape(said)}</title>{''.join(rectangles)}</g>"


def nice_ticks(top: float, most: int = 5) -> np.ndarray:
    """Return whole numbers from 0 to the first that is ``top`` or more, in steps of 1, 2 or 5 times a power of ten."""
    rough = max(top / most, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return np.arange(math.ceil(top / step) + 1) * step


def confusion_map(matrix: np.ndarray, names: Sequence[str], title: str) -> str:
    """Return a square for each cell of ``matrix`` [N, N] that is not 0, darker the larger its share of its row."""
    cell, room = 11, 130
    size = room + cell * len(names)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shown = [escape(name if len(name) <= 18 else name[:17] + "…") for name in names]
    parts = [f'<rect x="{room}" y="{room}" width="{size - room}" height="{size - room}" fill="#f5f6f8"/>']
    for row, name in enumerate(shown):
        at = room + cell * row + cell - 3
        parts.append(f'<text class="small" x="{room - 4}" y="{at}" text-anchor="end">{name}</text>')
        parts.append(f'<text class="small" transform="translate({at} {room - 4}) rotate(-90)">{name}</text>')
    for row, column in zip(*np.nonzero(matrix)):
        said = f"{names[row]} taken for {names[column]}: {matrix[row, column]}"
        parts.append(
            f'<rect x="{room + cell * column}" y="{room + cell * row}" width="{cell - 1}" height="{cell - 1}" '
            f'fill="{shade(shares[row, column], row == column)}"><title>{escape(said)}</title></rect>'
        )
    return (
        f'<svg class="chart map" role="img" aria-label="{escape(title)}" viewBox="0 0 {size} {size}" '
        f'style="min-width: {size}px">{"".join(parts)}</svg>'
    )


def shade(share: float, good: bool) -> str:
    """Return the colour of a cell that holds this share, 0..1, of its row: blue for what is right, orange for wrong."""
    strength = 0 if share <= 0 else 0.12 + 0.68 * min(float(share), 1.0) ** 0.5  # the root shows rare ones too
    full = (0, 114, 178) if good else (213, 94, 0)
    return "#" + "".join(f"{round(255 + (channel - 255) * strength):02x}" for channel in full)


# The frame around a plot. x and y run from 0 to 1 and from 0 to ``top``.


def _x(place: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top


def _grid(x_ticks, y_ticks, top: float, y_format: str, x_label: str, y_label: str, x_texts=None) -> str:
    texts = x_texts or [f"{tick:.1f}" for tick in x_ticks]
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in y_ticks:
        y = _y(tick, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{y_format.format(tick)}</text>')
    for tick, text in zip(x_ticks, texts, strict=True):
        parts.append(f'<line class="axis" x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text x="{_x(tick):.1f}" y="{base + 18}" text-anchor="middle">{text}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}"/>')
    parts.append(f'<text x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text x="4" y="{_TOP - 12}">{escape(y_label)}</text>')
    return "".join(parts)


def _upright(name: str, place: float, level: int) -> str:
    """Return a dashed upright at 0..1 with its name above the plot, on the side where there is room."""
    x, left, y = _x(place), place > 0.6, 14 + 16 * level
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text x="{x - 4 if left else x + 4:.1f}" y="{y}" '
        f'text-anchor="{"end" if left else "start"}">{escape(name)}</text>'
    )


def _svg(parts: Sequence[str], title: str) -> str:
    label = f'role="img" aria-label="{escape(title)}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="chart" {label}>{"".join(parts)}</svg>'
