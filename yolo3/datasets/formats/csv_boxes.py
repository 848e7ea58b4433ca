"""CSV with a box per row: of TensorFlow's tutorials, keras-retinanet, VoTT, Open Images, and what is like them.

Columns are recognised in ``csv_columns``. Class names stand in the rows; class ids are named by a CSV of rows
`class,id` (keras-retinanet) or a file of class names beside the data.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.class_names import numbered_class_names, unknown_name_message
from yolo3.datasets.formats.csv_classes import CLASS_ID, read_names_by_id
from yolo3.datasets.formats.csv_columns import BOX_ROLES, Columns, find_columns, parse_number, read_rows
from yolo3.datasets.formats.described_images import DescribedBox, DescribedImage, Description, build_dataset
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.lists import name_list_files
from yolo3.files import has_suffix, walk_files

NAME = "csv"
_SUFFIXES_IN_FOLDERS = (".csv", ".tsv")
_SUFFIXES = (*_SUFFIXES_IN_FOLDERS, ".txt")  # a text file has to be named itself
_FILES_LOOKED_AT = 50  # CSV files of a folder whose beginnings are read, to tell whether it is in this format
_CLASS_OF_ALL = "object"  # where rows name no class
_NO_LISTS = ("", "unassigned")


def matches(path: str) -> bool:
    """Return whether a path is, or holds, CSV with columns for image and box."""
    if os.path.isfile(path):
        return has_suffix(path, _SUFFIXES) and find_columns(path) is not None
    files = (file for file in walk_files(path) if has_suffix(file, _SUFFIXES_IN_FOLDERS))
    return any(find_columns(file) for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the CSV files of a folder, or of the lists that a column or the images' folders name."""
    return _describe(path, None).list_names()


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a CSV file, all CSV files of a folder, or one list.

    Args:
        path: The file or folder.
        class_names: Classes of the result; if None, those of a class file in the order of their ids, then the others
            that occur in any list, sorted.
        list_name: Name of a list.

    Returns:
        The data set; an image with a row of empty cells is background.

    Raises:
        ValueError: If there is no such CSV, or no such list.
    """
    return build_dataset(path, _describe(path, class_names), class_names, list_name)


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="CSV with columns for image, x_min, y_min, x_max, y_max and class",
    matches=matches,
    list_names=list_names,
    read=read,
    recorded=True,
)


def _describe(path: str, class_names: Sequence[str] | None) -> Description:
    """Read all CSV files of boxes; class ids that no file names are those of the given names."""
    columns_of = {}
    for file in [path] if os.path.isfile(path) else walk_files(path):
        columns = find_columns(file) if has_suffix(file, _SUFFIXES if file == path else _SUFFIXES_IN_FOLDERS) else None
        if columns is not None:
            columns_of[file] = columns
    if not columns_of:
        raise ValueError(f"{path}: expected {FORMAT.looked_for}, got none")

    description = Description(NAME)
    lists = name_list_files(list(columns_of), path) if os.path.isdir(path) else {"": path}
    named = False
    for list_name, file in lists.items():
        names_by_id = read_names_by_id(file, path)
        named = named or bool(names_by_id)
        description.reading = list_name
        description.class_names += (names_by_id[number] for number in sorted(names_by_id))
        try:
            _read_file(file, list_name, columns_of[file], names_by_id, description)
        except ValueError as error:
            where, _, message = str(error).partition(": ")
            description.report("bad-csv", where, message)

    if not named:
        _name_classes(description, class_names)
    description.list_by_folders()
    return description


def _read_file(
    file: str, list_name: str, columns: Columns, names_by_id: Mapping[int, str], description: Description
) -> None:
    """Add the images of one file, in the order of their first rows."""
    images: dict[tuple[str, str], DescribedImage] = {}
    if "class" not in columns.of:
        message = f"expected a column for the class, such as 'class', got none; all boxes are of one, '{_CLASS_OF_ALL}'"
        description.report("no-class", file, message, severity="warning")
    names = list(names_by_id.values())
    header: list[str] | None = None
    for line, cells in read_rows(file, columns.delimiter):
        if columns.has_header and header is None:
            header = cells
        if cells == header:  # again where files were joined
            continue
        where = f"{file}:{line}"
        row = {role: cells[at] if at < len(cells) else "" for role, at in columns.of.items()}
        own_list = row.get("list", "")
        description.reading = own_list = list_name if own_list.lower() in _NO_LISTS else own_list
        if any(cells[columns.num_cells :]):
            message = f"expected {columns.num_cells} cells, got {len(cells)}; quote names with '{columns.delimiter}'"
            description.report("bad-line", where, message)
            continue
        if not row["image"]:
            description.report("bad-line", where, "expected the name of an image, got none; add it or remove the row")
            continue

        image = images.get((own_list, row["image"]))
        if image is None:
            image = DescribedImage(row["image"], where, own_list, _stated_size(row, columns))
            images[own_list, row["image"]] = image
        if any(value for role, value in row.items() if role in BOX_ROLES or role == "class"):
            try:
                box = _parse_box(row, columns, names_by_id, line)
            except ValueError as error:
                description.report("bad-box", where, str(error))
                continue
            if names and box.class_name not in names:
                description.report("unknown-class", where, unknown_name_message(box.class_name, names))
                continue
            image.boxes.append(box)

    # Fractions of the image (Open Images, AutoML) are no pixels: one of them has decimals, and none is far above 1.
    values = [value for image in images.values() for box in image.boxes for value in box.xyxy]
    relative = bool(values) and max(values) <= 1.5 and any(value != int(value) for value in values)
    for image in images.values():
        image.relative = relative
    description.images += images.values()


def _parse_box(row: Mapping[str, str], columns: Columns, names_by_id: Mapping[int, str], line: int) -> DescribedBox:
    """Return the box of one row.

    Raises:
        ValueError: If a coordinate is no number, or the class is missing.
    """
    roles = [role for role in BOX_ROLES if role in row]
    texts = re.split(r"[\s,;]+", row["bbox"].strip("[]() ")) if "bbox" in row else [row[role] for role in roles]
    values = [parse_number(text, columns.delimiter) for text in texts]
    if len(values) != 4 or any(map(math.isnan, values)):
        expected = "'x, y, width, height'" if "bbox" in row else ", ".join(roles)
        raise ValueError(f"expected numbers for {expected}, got '{', '.join(texts)}'")

    if "x_max" in row:
        x_min, y_min, x_max, y_max = values
    else:
        x, y, width, height = values
        x_min, y_min = (x - width / 2, y - height / 2) if "x_centre" in row else (x, y)
        x_max, y_max = x_min + width, y_min + height

    label = row.get("class", _CLASS_OF_ALL)
    if not label:
        raise ValueError("expected the name of a class beside the box, got none; add it or remove the row")
    if CLASS_ID.fullmatch(label) and label not in names_by_id.values():
        label = names_by_id.get(int(float(label)), label)
    marks = {mark: row.get(mark, "").lower() in ("1", "1.0", "true", "yes") for mark in ("difficult", "crowd")}
    return DescribedBox(label, (x_min, y_min, x_max, y_max), line=line, **marks)


def _stated_size(row: Mapping[str, str], columns: Columns) -> tuple[int, int] | None:
    """Return (height, width) as the row states it, None if it does not."""
    sides = [parse_number(row.get(role, ""), columns.delimiter) for role in ("image_height", "image_width")]
    return (int(sides[0]), int(sides[1])) if all(side >= 1 for side in sides) else None


def _name_classes(description: Description, class_names: Sequence[str] | None) -> None:
    """Name the classes of data that names none: by their ids, or the one class of rows without a class."""
    labels = {box.class_name for image in description.images for box in image.boxes}
    if class_names is not None and labels <= set(class_names):
        return
    names_of = {}
    if labels == {_CLASS_OF_ALL} and class_names is not None and len(class_names) == 1:
        names_of = {_CLASS_OF_ALL: class_names[0]}
    elif labels and all(map(CLASS_ID.fullmatch, labels)):
        ids = {label: int(float(label)) for label in labels}
        names = description.class_names = list(class_names or numbered_class_names(ids.values()))
        names_of = {label: names[number] for label, number in ids.items() if number < len(names)}
    if names_of:
        for image in description.images:
            image.boxes = [replace(box, class_name=names_of.get(box.class_name, box.class_name)) for box in image.boxes]
