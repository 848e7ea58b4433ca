"""The formats by name, which of them a path is in, and reading and writing by name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import replace

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.class_names import require_printable
from yolo3.datasets.copy_images import ImageCopies
from yolo3.datasets.find_images import ImageIndex, unread_findings
from yolo3.datasets.formats.format import Format
from yolo3.datasets.lists import default_pair

FORMATS: dict[str, Format] = {}

# One line per format: the module in this folder that defines it as `FORMAT`, in the order of help and messages.
_MODULES = (
    "keras_yolo3",
    "pascal_voc",
    "coco",
    "yolo_txt",
    "csv_boxes",
    "cvat",
    "labelme",
    "vott",
    "createml",
)


def register(format: Format) -> None:
    """Add a format, so that `read_dataset` and `--format` know it.

    Raises:
        ValueError: If another format has its name.
    """
    if FORMATS.setdefault(format.name, format) is not format:
        raise ValueError(f"format: expected a name that is not taken, got '{format.name}'")


for _module in _MODULES:
    register(importlib.import_module(f"yolo3.datasets.formats.{_module}").FORMAT)


def detect_format(path: str | os.PathLike) -> str:
    """Return the name of the format that a file or folder is in, by its content.

    Raises:
        ValueError: If it is in none of them, or in several.
    """
    path = _existing(path)
    found = [format.name for format in FORMATS.values() if format.matches(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{path}: expected annotations in one format, got {' and '.join(found)}; choose with --format")

    if os.path.isfile(path):
        content = f"a file of {os.path.getsize(path)} bytes"
    elif names := sorted(os.listdir(path)):
        content = f"a folder with {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
    else:
        content = "an empty folder"
    unread = [] if os.path.isfile(path) else ImageIndex(path).unread
    content += f"; {unread_findings(unread, path)[0].message}" if unread else ""
    looked_for = "; ".join(f"{format.looked_for} ({format.name})" for format in FORMATS.values())
    raise ValueError(f"{path}: expected {looked_for}; got {content}")


def list_names(path: str | os.PathLike, format: str | None = None) -> list[str]:
    """Return the names of the data set's own lists, [] if it has none; the format is recognised if not given."""
    return _format_of(path, format).list_names(_existing(path))


def find_default_lists(path: str | os.PathLike, format: str | None = None) -> tuple[str, str] | None:
    """Return the lists (train, validation) that belong together, None if the data set has no such pair."""
    return default_pair(list_names(path, format))


def read_dataset(
    path: str | os.PathLike,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    list_name: str | None = None,
) -> Dataset:
    """Read a data set or one of its lists.

    Args:
        path: A file or a folder.
        format: Name of its format; recognised by content if None.
        class_names: Classes of the result, in this order; those that the data names if None.
        list_name: Name of one of its lists; all are read if None.

    Returns:
        The data set. What is wrong with single lines, boxes and images is in its `findings`.

    Raises:
        ValueError: If nothing can be read, or the format or the list does not exist.

    Example:
        >>> dataset = read_dataset("VOCdevkit/VOC2007", list_name="trainval")
    """
    path = _existing(path)
    dataset = _format_of(path, format).read(path, class_names=class_names, list_name=list_name)
    require_printable(dataset.class_names, path)
    return replace(dataset, root=path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)))


def write_dataset(dataset: Dataset, path: str | os.PathLike, format: str, images: ImageCopies | None = None) -> None:
    """Write a data set in a format; where, and what is lost, is documented in the `write` of its module.

    Args:
        dataset: The data set; its name says which list it is.
        path: The file or folder.
        format: Name of the format.
        images: Copies of the images, for several lists of one folder; None for what the format does without.

    Raises:
        ValueError: If there is no such format, or it is only read.
    """
    write = _named_format(format).write
    if write is None:
        written = ", ".join(written_formats())
        raise ValueError(f"format: expected one that is written, {written}, got '{format}', which is only read")
    if images is None:
        write(dataset, os.fspath(path))
    else:
        write(dataset, os.fspath(path), images=images)


def written_formats() -> dict[str, str]:
    """Return the name and description of each format that can be written."""
    return {name: format.description for name, format in FORMATS.items() if format.write is not None}


def _format_of(path: str | os.PathLike, format: str | None) -> Format:
    return _named_format(detect_format(path) if format is None else format)


def _named_format(format: str) -> Format:
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got '{format}'")
    return FORMATS[format]


def _existing(path: str | os.PathLike) -> str:
    path = os.fspath(path)
    if not os.path.exists(path):
        raise ValueError(f"{path}: expected a file or a folder with annotations, got nothing there")
    return path
