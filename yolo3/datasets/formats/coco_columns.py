"""The boxes of a COCO file as columns: what is plain is checked and joined to its image in arrays, not one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.datasets.clipping import clip_boxes
from yolo3.datasets.formats.coco_stream import Entries
from yolo3.datasets.json_values import LARGEST

Found = tuple[int, tuple[float, float, float, float], int, bool]
"""(place of the image, corners in pixels, class id, crowd) of one annotation."""


@dataclass(frozen=True)
class ImageBoxes:
    """Boxes of M images, sorted by image and in each in the order of the file.

    Attributes:
        first: int64 [M + 1], where the boxes of each image begin.
        boxes: float64 [N, 4], corners in pixels.
        class_ids: int32 [N].
        crowd: bool [N].
    """

    first: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    crowd: np.ndarray

    def clipped(self, shapes: Sequence[tuple[int, int] | None]) -> np.ndarray:
        """Return the boxes as float32, clipped to images of these (height, width), None where it is not known."""
        unknown = (np.inf, np.inf)
        sizes = np.array([shape or unknown for shape in shapes], np.float64).reshape(-1, 2)
        return clip_boxes(self.boxes, np.repeat(sizes, np.diff(self.first), axis=0)).astype(np.float32)


def join_boxes(
    entries: Entries | list[Any],
    images: Mapping[Any, Any],
    class_ids: Mapping[Any, int | None],
    read_one: Callable[[Any], Found | None],
) -> ImageBoxes:
    """Join annotations to their images.

    Args:
        entries: The annotations.
        images: The images by their ids.
        class_ids: Class id by category id, None for a category that is left out.
        read_one: Reads one annotation, and reports it if it cannot be used; called in order for those that are not
            plain, or of no image or category.

    Returns:
        The boxes of the images, in their order.
    """
    if isinstance(entries, Entries):
        plain, images_of, classes_of, boxes, crowd, others = _join_plain(entries, images, class_ids)
    else:
        plain, images_of, classes_of = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32)
        boxes, crowd, others = np.zeros((0, 4)), np.zeros(0, bool), range(len(entries))

    read = {place: found for place in others if (found := read_one(entries[place])) is not None}
    if read:
        ids, corners, numbers, crowds = zip(*read.values(), strict=True)
        plain = np.concatenate([plain, np.fromiter(read, np.int64)])
        images_of = np.concatenate([images_of, np.array(ids, np.int64)])
        classes_of = np.concatenate([classes_of, np.array(numbers, np.int32)])
        boxes = np.concatenate([boxes, np.array(corners, np.float64)])
        crowd = np.concatenate([crowd, np.array(crowds, bool)])

    order = np.lexsort((plain, images_of))
    first = np.concatenate([[0], np.cumsum(np.bincount(images_of, minlength=len(images)))])
    return ImageBoxes(first, boxes[order], classes_of[order].astype(np.int32), crowd[order])


def _join_plain(entries: Entries, images: Mapping[Any, Any], class_ids: Mapping[Any, int | None]):
    """Return (places, images, classes, corners, crowd) of the annotations that can be used, and places of the others.

    What is of a category that is left out is in neither.
    """
    columns = entries.columns()
    image_of = _places(columns.image_ids, {key: place for place, key in enumerate(images)})
    left_out = -2
    class_of = _places(
        columns.category_ids, {key: left_out if number is None else number for key, number in class_ids.items()}
    )
    corners = columns.boxes.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        corners[:, 2:] += corners[:, :2]
        usable = (np.abs(columns.boxes) <= LARGEST).all(1) & np.isfinite(corners).all(1)
    usable &= columns.plain & (image_of >= 0) & (class_of != -1)
    others = np.flatnonzero(~usable).tolist()
    kept = np.flatnonzero(usable & (class_of != left_out))
    return kept, image_of[kept], class_of[kept], corners[kept], columns.crowd[kept], others


def _places(ids: np.ndarray, numbers: Mapping[Any, int]) -> np.ndarray:
    """Return the number of each id, -1 for one that has none."""
    known = {key: number for key, number in numbers.items() if type(key) is int and abs(key) < 1 << 62}
    keys = np.array(sorted(known), np.int64)
    if not len(keys):
        return np.full(len(ids), -1)
    values = np.array([known[key] for key in keys.tolist()], np.int64)
    places = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
    return np.where(keys[places] == ids, values[places], -1)
