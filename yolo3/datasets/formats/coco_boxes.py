"""The box of a COCO annotation: its bbox, or the box around its segmentation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from yolo3.datasets.json_values import finite_number

_MAX_SIDE = 1 << 15  # of a mask, in pixels
_MAX_DEPTH = 4  # of the lists of a segmentation

Corners = tuple[float, float, float, float]


def box_of_entry(entry: dict[str, Any]) -> Corners | None:
    """Return the box of an annotation.

    Args:
        entry: The annotation. Without bbox, or with an empty one, its segmentation counts: polygons, one polygon,
            points, or run lengths, compressed or not.

    Returns:
        x_min, y_min, x_max, y_max in pixels, None if there is none that can be read.
    """
    bbox = entry.get("bbox")
    if bbox is not None and bbox != []:
        return parse_bbox(bbox)
    segmentation = entry.get("segmentation")
    return _around_run_lengths(segmentation) if isinstance(segmentation, dict) else _around_points(segmentation)


def parse_bbox(bbox: Any) -> Corners | None:
    """Return the corners of [x, y, width, height], None unless these are four finite numbers."""
    numbers = [finite_number(value) for value in bbox] if isinstance(bbox, (list, tuple)) else []
    if len(numbers) != 4 or None in numbers:
        return None
    x, y, width, height = (number for number in numbers if number is not None)
    corners = x, y, x + width, y + height
    return corners if all(map(math.isfinite, corners)) else None


def _around_points(polygons: Any) -> Corners | None:
    """Return the corners around polygons, lists of x, y, x, y, ... or of [x, y] in lists of any depth."""
    values = [finite_number(value) for value in _leaves(polygons)]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or len(numbers) < 6 or len(numbers) % 2:
        return None
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _leaves(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, list) and depth < _MAX_DEPTH:
        for item in value:
            yield from _leaves(item, depth + 1)
    else:
        yield value


def _around_run_lengths(segmentation: dict[str, Any]) -> Corners | None:
    """Return the corners around a mask {"size": [height, width], "counts": run lengths, as a list or compressed}."""
    from pycocotools import mask as masks

    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 < n < _MAX_SIDE for n in size):
        return None

    # pycocotools does not check what it is given, and reads beyond its end.
    height, width = size
    if isinstance(counts, list):
        if not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != height * width:
            return None
        runs = masks.frPyObjects(segmentation, height, width)
    elif isinstance(counts, str) and _is_compressed(counts):
        runs = {"size": size, "counts": counts.encode()}
    else:
        return None
    x, y, box_width, box_height = masks.toBbox(runs).tolist()
    return (x, y, x + box_width, y + box_height) if box_width > 0 and box_height > 0 else None


def _is_compressed(counts: str) -> bool:
    """Return whether text holds numbers of six bits a character, from "0" on, the sixth set unless it is the last."""
    codes = [ord(character) - 48 for character in counts]
    return bool(codes) and all(0 <= code < 64 for code in codes) and not codes[-1] & 32
