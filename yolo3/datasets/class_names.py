"""Class names: their files, their ids, and what to say of a name or an id that is not known."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo3.datasets.annotation import Box, Finding, file_of
from yolo3.files import has_suffix, read_lines, replace_file, text_head

# Files beside the data that name its classes.
NAME_FILES = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels")

# Class ids from here on are not believed where nothing names the classes.
MAX_NUMBERED = 10_000


def read_class_names(path: str | os.PathLike) -> list[str]:
    """Class names, one a line; blank lines and lines that start with '#' do not count.

    Raises ValueError for a name given twice, for what is no text, or when there is none. Inverse of
    `write_class_names`.
    """
    path = os.fspath(path)
    if os.path.getsize(path) and not text_head(path, 4096):
        raise ValueError(f"{path}: expected one class name a line, got bytes that are no text")
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if name in first_line:
            raise ValueError(
                f"{path}:{number}: expected each class name once, got '{name}' again (first on line "
                f"{first_line[name]}); take one of them out"
            )
        first_line[name] = number
    if not first_line:
        raise ValueError(f"{path}: expected one class name a line, got an empty file")
    return list(first_line)


def bundled_class_names(num_classes: int) -> Path | None:
    """Return the project's own list of as many class names (COCO's 80, VOC's 20), None where there is none."""
    name = {80: "coco_classes.txt", 20: "voc_classes.txt"}.get(num_classes)
    folders = (Path("model_data"), Path(__file__).parents[2] / "model_data")
    return next((folder / name for folder in folders if name and (folder / name).is_file()), None)


def write_class_names(path: str | os.PathLike, names: Sequence[str]) -> None:
    """One name a line; the file is replaced atomically. Raises ValueError for names that would not be read
    back.
    """
    for name in names:
        if not name or name != name.strip() or name.startswith("#") or len(name.splitlines()) != 1:
            raise ValueError(
                f"class names: expected a name that fits on a line and does not start with '#', got {name!r}"
            )
    if len(set(names)) != len(names):
        raise ValueError(f"class names: expected each name once, got {list(names)}")
    replace_file(path, "".join(f"{name}\n" for name in names))


def unknown_name_message(name: str, class_names: Sequence[str]) -> str:
    """Says that a class name is not known, and which known names are nearest."""
    lowered = {known.lower(): known for known in class_names}
    near = [lowered[key] for key in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)]
    if near:
        hint = "did you mean " + " or ".join(f"'{known}'" for known in near) + "?"
    else:
        shown = ", ".join(class_names[:8]) + (", ..." if len(class_names) > 8 else "")
        hint = f"the classes are {shown}"
    return f"expected one of {len(class_names)} class names, got '{name}'; {hint}"


class ClassMap:
    """Maps the ids of data that names its classes to positions in another list of names."""

    def __init__(self, own_names: Sequence[str], class_names: Sequence[str]):
        self.own_names = list(own_names)
        self.class_names = list(class_names)

    def apply(self, boxes: Sequence[Box], where: str, findings: list[Finding]) -> list[Box]:
        """The boxes with new ids; those whose class has no place are left out and reported."""
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
                new_id = self.class_names.index(self.own_names[box.class_id])
                mapped.append(Box(box.xyxy, new_id, box.difficult, box.crowd, box.line))
        return mapped


def bad_id_message(class_id: int, class_names: Sequence[str]) -> str:
    """What to say of an id that no class has."""
    return f"expected a class id from 0 to {len(class_names) - 1} ({len(class_names)} classes), got {class_id}"


def find_class_names(file: str, root: str) -> list[str] | None:
    """Names from classes.txt, _classes.txt, obj.names or the only *.names beside a file or in the root
    folder.
    """
    folders = [os.path.dirname(os.path.abspath(file))]
    if os.path.isdir(root):
        folders.append(os.path.abspath(root))
    for folder in dict.fromkeys(folders):
        names = [os.path.join(folder, name) for name in NAME_FILES if os.path.isfile(os.path.join(folder, name))]
        entries = (entry for entry in os.scandir(folder) if has_suffix(entry.name, ".names"))
        names += sorted(entry.path for entry in entries if entry.is_file())
        if names:
            return read_class_names(names[0])
    return None


def is_class_id(value: float) -> bool:
    """Whether a number is whole and small enough to be an id; -1 and the like are for the checks to judge."""
    return abs(value) < 2**31 and value == int(value)


def numbered_class_names(class_ids: Iterable[int]) -> list[str]:
    """ "class_0", "class_1", ... up to the highest id, for data that does not name its classes.

    Ids from MAX_NUMBERED on are slips of the pen and do not count; the checks report them.
    """
    highest = max((number for number in class_ids if number < MAX_NUMBERED), default=0)
    return [f"class_{number}" for number in range(highest + 1)]
