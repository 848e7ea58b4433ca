"""Detections that `yolo3 detect --json` wrote, such as those of many jobs, as those in the images of a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.find_images import file_key, num_shared_parts
from yolo3.datasets.json_values import finite_numbers, read_json, show_value
from yolo3.detections import Detections
from yolo3.evaluation.advice import some_of
from yolo3.files import base_name

_EXPECTED = "expected what `yolo3 detect --json` writes for images"


@dataclass(frozen=True, eq=False)
class SavedImage:
    """What was detected in an image.

    Args:
        path: Of the image, as it was given to `detect`.
        file: That says so.
        boxes: float32 [N, 4], corners in pixels of the image.
        scores: float32 [N].
        classes: Name of each detection's class.
    """

    path: str
    file: str
    boxes: np.ndarray
    scores: np.ndarray
    classes: list[str]


class SavedDetections:
    """The detections in all images of several files.

    Args:
        files: Paths of the files.

    Attributes:
        class_names: Classes that were detected, in the order of their ids.
        images: Detections in each image by its real path, in the order of the files.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: For a file of another kind, and for an image that is there twice.
    """

    def __init__(self, files: Sequence[str]):
        self.images: dict[str, SavedImage] = {}
        ids: dict[str, int] = {}
        for file in files:
            content = read_json(file)
            for entry in content if isinstance(content, list) else [content]:
                image = _read_image(entry, file, ids)
                known = self.images.setdefault(os.path.realpath(image.path), image)
                if known is not image:
                    raise ValueError(f"{file}: expected each image once, got {image.path} again, after {known.file}")
        self.class_names = sorted(ids, key=lambda name: ids[name])
        self._by_name: dict[str, list[SavedImage]] = {}
        for image in self.images.values():
            self._by_name.setdefault(file_key(base_name(image.path)), []).append(image)

    def of(self, annotations: Sequence[Annotation], class_names: Sequence[str]) -> list[Detections]:
        """Return the detections in each annotated image.

        An image is known by its path, or where that is another one by the end of it, such as night/1.jpg.

        Args:
            annotations: The images.
            class_names: Classes, of which the position is the id; all that were detected have to be among them.

        Raises:
            ValueError: For an image in which nothing was looked for, or which several entries may be.
        """
        numbers = {name: number for number, name in enumerate(class_names)}
        taken: dict[str, str] = {}
        found = []
        for annotation in annotations:
            image = self._image(annotation.image_path)
            other = taken.setdefault(image.path, annotation.image_path)
            if other != annotation.image_path:
                raise ValueError(_none_for(annotation.image_path, f"got {image.path} alone, which is {other}"))
            found.append(Detections(image.boxes, image.scores, np.array([numbers[name] for name in image.classes])))
        return found

    def _image(self, path: str) -> SavedImage:
        """Return the entry of an image."""
        if image := self.images.get(os.path.realpath(path)):
            return image
        alike = self._by_name.get(file_key(base_name(path)), [])
        if not alike:
            raise ValueError(_none_for(path, f"got {len(self.images)} others"))
        shared = [num_shared_parts(image.path, path) for image in alike]
        if shared.count(max(shared)) > 1:
            raise ValueError(_none_for(path, f"got several that may be it, such as {alike[0].path}, {alike[1].path}"))
        return alike[shared.index(max(shared))]


def _none_for(path: str, but: str) -> str:
    return f"{path}: expected its detections in one of the files, {but}"


def _read_image(entry: Any, file: str, ids: dict[str, int]) -> SavedImage:
    """Return an entry of a file; its classes are added to their ids by name."""
    try:
        if "frame" in entry:
            raise ValueError(f"{file}: {_EXPECTED}, got a frame of {entry['image']}")
        rows = [[*item["box"], item["score"]] for item in entry["detections"]]
        numbers = [finite_numbers(row) for row in rows]
        if not isinstance(entry["image"], str) or any(row is None or len(row) != 5 for row in numbers):
            raise TypeError
        classes = [str(item["class_name"]) for item in entry["detections"]]
        ids.update({name: int(item["class_id"]) for name, item in zip(classes, entry["detections"])})
    except (KeyError, TypeError):
        raise ValueError(f"{file}: {_EXPECTED}, got {show_value(entry)}") from None
    table = np.array(numbers, np.float32).reshape(-1, 5)
    return SavedImage(entry["image"], file, table[:, :4], table[:, 4], classes)


def all_classes(saved: SavedDetections, of_data: Sequence[str], named: Sequence[str] | None, where: str) -> list[str]:
    """Return the classes of an evaluation: those that are named, else those of the data and what else was detected.

    Args:
        saved: The detections.
        of_data: Classes of the data.
        named: All classes of the network, if they are known.
        where: What names them, or the data, for messages.

    Raises:
        ValueError: When a class was detected that is not among those named, or none of those of the data.
    """
    known = of_data if named is None else named
    others = [name for name in saved.class_names if name not in known]
    if others and (named is not None or len(others) == len(saved.class_names)):
        raise ValueError(f"{where}: expected the classes that were detected, {some_of(others)}, got {some_of(known)}")
    return [*known, *others]
