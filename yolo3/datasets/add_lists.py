"""Add lists to a data set: written beside what is there, and read back before they count."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.formats.format import NewLists
from yolo3.files import replace_bytes, replace_file


def add_lists(
    dataset: Dataset, lists: Mapping[str, Sequence[Annotation]], path: str, suffix: str = "", overwrite: bool = False
) -> tuple[NewLists, list[str]]:
    """Write lists of a data set in its own format; images and boxes stay where they are.

    Args:
        dataset: The data set that was read.
        lists: List name to images.
        path: Where it was read from.
        suffix: Is added to the names of the lists.
        overwrite: Whether lists of these names are replaced.

    Returns:
        What was written and how to read it, and the lists of the data set that are not looked at any more, as those of
        folders in VOC once there are ImageSets.

    Raises:
        ValueError: If the format has no lists, a file is there already, or a list would not read back to its images;
            then everything is as it was.
    """
    format_lists = formats.FORMATS[dataset.format].format_lists
    if format_lists is None:
        having = ", ".join(formats.formats_with_lists())
        raise ValueError(
            f"{path}: expected a format with lists ({having}), got {dataset.format}; write a new data set with drawn "
            f"lists by: yolo3 data convert {path} NEW --format voc --val-split 0.2"
        )
    parts = {name: replace(dataset, annotations=list(members)) for name, members in lists.items()}
    new = format_lists(parts, path, suffix)
    there = [file for file in new.files if os.path.lexists(file)]
    if there and not overwrite:
        raise ValueError(
            f"{there[0]}: expected no list of this name, got one; give the new lists other names with --suffix, or "
            "replace it with --overwrite"
        )

    names = formats.list_names(path, dataset.format)
    before = {file: _content(file) for file in new.files}
    try:
        for file, text in new.files.items():
            replace_file(file, text)
        for name, members in lists.items():
            read = formats.read_dataset(new.data, dataset.format, dataset.class_names, new.names[name])
            wanted = {os.path.realpath(item.image_path) for item in members}
            got = {os.path.realpath(item.image_path) for item in read.annotations}
            if got != wanted:
                raise ValueError(
                    f"{path}: expected the list '{new.names[name]}' to read back to its {len(wanted)} images, got "
                    f"{len(got)}; give it another name with --suffix"
                )
    except BaseException:
        for file, content in before.items():
            if content is not None:
                replace_bytes(file, content)
            elif os.path.lexists(file):
                os.remove(file)
        raise
    hidden = (
        [] if new.data != path else [name for name in names if name not in formats.list_names(path, dataset.format)]
    )
    return new, hidden


def _content(file: str) -> bytes | None:
    if not os.path.isfile(file):
        return None
    with open(file, "rb") as opened:
        return opened.read()
