"""What a COCO file says of its images, boxes and categories, made annotations and findings.

Annotations are worked on as columns of numbers; only those that are unusual or faulty are looked at one by one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.class_names import unknown_name_message
from yolo3.datasets.clipping import clip_boxes
from yolo3.datasets.find_images import ImageIndex, only_image, without_contested
from yolo3.datasets.flat_boxes import FlatBoxes, split_boxes
from yolo3.datasets.formats.coco_boxes import box_of_entry
from yolo3.datasets.formats.coco_categories import category_name, entry_id, usable_categories
from yolo3.datasets.formats.coco_entries import Entries
from yolo3.datasets.image_size import size_findings, size_or_none
from yolo3.datasets.json_values import LARGEST, show_value
from yolo3.datasets.written_names import Places

_CLIPPED_AT_ONCE = 1 << 16  # boxes, so that intermediate arrays stay small
_LEFT_OUT = -1  # class id of a category that is not among the class names
_UNKNOWN = -2  # number of an image or a category that the file does not have

Id = int | str | None


class CocoReader:
    """Makes annotations of one file's content; what is wrong goes to `findings`.

    Args:
        file: Path of the JSON file.
        list_name: Name of the list that it is.
        index: Where images are looked for that do not lie beside the file.
        class_names: Classes of the result.
        findings: Takes what is wrong.
    """

    def __init__(
        self, file: str, list_name: str, index: ImageIndex, class_names: Sequence[str], findings: list[Finding]
    ):
        self.file = file
        self.list_name = list_name
        self.index = index
        self.class_names = class_names
        self.findings = findings
        here = os.path.dirname(os.path.abspath(file))
        self._near = os.path.join(here, list_name, "_")
        parts = ("", list_name, "images", os.path.join("images", list_name))
        places = (os.path.join(folder, part) for folder in (here, os.path.dirname(here)) for part in parts)
        self._places = Places(places, index.known_files)

    def read(self, content: dict[str, Any]) -> list[Annotation]:
        """Return one annotation for each image that exists, boxes in the order of the file."""
        images: dict[Id, dict[str, Any]] = {}
        for image in content["images"]:
            number = entry_id(image, "id")
            if number is None or not isinstance(image.get("file_name"), str):
                self._report("bad-line", f"expected an image with 'id' and 'file_name', got {show_value(image)}")
            elif number in images:
                self._report("bad-line", f"expected each image id once, got {number} again in {show_value(image)}")
            else:
                images[number] = image

        entries: Entries = content["annotations"]
        class_ids = self._class_ids(content)
        columns = self._columns(entries, {number: row for row, number in enumerate(images)}, class_ids)

        rows, paths, names = [], [], []
        shapes: list[tuple[int, int] | None] = []
        for row, (image_id, image) in enumerate(images.items()):
            name = image["file_name"]
            image_path = only_image(self._find_image(name), name, self.file, self.findings, self.index)
            if image_path is None:
                continue
            shape = size_or_none(image_path)
            stated = (image.get("height"), image.get("width"))
            if stated != shape and all(isinstance(side, int) and side > 0 for side in stated):
                where = f"{self.file} (image {image_id})"
                self.findings += size_findings(stated, shape, where)  # type: ignore[arg-type]
            rows.append(row)
            paths.append(image_path)
            names.append(name)
            shapes.append(shape)

        flat = _boxes_of(columns, rows, shapes, num_images=len(images))
        return without_contested(split_boxes(flat, paths, self.file, shapes), names, self.findings)

    def _columns(
        self, entries: Entries, rows: Mapping[Id, int], class_ids: Mapping[Id, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the row of the image, the class id, the corners and the crowd mark of each usable annotation.

        Args:
            entries: The annotations.
            rows: Row of each image, by its id.
            class_ids: Class of each category, by its id; `_LEFT_OUT` for one that is not read.
        """
        image_rows = _look_up(entries.image_ids, rows)
        class_column = _look_up(entries.category_ids, class_ids)
        crowd = entries.is_crowd
        in_range = (np.abs(entries.boxes_xywh) <= LARGEST).all(axis=1)
        corners = np.where(in_range[:, None], entries.boxes_xywh, 0.0)
        corners[:, 2:] += corners[:, :2]

        clean = entries.is_plain() & (image_rows != _UNKNOWN) & (class_column != _UNKNOWN) & in_range
        for place in np.flatnonzero(~clean).tolist():
            entry = entries[place]
            image_id, category_id = entry_id(entry, "image_id"), entry_id(entry, "category_id")
            class_column[place] = _LEFT_OUT
            if image_id not in rows:
                self._report("unknown-image", f"expected an annotation of one of the images, got {show_value(entry)}")
            elif category_id not in class_ids:
                self._report("unknown-class", f"expected one of the category ids, got {show_value(entry)}")
            elif (xyxy := box_of_entry(entry)) is None:
                self._report("bad-box", f"expected 'bbox': four numbers x, y, width, height, got {show_value(entry)}")
            else:
                corners[place] = xyxy
                image_rows[place], class_column[place] = rows[image_id], class_ids[category_id]
                crowd[place] = str(entry.get("iscrowd") or 0).lower() not in ("0", "0.0", "false")

        used = class_column != _LEFT_OUT
        return image_rows[used], class_column[used], corners[used], crowd[used]

    def _report(self, kind: str, message: str) -> None:
        self.findings.append(Finding("error", kind, self.file, message))

    def _class_ids(self, content: dict[str, Any]) -> dict[Id, int]:
        """Map category id to class id, `_LEFT_OUT` for a category that is not among the class names, reported once."""
        counts = content["annotations"].count_categories()
        ids: dict[Id, int] = {}
        for category in usable_categories(content):
            name, number = category_name(category), entry_id(category, "id")
            if number in ids:
                self._report(
                    "bad-line", f"expected each category id once, got {number} again in {show_value(category)}"
                )
                continue
            ids[number] = self.class_names.index(name) if name in self.class_names else _LEFT_OUT
            count = counts.get(number, 0)
            if ids[number] == _LEFT_OUT and count:
                message = f"{unknown_name_message(name, self.class_names)} ({count} boxes left out)"
                self._report("unknown-class", message)
        return ids

    def _find_image(self, file_name: str) -> list[str]:
        """Look beside the file, in <list>/, images/ or images/<list>/ of its folder or the one above, or by name."""
        path = self._places.find(file_name)
        if path is not None:
            return [path]
        return self.index.of_list(self.index.find(file_name, near=self._near), self.list_name, self.file)


def _look_up(ids: np.ndarray, numbers: Mapping[Id, int]) -> np.ndarray:
    """Return int64 [N], the number of each id, `_UNKNOWN` for one that has none."""
    distinct, inverse = np.unique(ids, return_inverse=True)
    return np.array([numbers.get(number, _UNKNOWN) for number in distinct.tolist()], np.int64)[inverse]


def _boxes_of(
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    rows: Sequence[int],
    shapes: Sequence[tuple[int, int] | None],
    num_images: int,
) -> FlatBoxes:
    """Return the boxes image after image, clipped to their images.

    Args:
        columns: Of all annotations, as `CocoReader._columns` returns them.
        rows: The images that are there.
        shapes: (height, width) of each of them, None if unknown.
        num_images: Number of all images.
    """
    image_rows, class_ids, corners, crowd = columns
    place_of_row = np.full(num_images, -1)
    place_of_row[list(rows)] = np.arange(len(rows))
    places = place_of_row[image_rows] if len(image_rows) else image_rows
    order = np.argsort(places, kind="stable")
    order = order[np.searchsorted(places, 0, sorter=order) :]  # -1, of images that are not there, come first
    places = places[order]

    limits = np.array([shape or (np.inf, np.inf) for shape in shapes], np.float64).reshape(-1, 2)
    boxes = np.empty((len(order), 4), np.float32)
    for start in range(0, len(order), _CLIPPED_AT_ONCE):
        part = slice(start, start + _CLIPPED_AT_ONCE)
        boxes[part] = clip_boxes(corners[order[part]], limits[places[part]])
    return FlatBoxes(
        boxes=boxes,
        class_ids=class_ids[order].astype(np.int32),
        crowd=crowd[order],
        image=places,
        first=np.searchsorted(places, np.arange(len(rows) + 1)),
    )
