"""Detections in COCO's results format (https://cocodataset.org/#format-results)."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.writer import OneFileWriter, StreamedJsonList
from yolo3.ops.boxes import xyxy_to_xywh

_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # of COCO's category ids, 1 to 90


def coco_detections_json(
    detections: Sequence[Detections], image_ids: Sequence, category_ids: Sequence[int] | None = None
) -> list[dict]:
    """Convert detections to COCO's results format, ready for `json.dump`.

    Args:
        detections: One entry per image, boxes in pixels of the original image.
        image_ids: Id of each image in the annotation file.
        category_ids: [C], category id of each class in the annotation file. Defaults to class id + 1.

    Returns:
        List of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`.

    Raises:
        ValueError: If there are not as many image ids as entries.
    """
    if len(image_ids) != len(detections):
        raise ValueError(f"coco_detections_json: expected {len(detections)} image ids, got {len(image_ids)}")

    return [
        {
            "image_id": image_id,
            "category_id": int(class_id) + 1 if category_ids is None else int(category_ids[class_id]),
            "bbox": box.tolist(),
            "score": float(score),
        }
        for image_id, found in zip(image_ids, detections, strict=True)
        for box, class_id, score in zip(
            xyxy_to_xywh(found.boxes.astype(np.float64)), found.class_ids, found.scores, strict=True
        )
    ]


class CocoFile(OneFileWriter):
    """Writer of a COCO results file.

    Without `ids`, COCO's own 80 classes get COCO's category ids and other classes count from 1. An image's id is then
    the number that is its file name if all names are different numbers, as COCO's are; otherwise images and frames
    are numbered from 1 in the order of writing, and each detection also has `file_name` and, for a frame, `frame`.

    Args:
        path: Path of the file.
        class_names: Name of each class id.
        sources: All sources that detections will come from.
        ids: Ids of images and categories from an annotation file.

    Raises:
        ValueError: If `ids` lacks an image or a class.
    """

    def __init__(
        self, path: str | os.PathLike, class_names: Sequence[str], sources: Sequence[Source], ids: CocoIds | None = None
    ):
        self._category_ids = coco_category_ids(class_names) if ids is None else ids.category_ids(class_names)
        self._image_ids = _numbers_in_names(sources) if ids is None else _ids_of_images(sources, ids)
        self._list, self._count = StreamedJsonList(path), 0
        super().__init__(self._list)

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Append the detections of an image; see :meth:`Writer.add`."""
        self._count += 1
        image_id = self._count if self._image_ids is None else self._image_ids[shot.source.path]
        origin: dict[str, str | int] = {} if shot.frame is None else {"frame": shot.frame}
        if self._image_ids is None:
            origin["file_name"] = shot.source.path
        for item in coco_detections_json([found], [image_id], self._category_ids):
            self._list.write(item | origin)


def read_coco_ids(path: str, sources: Sequence[Source]) -> CocoIds:
    """Read the ids that a COCO annotation file gives to images and categories.

    Args:
        path: Path of the JSON file.
        sources: Images that must all have an id in it.

    Returns:
        The ids.

    Raises:
        ValueError: If the file is not COCO JSON, an image has no id or several, or a source is not an image.
    """
    ids = CocoIds(path)
    _ids_of_images(sources, ids)
    return ids


def _ids_of_images(sources: Sequence[Source], ids: CocoIds) -> dict[str, Any]:
    """Return the id of each image by path; raise `ValueError` for an image without one, and for a video."""
    found = {source.path: ids.image_id(source.path) if source.kind == "image" else None for source in sources}
    missing = next((path for path, image_id in found.items() if image_id is None), None)
    if missing is not None:
        raise ValueError(f"{ids.file}: expected an id for each image, got none for {missing}")
    return found


def coco_category_ids(class_names: Sequence[str]) -> list[int] | None:
    """Return COCO's category ids for its 80 classes in their usual order; `None` for other classes."""
    if len(class_names) != 80 or (class_names[0], class_names[-1]) != ("person", "toothbrush"):
        return None
    return [number for number in range(1, 91) if number not in _UNUSED_IDS]


def _numbers_in_names(sources: Sequence[Source]) -> dict[str, int] | None:
    """Return 397133 for 000000397133.jpg, by path; `None` unless all file names are different numbers."""
    names = [Path(source.path).stem for source in sources]
    if not all(source.kind == "image" for source in sources) or not all(re.fullmatch("[0-9]+", n) for n in names):
        return None
    numbers = {source.path: int(name) for source, name in zip(sources, names, strict=True)}
    return numbers if len(set(numbers.values())) == len(sources) else None
