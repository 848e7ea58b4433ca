"""The boxes of many images in one array each, for work on all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.annotation import Annotation


@dataclass(frozen=True, eq=False)
class FlatBoxes:
    """All boxes, image after image.

    Attributes:
        boxes: float32 [M, 4], boxes_xyxy in pixels of each box's image.
        class_ids: int32 [M].
        crowd: bool [M].
        image: int64 [M], index of each box's annotation.
        first: int64 [N + 1], where the boxes of each annotation begin.
    """

    boxes: np.ndarray
    class_ids: np.ndarray
    crowd: np.ndarray
    image: np.ndarray
    first: np.ndarray


def flatten(annotations: Sequence[Annotation]) -> FlatBoxes:
    """Return the boxes of all annotations in their order."""
    first = first_boxes(annotations)
    return FlatBoxes(
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *(item.boxes for item in annotations)]),
        class_ids=np.concatenate([np.zeros(0, np.int32), *(item.class_ids for item in annotations)]),
        crowd=np.concatenate([np.zeros(0, bool), *(item.crowd for item in annotations)]),
        image=np.repeat(np.arange(len(annotations)), np.diff(first)),
        first=first,
    )


def split_boxes(
    flat: FlatBoxes, image_paths: Sequence[str], source: str, image_shapes: Sequence[tuple[int, int] | None]
) -> list[Annotation]:
    """Return the annotations whose boxes, as views, are those of each image; the inverse of `flatten`.

    Args:
        flat: The boxes, none of which is difficult.
        image_paths: Path of each image.
        source: The file that all were read from.
        image_shapes: (height, width) of each upright image, None if unknown.
    """
    difficult = np.zeros(len(flat.boxes), bool)
    bounds = flat.first.tolist()
    return [
        Annotation(
            image_path=image_path,
            boxes=flat.boxes[start:after],
            class_ids=flat.class_ids[start:after],
            difficult=difficult[start:after],
            crowd=flat.crowd[start:after],
            source=source,
            image_shape=shape,
        )
        for image_path, shape, start, after in zip(image_paths, image_shapes, bounds[:-1], bounds[1:], strict=True)
    ]


def first_boxes(annotations: Sequence[Annotation]) -> np.ndarray:
    """Return int64 [N + 1]: where the boxes of each annotation begin if all are laid one after the other."""
    return np.cumsum([0, *(len(item.boxes) for item in annotations)], dtype=np.int64)


def shape_rows(shapes: Sequence[tuple[int, int] | None]) -> np.ndarray:
    """Return int64 [N, 2], the (height, width) of each image, zeros for one that is not known."""
    return np.array([shape or (0, 0) for shape in shapes], np.int64).reshape(-1, 2)
