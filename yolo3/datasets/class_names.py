"""Class names: their files, their ids, and messages about a name or an id that is not known."""

from __future__ import annotations

import difflib
import importlib.resources
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from yolo3.datasets.annotation import Box, Finding, file_of
from yolo3.files import files_in, has_suffix, is_file, printable, read_lines, replace_file, text_head

# Files beside the data that name its classes.
NAME_FILES = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels")

# Class ids from here on are taken for typing errors if the classes have no names.
MAX_NUMBERED = 10_000


def read_class_names(path: str | os.PathLike) -> list[str]:
    """Read class names, one per line; blank lines and lines that start with '#' are skipped.

    A name that itself starts with '#' is written with a backslash before it. Inverse of `write_class_names`.

    Args:
        path: Path of the file.

    Returns:
        The names; their position is the class id.

    Raises:
        ValueError: If a name is given twice, if there is none, or if the file is not text.
    """
    path = os.fspath(path)
    if os.path.getsize(path) and not text_head(path, 4096):
        raise ValueError(f"{path}: expected one class name per line, got bytes that are not text")

    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        name = name.removeprefix("\\") if name.startswith("\\#") else name
        if name in first_line:
            raise ValueError(
                f"{path}:{number}: expected each class name once, got '{name}' again (first on line "
                f"{first_line[name]}); remove one of them"
            )
        first_line[name] = number

    if not first_line:
        raise ValueError(f"{path}: expected one class name per line, got an empty file")
    require_printable(first_line, path)
    return list(first_line)


def require_printable(names: Iterable[str], where: str) -> None:
    """Raise ValueError, naming it, for a class name with control characters or half a surrogate pair.

    Such names cannot be written to a file of names, and would reach the terminal as commands.
    """
    for name in names:
        if printable(name) != name:
            raise ValueError(f"{where}: expected class names of printable characters, got {ascii(name)}; rename it")


def write_class_names(path: str | os.PathLike, names: Sequence[str]) -> None:
    """Write one name per line, replacing the file in one step; inverse of `read_class_names`.

    Raises:
        ValueError: If a name would not be read back.
    """
    require_printable(names, "class names")
    for name in names:
        if not name or name != name.strip() or name.startswith("\\#"):
            raise ValueError(f"class names: expected a name without blanks around it or '\\#' before it, got {name!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"class names: expected each name once, got {list(names)}")
    replace_file(path, "".join(f"\\{name}\n" if name.startswith("#") else f"{name}\n" for name in names))


def find_names_file(file: str, root: str) -> str | None:
    """Find the file of class names beside a file or in the data folder.

    Args:
        file: Path of an annotation file.
        root: The data folder.

    Returns:
        Path of classes.txt, _classes.txt, obj.names, _darknet.labels or the first *.names; None if there is none.
    """
    folders = [os.path.dirname(os.path.abspath(file))]
    if os.path.isdir(root):
        folders.append(os.path.abspath(root))

    for folder in dict.fromkeys(folders):
        names = [os.path.join(folder, name) for name in NAME_FILES if is_file(os.path.join(folder, name))]
        names += [path for path in files_in(folder) if has_suffix(path, ".names")]
        if names:
            return names[0]
    return None


class FolderNames:
    """Class names that the folders of a data set give; they need not agree on order.

    Args:
        by_file: File that names the classes, to the names. A file counts for its folder and all below it that have none
            of their own.

    Attributes:
        names: All names, in the order of the files.
    """

    def __init__(self, by_file: Mapping[str, Sequence[str]]):
        self._by_file = {file: list(names) for file, names in by_file.items()}
        self._by_folder = {os.path.dirname(os.path.abspath(file)): names for file, names in by_file.items()}
        self.names = list(dict.fromkeys(name for names in by_file.values() for name in names))

    def of(self, path: str) -> list[str]:
        """Return the names that the ids of an annotation file mean: those of the nearest folder, else the first."""
        folder = os.path.dirname(os.path.abspath(path))
        while folder not in self._by_folder and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
        return list(self._by_folder.get(folder) or next(iter(self._by_file.values()), []))

    def findings(self, where: str) -> list[Finding]:
        """Return a warning that names two files that disagree, if there are such."""
        (first, names), *others = self._by_file.items()
        other = next((file for file, these in others if these != names), None)
        if other is None:
            return []
        message = f"{first} and {other} name the classes in different ways; ids are mapped by name, folder by folder"
        return [Finding("warning", "class-names", where, message)]


def bundled_class_names(num_classes: int) -> Path | None:
    """Return the package's list with this number of class names (COCO's 80, VOC's 20), None if there is none."""
    name = {80: "coco_classes.txt", 20: "voc_classes.txt"}.get(num_classes)
    if name is None:
        return None
    return Path(str(importlib.resources.files("yolo3.datasets") / "names" / name))


def numbered_class_names(class_ids: Iterable[int]) -> list[str]:
    """Return "class_0", "class_1", ... up to the highest id, for data that does not name its classes.

    Ids from `MAX_NUMBERED` on do not count; the checks report them.
    """
    highest = max((number for number in class_ids if number < MAX_NUMBERED), default=0)
    return [f"class_{number}" for number in range(highest + 1)]


class ClassMap:
    """Maps the class ids of data that names its classes to positions in another list of names.

    Args:
        own_names: The data's names.
        class_names: The names to map to.
    """

    def __init__(self, own_names: Sequence[str], class_names: Sequence[str]):
        self.own_names = list(own_names)
        self.class_names = list(class_names)

    def apply(self, boxes: Sequence[Box], where: str, findings: list[Finding]) -> list[Box]:
        """Return the boxes with mapped ids.

        Args:
            boxes: Boxes with ids of the data's names.
            where: The file of the boxes.
            findings: Takes a finding for each box whose class is unknown, which is left out.

        Returns:
            The boxes whose class is among the names.
        """
        if self.own_names == self.class_names:
            return list(boxes)

        mapped = []
        for box in boxes:
            place = where if box.line is None else f"{file_of(where)}:{box.line}"
            if not 0 <= box.class_id < len(self.own_names):
                findings.append(Finding("error", "bad-class-id", place, bad_id_message(box.class_id, self.own_names)))
            elif self.own_names[box.class_id] not in self.class_names:
                message = unknown_name_message(self.own_names[box.class_id], self.class_names)
                findings.append(Finding("error", "unknown-class", place, message))
            else:
                mapped.append(replace(box, class_id=self.class_names.index(self.own_names[box.class_id])))
        return mapped


def is_class_id(value: float) -> bool:
    """Return whether a number is whole and fits int32; the checks say whether a class has this id."""
    return abs(value) < 2**31 and value == int(value)


def bad_id_message(class_id: int, class_names: Sequence[str]) -> str:
    """Return the message for an id without a class."""
    return f"expected a class id from 0 to {len(class_names) - 1} ({len(class_names)} classes), got {class_id}"


def unknown_name_message(name: str, class_names: Sequence[str]) -> str:
    """Return the message for a class name that is not known, with the most similar known names."""
    lowered = {known.lower(): known for known in class_names}
    near = [lowered[key] for key in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)]
    if near:
        hint = "did you mean " + " or ".join(f"'{known}'" for known in near) + "?"
    else:
        shown = ", ".join(class_names[:8]) + (", ..." if len(class_names) > 8 else "")
        hint = f"the classes are {shown}"
    return f"expected one of {len(class_names)} class names, got '{name}'; {hint}"
