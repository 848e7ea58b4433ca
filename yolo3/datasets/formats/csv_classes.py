"""Class names of CSV data by id: a CSV of rows `class,id` (keras-retinanet), or a file of class names."""

from __future__ import annotations

import os
import re

from yolo3.datasets.class_names import find_names_file, read_class_names
from yolo3.datasets.formats.csv_columns import read_rows
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.files import files_in, has_suffix, is_folder, text_head

CLASS_ID = re.compile(r"[0-9]{1,9}(\.0+)?")  # "1.0" of a table in which some rows have no class


def read_names_by_id(file: str, root: str) -> dict[int, str]:
    """Return the class names that lie beside a CSV file of boxes, or in the data folder.

    Args:
        file: Path of the CSV file of boxes.
        root: The data folder.

    Returns:
        Name of each class id, {} if nothing names the classes.

    Raises:
        ValueError: If a file that is called after classes or labels gives an id twice or none.
    """
    folders = [os.path.dirname(os.path.abspath(file)), os.path.abspath(root)]
    for folder in dict.fromkeys(filter(is_folder, folders)):
        for path in files_in(folder):
            if has_suffix(path, ".csv") and (names := parse_class_file(path)):
                return names
    names_file = find_names_file(file, root)
    return {} if names_file is None else dict(enumerate(read_class_names(names_file)))


def parse_class_file(path: str) -> dict[int, str]:
    """Return the names by id of a CSV file of rows `class,id` or `id,class`; {} for other files.

    Raises:
        ValueError: If a file that is called after classes or labels gives a class or an id twice, or none.
    """
    first = text_head(path, 4096).splitlines()[:2]
    if not first or any(line.count(",") != 1 for line in first):
        return {}
    rows = list(read_rows(path, ","))
    if any(has_suffix(cell, IMAGE_SUFFIXES) for _, cells in rows for cell in cells):
        return {}  # classes of whole images
    if len(rows) > 1 and not any(map(CLASS_ID.fullmatch, rows[0][1])):
        rows = rows[1:]  # a header
    ids_first = all(CLASS_ID.fullmatch(cells[0]) for _, cells in rows)
    ids_last = all(CLASS_ID.fullmatch(cells[-1]) for _, cells in rows)

    name_at = 1 if ids_first and not ids_last else 0
    names: dict[int, str] = {}
    known = {""}
    for line, cells in rows:
        name, number = (cells[name_at], cells[1 - name_at]) if len(cells) == 2 else ("", "")
        class_id = int(float(number)) if CLASS_ID.fullmatch(number) else None
        if class_id is None or class_id in names or name in known:
            if re.search("class|label", os.path.basename(path).lower()):
                message = f"expected 'class,id', each class and id once, got '{','.join(cells)}'; correct the row"
                raise ValueError(f"{path}:{line}: {message}")
            return {}
        names[class_id] = name
        known.add(name)
    return names
