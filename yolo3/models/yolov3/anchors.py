"""Anchors: YOLOv3's own, and files of anchors.

Anchors are float [A, 2], (width, height) in pixels of the network input, small ones first.
"""

import os
import re
from pathlib import Path

import numpy as np

from yolo3.files import replace_file
from yolo3.models.yolov3.defaults import ANCHORS, TINY_ANCHORS

DEFAULT_ANCHORS = np.array(ANCHORS, np.float32)
DEFAULT_TINY_ANCHORS = np.array(TINY_ANCHORS, np.float32)
DEFAULT_ANCHORS.setflags(write=False)
DEFAULT_TINY_ANCHORS.setflags(write=False)


def default_anchors(num_anchors: int) -> np.ndarray | None:
    """Return YOLOv3's anchors for 9, the tiny network's for 6, None for another number."""
    return {9: DEFAULT_ANCHORS, 6: DEFAULT_TINY_ANCHORS}.get(num_anchors)


def parse_anchors(text: str, source: str = "anchors") -> np.ndarray:
    """Return the anchors in a text, float32 [A, 2]. Inverse: :func:`format_anchors`.

    Args:
        text: Pairs "w,h" separated by commas, blanks or line ends; all lines are read.
        source: Name of the text in errors.

    Raises:
        ValueError: With the line, for a value that is not a positive number, an odd number of values, or no value.
    """
    values: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        values += [_positive(word, f"{source}:{number}") for word in re.split(r"[,\s]+", line) if word]

    if not values:
        raise ValueError(f"{source}: expected anchors such as '10,13,  16,30,  33,23', got no number")
    if len(values) % 2:
        last = max(number for number, line in enumerate(text.splitlines(), 1) if line.strip(", \t"))
        raise ValueError(f"{source}:{last}: expected pairs 'width,height', got an odd number of values, {len(values)}")
    return np.array(values, np.float32).reshape(-1, 2)


def _positive(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{where}: expected a width or height in pixels, got {word!r}") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{where}: expected a width or height above 0 pixels, got {word!r}")
    return value


def read_anchors(path: str | os.PathLike) -> np.ndarray:
    """Return the anchors in a file, float32 [A, 2]; see :func:`parse_anchors`. Inverse: :func:`write_anchors`."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text file with anchors, got bytes that are not text") from error
    return parse_anchors(text, os.fspath(path))


def format_anchors(anchors) -> str:
    """Return anchors [A, 2] as "w,h,  w,h" on one line, whole numbers without a point.

    Inverse: :func:`parse_anchors`.
    """
    return ",  ".join(f"{width:.6g},{height:.6g}" for width, height in checked_sizes(anchors, "anchors"))


def write_anchors(path: str | os.PathLike, anchors) -> None:
    """Write anchors [A, 2] as one line; the file appears whole. Inverse: :func:`read_anchors`."""
    replace_file(path, format_anchors(anchors) + "\n")


def checked_sizes(sizes_wh, name: str) -> np.ndarray:
    """Return widths and heights as float64 [N, 2].

    Raises:
        ValueError: With ``name``, for another shape and for values that are not positive numbers.
    """
    sizes = np.asarray(sizes_wh, np.float64)
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(f"{name}: expected an array [N, 2] of widths and heights, got shape {list(sizes.shape)}")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        wrong = sizes[~(np.isfinite(sizes) & (sizes > 0)).all(axis=1)][0]
        raise ValueError(f"{name}: expected widths and heights above 0, got {wrong[0]:g} x {wrong[1]:g}")
    return sizes
