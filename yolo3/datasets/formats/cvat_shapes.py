"""The boxes around CVAT's shapes."""

from __future__ import annotations

import math

from lxml import etree

from yolo3.datasets.formats.described_images import DescribedBox
from yolo3.datasets.json_values import finite_numbers

WITH_AREA = ("box", "polygon", "ellipse", "mask", "cuboid", "skeleton")
WITHOUT_AREA = ("polyline", "points", "tag")
_LAST_LINE = 65535  # up to which libxml2 counts


def line_of(element: etree._Element) -> int | None:
    """Return the line of an element in its file, None if it is not known."""
    return element.sourceline if element.sourceline < _LAST_LINE else None


def parse_shape(shape: etree._Element, label: str | None) -> DescribedBox:
    """Return the box around a shape.

    Args:
        shape: <box>, <polygon>, <ellipse>, <mask>, <cuboid> or <skeleton>, coordinates in pixels, angles in degrees.
        label: Class name; in a track it stands in the <track>.

    Returns:
        The box.

    Raises:
        ValueError: If it has no label, or a coordinate is no number.
    """
    if not label or not label.strip():
        raise ValueError(f"expected a label for each {shape.tag}, got none")

    if shape.tag == "box":
        x_min, y_min, x_max, y_max = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
        xs, ys = [x_min, x_max, x_max, x_min], [y_min, y_min, y_max, y_max]
    elif shape.tag == "mask":
        left, top, width, height = _numbers(shape, "left", "top", "width", "height")
        xs, ys = [left, left + width], [top, top + height]
    elif shape.tag == "ellipse":
        # Turned by an angle, its half width is the root of (rx cos)^2 + (ry sin)^2.
        x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
        (angle,) = _numbers(shape, "rotation", default="0")
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        half_width = math.hypot(radius_x * cosine, radius_y * sine)
        half_height = math.hypot(radius_x * sine, radius_y * cosine)
        xs, ys = [x - half_width, x + half_width], [y - half_height, y + half_height]
    elif shape.tag == "cuboid":
        corners = [f"{side}{number}" for side in ("tl", "bl", "tr", "br") for number in (1, 2)]
        xs = _numbers(shape, *(f"x{corner}" for corner in corners))
        ys = _numbers(shape, *(f"y{corner}" for corner in corners))
    else:  # a polygon, or a skeleton of points
        texts = [shape.get("points", "")] + [part.get("points", "") for part in shape if part.get("outside") != "1"]
        numbers = finite_numbers(
            value for text in texts for pair in text.split(";") if pair for value in pair.split(",")
        )
        if numbers is None or len(numbers) < 4 or len(numbers) % 2:
            raise ValueError(f"expected points 'x,y;x,y;...' of a {shape.tag}, got '{' '.join(texts)[:80]}'")
        xs, ys = numbers[::2], numbers[1::2]

    if shape.tag == "box" and shape.get("rotation"):
        (angle,) = _numbers(shape, "rotation")
        xs, ys = _turned(xs, ys, math.radians(angle))
    marks = {part.get("name", "").lower(): (part.text or "").strip().lower() for part in shape.iterfind("attribute")}
    difficult = marks.get("difficult") in ("true", "1", "yes")
    return DescribedBox(label.strip(), (min(xs), min(ys), max(xs), max(ys)), line=line_of(shape), difficult=difficult)


def _numbers(shape: etree._Element, *names: str, default: str = "") -> list[float]:
    texts = [shape.get(name, default) for name in names]
    numbers = finite_numbers(texts)
    if numbers is None:
        raise ValueError(f"expected numbers for {', '.join(names)} of a {shape.tag}, got '{', '.join(texts)}'")
    return numbers


def _turned(xs: list[float], ys: list[float], angle: float) -> tuple[list[float], list[float]]:
    """Return points turned around their centre, clockwise in the image, by an angle in radians."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    cosine, sine = math.cos(angle), math.sin(angle)
    points = [(px - x, py - y) for px, py in zip(xs, ys, strict=True)]
    return [x + dx * cosine - dy * sine for dx, dy in points], [y + dx * sine + dy * cosine for dx, dy in points]
