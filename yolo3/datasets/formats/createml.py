"""CreateML's JSON: a list of images with annotations, whose boxes are centre, width and height in pixels."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.formats.described_images import DescribedBox, DescribedImage, Description, build_dataset
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.json_values import finite_numbers, show_value
from yolo3.datasets.lists import group_by_folder, name_list_files
from yolo3.files import base_name, has_suffix, text_head, walk_files

NAME = "createml"
_BYTES_LOOKED_AT = 4096
_FILES_LOOKED_AT = 50  # JSON files of a folder that are looked at, to tell whether it is in this format
_MOST_LISTS_IN_A_FOLDER = 5
_IMAGE_KEYS = ("image", "imagefilename", "imageURL", "imagePath", "filename")
_BOX_KEYS = ("annotations", "annotation", "labels")
_HEAD = re.compile(rf'\s*\[\s*\{{.*?"({"|".join(_IMAGE_KEYS)})"\s*:\s*"', re.DOTALL)
_HEAD_BOXES = re.compile(rf'"({"|".join(_BOX_KEYS)})"\s*:\s*\[')


def matches(path: str) -> bool:
    """Return whether a path is, or holds, JSON with a list of images and their annotations."""
    if os.path.isfile(path):
        return _is_createml_json(path)
    files = (file for file in walk_files(path) if has_suffix(file, ".json"))
    return any(_is_createml_json(file) for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the JSON files of a folder, or of the folders that divide them; a file has none."""
    return list(dict.fromkeys(_lists_of(path).values())) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a JSON file, the JSON files of a folder, or one of its lists.

    Args:
        path: The file or folder.
        class_names: Classes of the result; the labels of all lists, sorted, if None.
        list_name: Name of a list of the folder.

    Returns:
        The data set; an image without annotations is background.

    Raises:
        ValueError: If there is no such JSON, or no such list.
    """
    lists = {path: ""} if os.path.isfile(path) else _lists_of(path)
    if not lists:
        raise ValueError(f"{path}: expected {FORMAT.looked_for}, got none")

    description = Description(NAME)
    for file, list_of_file in lists.items():
        description.reading = list_of_file
        for entry in description.read_json(file, list) or []:
            _describe(file, list_of_file, entry, description)
    return build_dataset(path, description, class_names, list_name)


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="JSON with a list of 'image' and 'annotations'",
    matches=matches,
    list_names=list_names,
    read=read,
    recorded=True,
)


def _is_createml_json(file: str) -> bool:
    head = text_head(file, _BYTES_LOOKED_AT)
    return _HEAD.match(head) is not None and _HEAD_BOXES.search(head) is not None


def _lists_of(folder: str) -> dict[str, str]:
    """Map file to list: each file is one; of many in a folder, an image each (labelImg), the folders are the lists."""
    files = [file for file in walk_files(folder) if has_suffix(file, ".json") and _is_createml_json(file)]
    if max(Counter(map(os.path.dirname, files)).values(), default=0) <= _MOST_LISTS_IN_A_FOLDER:
        return {file: name for name, file in name_list_files(files, folder).items()}
    groups = group_by_folder(files, folder)
    list_of_file = {file: name for name, members in groups.items() for file in members}
    return {file: list_of_file.get(file, "") for file in files}


def _describe(file: str, list_name: str, entry: Any, description: Description) -> None:
    """Add one image; what is wrong with its annotations is reported."""
    entry = entry if isinstance(entry, dict) else {"": entry}
    name = next((entry[key] for key in _IMAGE_KEYS if isinstance(entry.get(key), str) and entry[key]), None)
    items = next((entry[key] for key in _BOX_KEYS if isinstance(entry.get(key), list)), None)
    if name is None or items is None:
        message = f"expected an object with 'image' and a list 'annotations', got {show_value(entry.get('', entry))}"
        description.report("bad-line", file, message)
        return
    image = DescribedImage(name, where=file, list_name=list_name)
    for item in items:
        try:
            image.boxes.append(_parse_annotation(item))
        except ValueError as error:
            description.report("bad-box", file, f"{base_name(name)}: {error}")
    description.images.append(image)


def _parse_annotation(item: Any) -> DescribedBox:
    """Return the box of one annotation.

    Raises:
        ValueError: If it has no label, or a coordinate is no number.
    """
    label = item.get("label") if isinstance(item, dict) else None
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"expected an annotation with a 'label', got {show_value(item)}")
    coordinates = item.get("coordinates")
    stated = coordinates if isinstance(coordinates, dict) else {}
    numbers = finite_numbers(stated.get(key) for key in ("x", "y", "width", "height"))
    if numbers is None:
        raise ValueError(f"expected 'coordinates' with numbers x, y, width, height, got {show_value(coordinates)}")
    x, y, width, height = numbers
    return DescribedBox(label.strip(), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
