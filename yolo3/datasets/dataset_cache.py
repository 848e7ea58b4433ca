"""What reading a data set gave, kept from one start to the next until a file that the reader looked at has changed.

What it looked at is recorded while it runs (:mod:`yolo3.file_states`), so that a format needs to do nothing for it but
open and test files through :mod:`yolo3.files`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.cache import cache_folder, join_texts, read_cache, split_texts, write_cache
from yolo3.datasets.flat_boxes import first_boxes, flatten
from yolo3.datasets.pixel_limit import pixel_limit
from yolo3.file_states import FRESH_NS, Inputs, record_file, recorded_listing, recording

WORTH_SECONDS = 0.5  # of work below which nothing is kept
_MAX_FINDINGS = 100_000  # of a data set that is kept

Value = TypeVar("Value")
Packed = tuple[Any, Mapping[str, np.ndarray]]


def remembered(
    kind: str,
    path: str,
    arguments: Any,
    compute: Callable[[], Value],
    *,
    pack: Callable[[Value], Packed | None],
    unpack: Callable[[Any, Mapping[str, np.ndarray]], Value],
) -> Value:
    """Return what a computation on a data set gives, from the cache if nothing it looked at has changed.

    Args:
        kind: Name of the computation, a part of the file's name.
        path: The data set, a file or a folder.
        arguments: What else the result depends on, as JSON can hold it.
        compute: The computation.
        pack: Returns a result as (what JSON can hold, arrays), None for one that is not kept.
        unpack: Its inverse.
    """
    entry = _entry(kind, path, arguments)
    if entry is None:
        return compute()
    file, key = entry
    value = _recall(file, key, unpack)
    if value is not None:
        return value

    began, clock = time.time_ns(), time.perf_counter()
    with recording() as inputs:
        record_file(path)
        if os.path.isdir(path):
            recorded_listing(path)
        value = compute()
    if time.perf_counter() - clock >= WORTH_SECONDS and inputs.newest < began - FRESH_NS and inputs.hold(again=True):
        packed = pack(value)
        if packed is not None:
            write_cache(file, {"key": key, "inputs": inputs.to_plain(), "value": packed[0]}, packed[1])
    return value


def recalled(
    kind: str, path: str, arguments: Any, *, unpack: Callable[[Any, Mapping[str, np.ndarray]], Value]
) -> Value | None:
    """Return what `remembered` would return from the cache for these arguments, None if it would compute it."""
    entry = _entry(kind, path, arguments)
    return None if entry is None else _recall(*entry, unpack)


def _entry(kind: str, path: str, arguments: Any) -> tuple[str, str] | None:
    """Return (cache file, key) of a computation, None if nothing is to be kept."""
    folder = cache_folder(root_of(path))
    if folder is None:
        return None
    # Messages show the path as it was given, and relative ones depend on the current folder.
    key = json.dumps([kind, os.fspath(path), os.getcwd(), pixel_limit(), arguments])
    return os.path.join(folder, f"{kind}-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.npz"), key


def _recall(file: str, key: str, unpack: Callable[[Any, Mapping[str, np.ndarray]], Value]) -> Value | None:
    """Return what a cache file holds for a key, None if it holds something else or an input has changed."""
    found = read_cache(file)
    if found is None:
        return None
    header, arrays = found
    try:
        if header["key"] != key or not Inputs.from_plain(header["inputs"]).hold():
            return None
        value = unpack(header["value"], arrays)
        os.utime(file)
        return value
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError):
        return None  # another kind of file under this name


def root_of(path: str) -> str:
    """Return the folder of a data set: the path itself, or the folder that a file lies in."""
    return path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))


def pack_dataset(dataset: Dataset) -> Packed | None:
    """Return a data set as plain data; inverse of `unpack_dataset`. None for one with very many findings."""
    annotations = dataset.annotations
    if len(dataset.findings) > _MAX_FINDINGS:
        return None
    sources = {source: number for number, source in enumerate(dict.fromkeys(item.source for item in annotations))}
    plain = {
        "count": len(annotations),
        "num_sources": len(sources),
        "class_names": dataset.class_names,
        "format": dataset.format,
        "name": dataset.name,
        "notes": dataset.notes,
        "root": dataset.root,
        "findings": [
            [item.severity, item.kind, item.where, item.message, item.annotation, item.box] for item in dataset.findings
        ],
    }
    flat = flatten(annotations)
    lines = [line for item in annotations for line in item.lines or [0] * len(item.boxes)]
    return plain, {
        "paths": join_texts([item.image_path for item in annotations]),
        "sources": join_texts(list(sources)),
        "source": np.array([sources[item.source] for item in annotations], np.int32),
        "first": flat.first,
        "boxes": flat.boxes,
        "class_ids": flat.class_ids,
        "crowd": flat.crowd,
        "difficult": np.concatenate([np.zeros(0, bool), *(item.difficult for item in annotations)]),
        "has_lines": np.array([item.lines is not None for item in annotations], bool),
        "lines": np.array(lines, np.int64),
        "shapes": np.array([item.image_shape or (0, 0) for item in annotations], np.int32).reshape(-1, 2),
    }


def unpack_dataset(plain: Any, arrays: Mapping[str, np.ndarray]) -> Dataset:
    """Return the data set that `pack_dataset` was given.

    Raises:
        KeyError, ValueError, TypeError, IndexError: If it is not of this form.
    """
    count = plain["count"]
    paths = split_texts(arrays["paths"], count)
    sources = split_texts(arrays["sources"], plain["num_sources"])
    boxes, class_ids, crowd, difficult = (arrays[name] for name in ("boxes", "class_ids", "crowd", "difficult"))
    first, lines = arrays["first"].tolist(), arrays["lines"].tolist()
    has_lines, shapes, source = (arrays[name].tolist() for name in ("has_lines", "shapes", "source"))

    annotations = []
    for index, path in enumerate(paths):
        start, after = first[index], first[index + 1]
        shape = shapes[index]
        annotations.append(
            Annotation(
                image_path=path,
                boxes=boxes[start:after],
                class_ids=class_ids[start:after],
                difficult=difficult[start:after],
                crowd=crowd[start:after],
                source=sources[source[index]],
                lines=tuple(lines[start:after]) if has_lines[index] else None,
                image_shape=(shape[0], shape[1]) if shape[0] else None,
            )
        )
    if first_boxes(annotations).tolist() != first:
        raise ValueError("cache: expected boxes for each image, got fewer")
    return Dataset(
        annotations=annotations,
        class_names=list(plain["class_names"]),
        format=plain["format"],
        findings=[Finding(*item) for item in plain["findings"]],
        name=plain["name"],
        notes=list(plain["notes"]),
        root=plain["root"],
    )
