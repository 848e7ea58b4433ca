"""The formats by name, and which of them a path holds.

A format is a module with `matches(path)`, `list_names(path)`, `read(path, class_names, list_name)` and
`write(dataset, path)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from types import ModuleType

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.formats import coco, keras_yolo3, pascal_voc, yolo_txt

FORMATS: dict[str, ModuleType] = {
    keras_yolo3.NAME: keras_yolo3,
    pascal_voc.NAME: pascal_voc,
    coco.NAME: coco,
    yolo_txt.NAME: yolo_txt,
}

_LOOKED_FOR = {
    keras_yolo3.NAME: "text lines 'path x_min,y_min,x_max,y_max,class_id'",
    pascal_voc.NAME: "XML with <annotation>",
    coco.NAME: "JSON with images and categories",
    yolo_txt.NAME: "data.yaml or label files 'class_id x y w h'",
}

# Lists that belong together, best first: (train, validation).
_DEFAULT_PAIRS = (("train", "val"), ("trainval", "test"), ("train", "test"))
_ROLES = {
    "train": "train",
    "training": "train",
    "trainval": "trainval",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def detect_format(path: str | os.PathLike) -> str:
    """Name of the format that a file or folder is in, by its content.

    Raises ValueError when it is in none of them, or in several.
    """
    path = _existing(path)
    found = [name for name, module in FORMATS.items() if module.matches(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{path}: expected annotations in one format, got {' and '.join(found)}; choose with --format")
    looked_for = "; ".join(f"{text} ({name})" for name, text in _LOOKED_FOR.items())
    raise ValueError(f"{path}: expected {looked_for}; got {_describe(path)}")


def list_names(path: str | os.PathLike, format: str | None = None) -> list[str]:
    """Names of the data set's own lists; [] when it has none."""
    return _module(path, format).list_names(_existing(path))


def read_dataset(
    path: str | os.PathLike,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    list_name: str | None = None,
) -> Dataset:
    """Read a data set or one of its lists; the format is recognised when it is not given.

    What is wrong with single lines, boxes and images is in the `findings` of the result. Raises ValueError
    when nothing can be made of the path, or the format or the list does not exist.
    """
    return _module(path, format).read(_existing(path), class_names=class_names, list_name=list_name)


def find_default_lists(path: str | os.PathLike, format: str | None = None) -> tuple[str, str] | None:
    """Names of the lists to train and to validate on, None when the data set has no such pair.

    train and val (valid, validation), else trainval and test, else train and test; numbers and words around
    the name do not matter (2007_train, train2017).
    """
    by_role: dict[str, str] = {}
    for name in sorted(list_names(path, format), key=len):
        by_role.setdefault(list_role(name), name)
    for train, val in _DEFAULT_PAIRS:
        if train in by_role and val in by_role:
            return by_role[train], by_role[val]
    return None


def list_role(name: str) -> str:
    """ "train", "trainval", "val" or "test" as the name of a list says it, "" when it says none."""
    words = re.findall(r"[a-z]+", os.path.basename(name).lower())
    roles = [_ROLES[word] for word in words if word in _ROLES]
    return roles[-1] if roles else ""


def write_dataset(dataset: Dataset, path: str | os.PathLike, format: str) -> None:
    """Write a data set in a format; where and what is lost stands in that module's `write`."""
    _named_module(format).write(dataset, os.fspath(path))


def _module(path: str | os.PathLike, format: str | None) -> ModuleType:
    return _named_module(detect_format(path) if format is None else format)


def _named_module(format: str) -> ModuleType:
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got '{format}'")
    return FORMATS[format]


def _existing(path: str | os.PathLike) -> str:
    path = os.fspath(path)
    if not os.path.exists(path):
        raise ValueError(f"{path}: expected a file or a folder with annotations, got nothing there")
    return path


def _describe(path: str) -> str:
    """What a path holds, in a few words."""
    if os.path.isfile(path):
        return f"a file of {os.path.getsize(path)} bytes"
    names = sorted(os.listdir(path))
    if not names:
        return "an empty folder"
    return f"a folder with {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
