"""LabelMe: one JSON file per image with `shapes`, of versions 3 to 5, AnyLabeling and X-AnyLabeling too.

An embedded image (`imageData`) is not used: the image that `imagePath` names is.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.formats.described_images import DescribedBox, DescribedImage, Description, build_dataset
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.json_values import finite_number, finite_numbers, show_value
from yolo3.datasets.lists import group_by_folder
from yolo3.files import has_suffix, is_file, read_lines, stem_of, text_head, walk_files

NAME = "labelme"
_BYTES_LOOKED_AT = 4096
_FILES_LOOKED_AT = 50  # JSON files of a folder that are looked at, to tell whether it is in this format
# In some files, sorted by key, the image comes before the shapes.
_KEYS = re.compile(r'\s*\{.*?"(shapes"\s*:\s*\[|imageData"\s*:\s*("|null))', re.DOTALL)
_WITHOUT_AREA = ("point", "points", "line", "linestrip")
_NO_CLASSES = ("__ignore__", "_background_")  # LabelMe's own names for what is no object


def matches(path: str) -> bool:
    """Return whether a path is, or holds, JSON with `shapes`."""
    if os.path.isfile(path):
        return _is_labelme_json(path)
    files = (file for file in walk_files(path) if has_suffix(file, ".json"))
    return any(_is_labelme_json(file) for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the folders (train/, val/) that divide the JSON files; a file has none."""
    return list(group_by_folder(_find_files(path), path)) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a JSON file, the JSON files of a folder, or one of its lists.

    Shapes with the same label and `group_id` are one object, as in LabelMe's own conversion to COCO.

    Args:
        path: The file or folder.
        class_names: Classes of the result; if None, those of `labels.txt`, then the others that occur, sorted.
        list_name: Name of a list of the folder.

    Returns:
        The data set.

    Raises:
        ValueError: If there is no such JSON, or no such list.
    """
    files = [path] if os.path.isfile(path) else _find_files(path)
    if not files:
        raise ValueError(f"{path}: expected {FORMAT.looked_for}, got none")
    lists = group_by_folder(files, path) if os.path.isdir(path) else {}
    list_of_file = {file: name for name, members in lists.items() for file in members}

    description = Description(NAME, class_names=_read_labels_file(files[0], path))
    for file in files:
        description.reading = list_of_file.get(file, "")
        content = description.read_json(file, dict)
        if content is not None:
            description.images.append(_describe(file, description.reading, content, description))
    return build_dataset(path, description, class_names, list_name)


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="JSON with 'shapes'",
    matches=matches,
    list_names=list_names,
    read=read,
    recorded=True,
)


def _is_labelme_json(file: str) -> bool:
    head = text_head(file, _BYTES_LOOKED_AT)
    return _KEYS.match(head) is not None


def _find_files(folder: str) -> list[str]:
    return [file for file in walk_files(folder) if has_suffix(file, ".json") and _is_labelme_json(file)]


def _read_labels_file(file: str, root: str) -> list[str]:
    """Return the names of labels.txt (the file of `labelme --labels`) beside a file or in the root, [] without one."""
    for folder in (os.path.dirname(os.path.abspath(file)), root):
        labels = os.path.join(folder, "labels.txt")
        if is_file(labels):
            names = (line.strip() for line in read_lines(labels))
            return list(dict.fromkeys(name for name in names if name and name not in _NO_CLASSES))
    return []


def _describe(file: str, list_name: str, content: dict[str, Any], description: Description) -> DescribedImage:
    """Return the image of one file; what is wrong with its shapes is reported."""
    name, stem = content.get("imagePath"), stem_of(file)
    height, width = (finite_number(content.get(key)) for key in ("imageHeight", "imageWidth"))
    image = DescribedImage(
        name=name if isinstance(name, str) and name else stem,
        where=file,
        list_name=list_name,
        size=(int(height), int(width)) if height and width else None,
        other_name=stem,
    )

    shapes = content.get("shapes")
    if not isinstance(shapes, list):
        description.report("bad-line", file, f"expected a list 'shapes', got {show_value(shapes)}")
        return image
    of_group: dict[tuple[str, str], int] = {}  # position among the boxes
    for shape in shapes:
        if isinstance(shape, dict) and shape.get("shape_type") in _WITHOUT_AREA:
            description.without_area.append((list_name, file))
            continue
        try:
            box = _parse_shape(shape)
        except ValueError as error:
            description.report("bad-box", file, str(error))
            continue
        group = shape.get("group_id")
        if box.class_name in _NO_CLASSES:
            continue
        if group is not None and (box.class_name, str(group)) in of_group:
            at = of_group[box.class_name, str(group)]
            image.boxes[at] = _join(image.boxes[at], box)
            continue
        of_group[box.class_name, str(group)] = len(image.boxes)
        image.boxes.append(box)
    return image


def _parse_shape(shape: Any) -> DescribedBox:
    """Return the box around a shape.

    Raises:
        ValueError: If it has no label, or points that are no numbers.
    """
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
        raise ValueError(f"expected a shape with a 'label', got {show_value(shape)}")
    label, kind, points = shape["label"].strip(), shape.get("shape_type") or "polygon", shape.get("points")
    pairs = (
        points if isinstance(points, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in points) else []
    )
    numbers = finite_numbers(value for pair in pairs for value in pair)
    if numbers is None or len(numbers) < 4:
        raise ValueError(f"expected 'points': [[x, y], ...], at least two, got {show_value(points)}")

    xs, ys = numbers[::2], numbers[1::2]
    if kind == "circle":  # its centre and a point on it
        radius = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
        xs, ys = [xs[0] - radius, xs[0] + radius], [ys[0] - radius, ys[0] + radius]
    end = 1 if kind == "mask" else 0  # the corners of a mask are its first and last pixel
    difficult = shape.get("difficult") is True
    return DescribedBox(label, (min(xs), min(ys), max(xs) + end, max(ys) + end), difficult=difficult)


def _join(box: DescribedBox, other: DescribedBox) -> DescribedBox:
    """Return the box around two parts of one object."""
    x_min, y_min = (min(box.xyxy[axis], other.xyxy[axis]) for axis in (0, 1))
    x_max, y_max = (max(box.xyxy[axis], other.xyxy[axis]) for axis in (2, 3))
    return DescribedBox(box.class_name, (x_min, y_min, x_max, y_max), difficult=box.difficult and other.difficult)
