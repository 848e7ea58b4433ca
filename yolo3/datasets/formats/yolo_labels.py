"""YOLO's label files: one text file per image, one line per box, `class_id centre_x centre_y width height`.

Coordinates are fractions of the image. Polygons, `class_id x1 y1 x2 y2 x3 y3 ...`, become the boxes around them.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal

from yolo3.datasets.annotation import Annotation, Box
from yolo3.datasets.class_names import is_class_id
from yolo3.datasets.find_images import file_key, folder_distance, in_another_list
from yolo3.datasets.images import IMAGE_FOLDERS, IMAGE_SUFFIXES, UNREAD_SUFFIXES
from yolo3.datasets.known_files import KnownFiles
from yolo3.files import has_suffix, is_file, stem_of, text_head, walk_files

_LABEL_FOLDERS = ("labels", "label", "Labels")
_BYTES_LOOKED_AT = 4096  # of a text file, to tell whether it holds boxes
_SHOWN = 100  # characters of a line in a message
_EXPECTED = "expected 'class_id centre_x centre_y width height' with fractions of the image"


def parse_label(text: str, image_shape: tuple[int, int]) -> tuple[list[Box], list[tuple[int, str]]]:
    """Parse the text of a label file; inverse of `format_label`.

    Args:
        text: The text; blank lines and lines that start with '#' are skipped.
        image_shape: (height, width) of the image.

    Returns:
        Boxes in pixels of the image, and (line, message) of each line that cannot be read.
    """
    boxes: list[Box] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                boxes.append(_parse_label_line(line, image_shape, number))
            except ValueError as error:
                faults.append((number, str(error)))
    return boxes, faults


def format_label(annotation: Annotation, image_shape: tuple[int, int]) -> str:
    """Return the text of a label file; inverse of `parse_label`.

    Args:
        annotation: The boxes.
        image_shape: (height, width) of the image.
    """
    height, width = image_shape
    lines = []
    for box, class_id in zip(annotation.boxes.astype(float), annotation.class_ids, strict=True):
        x_min, y_min, x_max, y_max = box
        values = (
            (x_min + x_max) / 2 / width,
            (y_min + y_max) / 2 / height,
            (x_max - x_min) / width,
            (y_max - y_min) / height,
        )
        lines.append(" ".join([str(int(class_id)), *(f"{value:.9g}" for value in values)]) + "\n")
    return "".join(lines)


def _parse_label_line(line: str, image_shape: tuple[int, int], number: int) -> Box:
    try:
        class_id, *values = (float(word) for word in line.split())
    except ValueError:
        raise ValueError(f"{_EXPECTED}, got {_shown(line)}") from None
    if len(values) == 5:
        raise ValueError(
            f"{_EXPECTED}, got six numbers; a sixth number is the confidence of a detection: these are results, not "
            "labels"
        )
    if len(values) < 4 or len(values) % 2 or not is_class_id(class_id) or not all(map(math.isfinite, values)):
        raise ValueError(f"{_EXPECTED}, or a polygon 'class_id x1 y1 x2 y2 x3 y3 ...', got {_shown(line)}")
    if max(map(abs, values)) > 2:
        raise ValueError(f"{_EXPECTED} 0..1, got {_shown(line)}: these look like pixels")

    # Corners as fractions: of a box (four numbers), or around a polygon (six or more).
    if len(values) == 4:
        centre_x, centre_y, box_width, box_height = values
        x_min, y_min = centre_x - box_width / 2, centre_y - box_height / 2
        x_max, y_max = centre_x + box_width / 2, centre_y + box_height / 2
    else:
        x_min, y_min, x_max, y_max = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    height, width = image_shape
    return Box((x_min * width, y_min * height, x_max * width, y_max * height), int(class_id), line=number)


def _shown(line: str) -> str:
    text = line.strip()
    return f"'{text}'" if len(text) <= _SHOWN else f"'{text[:_SHOWN]}...'"


def find_label(image: str, is_there: Callable[[str], bool] = is_file) -> str | None:
    """Find the label file of an image by the usual layouts.

    Looked for with labels/ in place of the last images/ of the image's path, beside the image, and in labels/ there.

    Args:
        image: Path of the image.
        is_there: Tells whether there is a file at a path.

    Returns:
        Path of the label file, None if there is none.
    """
    folder, name = os.path.split(image)
    stem = os.path.splitext(name)[0]
    names = [stem + ".txt"]
    if not stem.isascii():  # archives of macOS have decomposed names
        names = list(dict.fromkeys([*names, *(unicodedata.normalize(form, stem) + ".txt" for form in ("NFC", "NFD"))]))
    candidates = (os.path.join(place, name) for place in _label_folders(folder) for name in names)
    return next(filter(is_there, candidates), None)


def _label_folders(folder: str) -> list[str]:
    """Return the folders in which the labels of a folder's images are looked for, in this order."""
    parts = folder.split(os.sep)
    folders = [
        os.sep.join([*parts[:at], labels, *parts[at + 1 :]])
        for at in reversed(range(len(parts)))
        if parts[at].lower() in IMAGE_FOLDERS
        for labels in _LABEL_FOLDERS
    ]
    return [*folders, folder, *(os.path.join(folder, labels) for labels in _LABEL_FOLDERS)]


def kind_of_label(path: str) -> Literal["boxes", "empty", "text"]:
    """Return what a text file holds: lines of numbers as label files do, even if not as expected; nothing; other text.

    Judged by its first line that is neither blank nor a comment.
    """
    lines = (line.strip() for line in text_head(path, _BYTES_LOOKED_AT).splitlines() if not line.startswith("#"))
    line = next(filter(None, lines), None)
    words = None if line is None else re.split(r"[\s,;]+", line)
    if words is None:
        return "text" if os.path.getsize(path) > _BYTES_LOOKED_AT else "empty"
    if has_suffix(words[0], IMAGE_SUFFIXES):  # a list of keras-yolo3
        return "text"
    return "boxes" if len(words) >= 5 and all(map(_is_number, words[1:])) else "text"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


class LabelIndex:
    """The label files of a data set.

    Those that `find_label` knows, else text files of the images' names in folders of any name, the nearest first. A
    label file that `find_label` gives to one image is no other's.

    Args:
        path: The data folder, or a file in it.
    """

    def __init__(self, path: str):
        self.root = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
        files = list(walk_files(path)) if os.path.isdir(path) else []
        self.images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
        self.unread = [file for file in files if has_suffix(file, UNREAD_SUFFIXES)]
        self._image_folders = {os.path.basename(os.path.dirname(image)) for image in self.images}
        known = KnownFiles(files)
        hold_labels = {
            folder: any(known.may_hold(place, ".txt") for place in _label_folders(folder))
            for folder in set(map(os.path.dirname, self.images))
        }
        self._own = {
            image: find_label(image, known.has) if hold_labels[os.path.dirname(image)] else None
            for image in self.images
        }
        taken = {os.path.realpath(label) for label in self._own.values() if label is not None}
        self._by_stem: dict[str, list[str]] = {}
        for file in files:
            if has_suffix(file, ".txt") and os.path.realpath(file) not in taken:
                self._by_stem.setdefault(file_key(stem_of(file)), []).append(file)

    def _is_of_another(self, label: str, image: str) -> bool:
        """Return whether the folder of a label file tells that it belongs to an image of the same name elsewhere."""
        folder = os.path.basename(os.path.dirname(label))
        own = os.path.basename(os.path.dirname(image))
        return in_another_list(label, image) or (folder != own and folder in self._image_folders)

    def unused(self, used: Iterable[str]) -> list[str]:
        """Return the text files with boxes that are not among the label files in use, sorted."""
        known = {os.path.realpath(label) for label in used}
        left = sorted(file for files in self._by_stem.values() for file in files if os.path.realpath(file) not in known)
        return [file for file in left if kind_of_label(file) == "boxes"]

    def find(self, image: str) -> str | None:
        """Return the label file of an image, None if there is none or several fit equally well."""
        own = self._own[image] if image in self._own else find_label(image)
        if own is not None or not self._by_stem:
            return own
        names = (file_key(stem_of(image)), file_key(os.path.basename(image)))  # 1.txt, or 1.jpg.txt
        found = next((self._by_stem[name] for name in names if name in self._by_stem), [])
        ranked = sorted((folder_distance(file, image), file) for file in found if not self._is_of_another(file, image))
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]
