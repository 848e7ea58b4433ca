"""The lists of a run: which images it trains and validates on, so that one can come back to them.

Each is a text file with the path of one image a line: relative to the folder of the data, with slashes, for images
below it, so that the data can be moved; absolute for others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.find_images import file_key, num_parts, num_shared_parts
from yolo3.files import base_name, replace_bytes


@dataclass(frozen=True)
class ImageLists:
    """Names of the images of a run, as :func:`image_names` gives them.

    Attributes:
        train: Of the images that are trained on.
        val: Of the images that are validated on; may be empty.
    """

    train: list[str]
    val: list[str]


def image_names(annotations: Sequence[Annotation], root: str) -> list[str]:
    """Return the names of images in a list.

    Args:
        annotations: The images.
        root: Folder of the data.
    """
    start = os.path.join(os.path.abspath(root), "")
    paths = [os.path.abspath(annotation.image_path) for annotation in annotations]
    return [path[len(start) :].replace(os.sep, "/") if path.startswith(start) else path for path in paths]


def write_names(path: str | os.PathLike, names: Iterable[str]) -> None:
    """Write a list, one name a line; the file appears whole. Inverse: :func:`read_names`."""
    replace_bytes(path, os.fsencode("".join(f"{name}\n" for name in names)))


def read_names(path: str | os.PathLike) -> list[str]:
    """Return the names in a list. Inverse: :func:`write_names`."""
    with open(path, "rb") as file:
        lines = os.fsdecode(file.read()).split("\n")
    return [name for line in lines if (name := line.removesuffix("\r"))]


def select_images(
    annotations: Sequence[Annotation], names: Sequence[str], root: str
) -> tuple[list[Annotation], list[str]]:
    """Select the images that a list names, also where the data has moved since.

    An image that is not where the list says is the only one whose path ends in the whole relative name, or, for an
    absolute name, the only one that shares the longest run of trailing path parts.

    Args:
        annotations: Images of the data.
        names: The list.
        root: Folder of the data.

    Returns:
        (annotations in the order of the list, names without an image).
    """
    by_name = dict(zip(image_names(annotations, root), annotations, strict=True))
    found = {name: by_name[name] for name in names if name in by_name}

    if len(found) < len(set(names)):
        taken = {id(annotation) for annotation in found.values()}
        by_file: dict[str, list[Annotation]] = {}
        for annotation in annotations:
            if id(annotation) not in taken:
                by_file.setdefault(file_key(os.path.basename(annotation.image_path)), []).append(annotation)
        for name in names:
            fitting = _only_fitting(name, by_file.get(file_key(base_name(name)), []))
            if name not in found and fitting is not None:
                found[name] = fitting

    selected = {id(found[name]): found[name] for name in names if name in found}
    return list(selected.values()), [name for name in names if name not in found]


def _only_fitting(name: str, candidates: Sequence[Annotation]) -> Annotation | None:
    shared = [num_shared_parts(name, annotation.image_path) for annotation in candidates]
    most = max(shared, default=0) if os.path.isabs(name) else num_parts(name)
    best = [annotation for annotation, number in zip(candidates, shared, strict=True) if number == most]
    return best[0] if len(best) == 1 else None
