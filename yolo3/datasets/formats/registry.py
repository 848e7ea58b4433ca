"""The formats by name, which of them a path is in, and reading and writing by name."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from yolo3.arguments import Arguments
from yolo3.datasets.annotation import Dataset
from yolo3.datasets.cache import module_version
from yolo3.datasets.class_names import require_printable
from yolo3.datasets.copy_images import ImageCopies
from yolo3.datasets.dataset_cache import pack_dataset, recalled, remembered, root_of, unpack_dataset
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS, OWN_FORMATS
from yolo3.datasets.formats.several_formats import disagreement
from yolo3.datasets.formats.unrecognised import describe
from yolo3.datasets.lists import default_pair
from yolo3.file_states import one_look

FORMATS: dict[str, Format] = {}
_OWN = ("format", "class_names", "list_name")
_ARGUMENTS = Arguments("read_dataset", (), own=_OWN, names={"list": "list_name", "classes": "class_names"}, valued=_OWN)


def register(format: Format) -> None:
    """Add a format, so that `read_dataset` and `--format` know it.

    Raises:
        ValueError: If another format has its name.
    """
    if FORMATS.setdefault(format.name, format) is not format:
        raise ValueError(f"format: expected a name that is not taken, got '{format.name}'")
    DESCRIPTIONS[format.name] = format.description


for _own in OWN_FORMATS.values():
    register(importlib.import_module(f"yolo3.datasets.formats.{_own.module}").FORMAT)


def detect_format(path: str | os.PathLike) -> str:
    """Return the name of the format that a file or folder is in, by its content; of several, that of the richest.

    Raises:
        ValueError: If it is in none of them.
    """
    return matching_formats(path)[0]


def matching_formats(path: str | os.PathLike) -> list[str]:
    """Return the names of all formats that a file or folder is in, the richest first.

    Raises:
        ValueError: If it is in none of them.
    """
    path = _existing(path)

    def match() -> list[str]:
        with one_look():
            return [format.name for format in FORMATS.values() if format.matches(path)]

    found = _remembered_names("formats", path, None, match)
    if found:
        return found

    content, advice = describe(path)
    if advice:
        raise ValueError(f"{path}: expected annotations ({', '.join(FORMATS)}), got {content}; {advice}")
    looked_for = "; ".join(f"{format.looked_for} ({format.name})" for format in FORMATS.values())
    raise ValueError(f"{path}: expected {looked_for}; got {content}")


def list_names(path: str | os.PathLike, format: str | None = None) -> list[str]:
    """Return the names of the data set's own lists, [] if it has none.

    Args:
        path: A file or a folder.
        format: Name of its format; if None, the first of those it is in that has lists.
    """
    return next((names for _, names in _lists_of_formats(path, format) if names), [])


def find_default_lists(path: str | os.PathLike, format: str | None = None) -> tuple[str, str] | None:
    """Return the lists (train, validation) that belong together, None if the data set has no such pair."""
    pairs = (default_pair(names) for _, names in _lists_of_formats(path, format))
    return next((pair for pair in pairs if pair is not None), None)


@_ARGUMENTS.in_messages()
def read_dataset(
    path: str | os.PathLike,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    list_name: str | None = None,
) -> Dataset:
    """Read a data set or one of its lists.

    Args:
        path: A file or a folder.
        format: Name of its format. If None it is recognised by content; of several formats the richest that has the
            list is taken, if the others agree with it.
        class_names: Classes of the result, in this order; those that the data names if None.
        list_name: Name of one of its lists; all are read if None.

    Returns:
        The data set. What is wrong with single lines, boxes and images is in its `findings`.

    Raises:
        ValueError: If nothing can be read, the format or the list does not exist, or several formats disagree about the
            images or the numbers of boxes.

    Example:
        >>> dataset = read_dataset("VOCdevkit/VOC2007", list_name="trainval")
    """
    path = _existing(path)

    def read() -> Dataset:
        return _read(path, format, class_names, list_name)

    if not _all_recorded():
        return read()
    outside = _formats_from_outside()
    if class_names is not None:  # a run that goes on, and evaluation, give the names that the data has
        own = recalled("read", path, [format, None, list_name, outside], unpack=unpack_dataset)
        if own is not None and own.class_names == list(class_names):
            return own
    arguments = [format, None if class_names is None else list(class_names), list_name, outside]
    return remembered("read", path, arguments, read, pack=pack_dataset, unpack=unpack_dataset)


def _read(path: str, format: str | None, class_names: Sequence[str] | None, list_name: str | None) -> Dataset:
    if format is not None:
        dataset = _named_format(format).read(path, class_names=class_names, list_name=list_name)
    else:
        with one_look():
            dataset = _read_detected(path, class_names, list_name)
    require_printable(dataset.class_names, path)
    return replace(dataset, root=root_of(path))


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


def formats_with_lists() -> list[str]:
    """Return the names of the formats to whose data sets lists can be added."""
    return [name for name, format in FORMATS.items() if format.format_lists is not None]


def written_formats() -> dict[str, str]:
    """Return the name and description of each format that can be written."""
    return {name: format.description for name, format in FORMATS.items() if format.write is not None}


def _lists_of_formats(path: str | os.PathLike, format: str | None) -> Iterator[tuple[str, list[str]]]:
    """Yield (format, names of its lists) of the given format, else of each that the path is in and that can be read."""
    path = _existing(path)
    found = matching_formats(path) if format is None else [_named_format(format).name]
    for name in found:
        try:
            yield name, _remembered_names("lists", path, name, functools.partial(FORMATS[name].list_names, path))
        except ValueError:
            if name == found[0]:
                raise


def _remembered_names(kind: str, path: str, format: str | None, compute: Callable[[], list[str]]) -> list[str]:
    """Return the names that a computation on a path gives, from the cache where nothing has changed."""
    if not _all_recorded():
        return compute()
    arguments = [format, _formats_from_outside()]
    return remembered(
        kind, path, arguments, compute, pack=lambda names: (names, {}), unpack=lambda names, _: list(names)
    )


def _formats_from_outside() -> dict[str, str]:
    """Return the version of the module of each format that is not this package's own."""
    modules = {name: format.read.__module__ for name, format in FORMATS.items()}
    return {name: module_version(module) for name, module in modules.items() if not module.startswith("yolo3.")}


def _all_recorded() -> bool:
    """Return whether every format reads through :mod:`yolo3.files`, so that what it looks at can be watched."""
    return all(format.recorded for format in FORMATS.values())


def _read_detected(path: str, class_names: Sequence[str] | None, list_name: str | None) -> Dataset:
    """Read in the richest of the formats that a path is in and that have the list; the others have to agree."""
    found = matching_formats(path)
    having = found
    if len(found) > 1 and list_name is not None:
        having = [name for name, names in _lists_of_formats(path, None) if list_name in names] or found
    taken = FORMATS[having[0]].read(path, class_names=class_names, list_name=list_name)

    notes = []
    for name in found:
        if name == taken.format:
            continue
        try:
            other = FORMATS[name].read(path, class_names=class_names)
        except ValueError as error:
            notes.append(f"{path}: read as {taken.format}; {name} lies there too and cannot be read ({error}).")
            continue
        difference = disagreement(taken, other, whole=list_name is None)
        if difference:
            message = f"expected formats that agree, got {taken.format} and {name}: {difference}"
            raise ValueError(f"{path}: {message}; choose with --format")
        notes.append(f"{path}: read as {taken.format}; {name} lies there too and agrees.")
    return replace(taken, notes=[*taken.notes, *notes])


def _named_format(format: str) -> Format:
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got '{format}'")
    return FORMATS[format]


def _existing(path: str | os.PathLike) -> str:
    path = os.fspath(path)
    if not os.path.exists(path):
        raise ValueError(f"{path}: expected a file or a folder with annotations, got nothing there")
    return path
