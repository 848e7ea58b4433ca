"""What the metadata of a file may hold: the text of a network file or of an exported one, checked before it is used.

Needs nothing but NumPy and OpenCV, as exported files do.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yolo3.files import printable
from yolo3.ops.resize_modes import RESIZE_MODES
from yolo3.records import checked_fields, shown

_LONGEST_TEXT = 1 << 26  # characters of metadata; a member of a few KB can claim to unpack to many GB
_LONGEST_SIDE = 1 << 16  # of the network input, in pixels


@dataclass(frozen=True)
class Metadata:
    """The keys that this package writes, with the types they must have; what they mean: :mod:`yolo3.models.saving`."""

    model: str | None = None
    class_names: tuple[str, ...] | None = None
    input_shape: tuple[int, int] | None = None
    resize: str | None = None
    anchors: tuple[tuple[float, float], ...] | None = None
    anchor_mask: tuple[tuple[int, ...], ...] | None = None
    strides: tuple[int, ...] | None = None
    scale_x_y: float | tuple[float, ...] | None = None
    ignore_thresh: float | tuple[float, ...] | None = None
    yolov1: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    darknet: dict[str, Any] | None = None

    def __post_init__(self):
        count = len(self.anchors or ())
        for name, values, words, holds in (
            ("input_shape", self.input_shape, f"sides from 1 to {_LONGEST_SIDE}", lambda x: 1 <= x <= _LONGEST_SIDE),
            ("anchors", _flat(self.anchors), "sizes above 0", lambda x: x > 0),
            ("anchor_mask", _flat(self.anchor_mask), f"indices of {count} anchors", lambda x: 0 <= x < count),
            ("strides", self.strides, "strides of 1 or more", lambda x: x >= 1),
            ("scale_x_y", _flat((self.scale_x_y,)), "numbers above 0", lambda x: x > 0),
            ("ignore_thresh", _flat((self.ignore_thresh,)), "numbers from 0", lambda x: x >= 0),
        ):
            for value in values or ():
                if not holds(value):
                    raise ValueError(f"{name}: expected {words}, got {shown(value)}")
        if self.resize not in (None, *RESIZE_MODES):
            raise ValueError(f"resize: expected {' or '.join(RESIZE_MODES)}, got {shown(self.resize)}")
        if not isinstance((self.darknet or {}).get("cfg", ""), str):
            raise ValueError(f"darknet.cfg: expected text, got {shown((self.darknet or {})['cfg'])}")


def parse_metadata(text: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Return metadata from its JSON text.

    Class names come back as they can be written and printed, with escapes for control characters and half surrogate
    pairs.

    Args:
        text: What was found in the file; str, or bytes in UTF-8.
        path: The file, for messages.

    Raises:
        ValueError: In one line, for anything but a JSON object whose fields have the types of :class:`Metadata`.
    """
    if not isinstance(text, (str, bytes)) or len(text) > _LONGEST_TEXT:
        found = f"more than {_LONGEST_TEXT} characters" if isinstance(text, (str, bytes)) else shown(text)
        raise ValueError(f"{path}: expected JSON text as yolo3 metadata, got {found}")
    try:
        metadata = json.loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its yolo3 metadata is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: expected a JSON object as yolo3 metadata, got {shown(metadata)}")
    try:
        Metadata(**checked_fields(Metadata, metadata))
    except ValueError as error:
        raise ValueError(f"{path}: its yolo3 metadata: {error}") from error
    if metadata.get("class_names") is not None:
        metadata["class_names"] = [printable(name) for name in metadata["class_names"]]
    return metadata


def read_member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """Return the bytes of a file in a zip archive, but no more than metadata may have; None if there is no such file.

    Raises:
        Exception: For a damaged archive, of many kinds.
    """
    if name not in archive.namelist():
        return None
    with archive.open(name) as file:
        return file.read(_LONGEST_TEXT + 1)


def _flat(values) -> Iterator[Any]:
    """Yield the numbers of nested tuples, without those that are None."""
    for value in values or ():
        if isinstance(value, tuple):
            yield from _flat(value)
        elif value is not None:
            yield value
