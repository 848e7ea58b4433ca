"""Say what a path holds that is in no format, and what to do: the usual mistakes and near misses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from yolo3.datasets.find_images import ImageIndex, unread_findings
from yolo3.datasets.formats.yolo_labels import kind_of_label
from yolo3.datasets.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from yolo3.files import has_suffix, text_head, walk_files

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".rar", ".7z")
_FILES_LOOKED_AT = 20
_BYTES_LOOKED_AT = 1 << 16


def describe(path: str) -> tuple[str, str]:
    """Describe a path that is in no format.

    Args:
        path: A file or a folder.

    Returns:
        What it is, and what to do, "" if nothing is known.
    """
    if os.path.isfile(path):
        return _describe_file(path) or (f"a file of {os.path.getsize(path)} bytes", "")

    names = sorted(os.listdir(path))
    if not names:
        return "an empty folder", ""
    content = f"a folder with {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
    index = ImageIndex(path)
    if index.unread:
        return content, unread_findings(index.unread, path)[0].message

    files = [file for file in walk_files(path) if not has_suffix(file, (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))]
    for file in files[:_FILES_LOOKED_AT]:
        found = _describe_file(file)
        if found is not None and found[0] != _LABEL:
            return f"{os.path.relpath(file, path)}, {found[0]}", found[1]
    if not index.paths and any(has_suffix(file, ".txt") and kind_of_label(file) == "boxes" for file in files):
        return f"{content}: label files without images", "give the folder above, which holds both"
    if index.paths and not files:
        return f"{content}: images alone", "give the folder that holds their annotations too"
    return content, ""


_LABEL = "a label file of one image"


def _describe_file(path: str) -> tuple[str, str] | None:
    """Return what a file is and what to do, None if that is not known."""
    if has_suffix(path, (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)):
        return "an image", "give the file or folder of its annotations"
    if has_suffix(path, _ARCHIVES):
        return "an archive", "unpack it and give the folder"
    if has_suffix(path, ".xml") and os.path.getsize(path) == 0:
        return "an empty file", "export it again"

    head = text_head(path, _BYTES_LOOKED_AT)
    if has_suffix(path, (".yaml", ".yml")) and re.search(r"^\s*(train|val)\s*:", head, re.MULTILINE):
        return "YAML with lists but without 'names'", "add the names of the classes: names: [cat, dog]"
    if has_suffix(path, ".json"):
        if re.match(r"\s*\[\s*\{", head) and '"bbox"' in head and '"category_id"' in head:
            return "boxes without images and categories", "give COCO annotations; these are results of a detector"
        if re.match(r"\s*\{", head) and '"images"' in head:
            return "JSON with 'images' but without 'categories'", "export it again, or repair it if it was cut"
    if has_suffix(path, ".txt"):
        first = next(_lines(head), "")
        if has_suffix(first, (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)):
            return (
                "a list of images without boxes, none of which has a label file",
                "put labels beside the images or in labels/, or write the boxes behind the names",
            )
        if kind_of_label(path) == "boxes":
            return _LABEL, "give the folder that holds the images too"
    return None


def _lines(text: str) -> Iterator[str]:
    """Yield the lines that are neither blank nor comments."""
    return (line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
