"""Formats of boxes by the names that Keras' layers and KerasHub have for them (``bounding_box_format``)."""

from __future__ import annotations

from typing import Any

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
"""Values of ``bounding_box_format``, those of ``keras.utils.bounding_boxes.convert_format``."""

NO_OBJECT = -1  # label of padding


def check_format(name: str) -> str:
    """Return the name of a format of boxes in lower case.

    Raises:
        ValueError: For a name that Keras does not know.
    """
    if not isinstance(name, str) or name.lower() not in FORMATS:
        raise ValueError(f"bounding_box_format: expected one of {', '.join(FORMATS)}, got {name!r}")
    return name.lower()


def columns_of(name: str, centre: tuple[Any, Any], sides: tuple[Any, Any], input_shape: tuple[int, int]) -> tuple:
    """Return the four columns of boxes in a format, from relative centres and sides; arrays of any library.

    Args:
        name: One of `FORMATS`.
        centre: (x, y) of the centres, relative to the network input.
        sides: (width, height), likewise.
        input_shape: (height, width) of the network input in pixels, for formats in pixels.
    """
    height, width = (1, 1) if name.startswith("rel_") else input_shape
    (x, y), (w, h) = (centre[0] * width, centre[1] * height), (sides[0] * width, sides[1] * height)
    left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    columns = {
        "xyxy": (left, top, right, bottom),
        "yxyx": (top, left, bottom, right),
        "xywh": (left, top, w, h),
        "center_xywh": (x, y, w, h),
        "center_yxhw": (y, x, h, w),
    }
    return columns[name.removeprefix("rel_")]
