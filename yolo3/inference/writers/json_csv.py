"""Detections as JSON, one object per image, and as CSV, one row per detection."""

import csv
import os
from collections.abc import Iterator, Sequence

import numpy as np

from yolo3.detections import Detections
from yolo3.inference.sources import Shot
from yolo3.inference.writers.writer import OneFileWriter, StreamedFile, StreamedJsonList


class JsonFile(OneFileWriter):
    """Writer of a JSON list with one object per image or frame.

    An object has `image` (the path), `width` and `height` in pixels, for a frame also `frame` and `seconds`, and
    `detections`: objects with `class_id`, `class_name`, `score` and `box` (x_min, y_min, x_max, y_max in pixels),
    whose numbers are the float32 ones to all digits.

    Args:
        path: Path of the file.
        class_names: Name of each class id.
    """

    def __init__(self, path: str | os.PathLike, class_names: Sequence[str]):
        self._list, self.class_names = StreamedJsonList(path), class_names
        super().__init__(self._list)

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Append the object of an image; see :meth:`Writer.add`."""
        frame = {} if shot.frame is None else {"frame": shot.frame, "seconds": _rounded_seconds(shot)}
        size = {"width": image.shape[1], "height": image.shape[0]}
        detections = [
            {"class_id": class_id, "class_name": self.class_names[class_id], "score": score, "box": box}
            for *box, score, class_id in _exact_rows(found)
        ]
        self._list.write({"image": shot.source.path, **frame, **size, "detections": detections})


class CsvFile(OneFileWriter):
    """Writer of a CSV file with one row per detection; `COLUMNS` is its header.

    `frame` and `seconds` are empty for an image; corners are in pixels.

    Args:
        path: Path of the file.
        class_names: Name of each class id.
    """

    COLUMNS = ("image", "frame", "seconds", "class_id", "class_name", "score", "x_min", "y_min", "x_max", "y_max")

    def __init__(self, path: str | os.PathLike, class_names: Sequence[str]):
        file, self.class_names = StreamedFile(path, head=",".join(self.COLUMNS) + "\n"), class_names
        super().__init__(file)
        self._writer = csv.writer(file, lineterminator="\n")

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Append the rows of an image; see :meth:`Writer.add`."""
        frame = ("", "") if shot.frame is None else (shot.frame, _rounded_seconds(shot))
        for box, score, class_id in _rounded_rows(found):
            self._writer.writerow([shot.source.path, *frame, class_id, self.class_names[class_id], score, *box])


def _rounded_seconds(shot: Shot) -> float | None:
    return None if shot.seconds is None else round(shot.seconds, 3)


def _exact_rows(found: Detections) -> Iterator[list]:
    """Yield [x_min, y_min, x_max, y_max, score, class id], with the shortest decimals that are the same in float32."""
    for box, score, class_id in zip(found.boxes, found.scores, found.class_ids, strict=True):
        yield [*(float(str(value)) for value in (*box, score)), int(class_id)]


def _rounded_rows(found: Detections) -> Iterator[tuple[list[float], float, int]]:
    """Yield (box to 2 decimals, score to 6 decimals, class id) of each detection."""
    for box, score, class_id in zip(found.boxes, found.scores, found.class_ids, strict=True):
        yield [round(float(value), 2) for value in box], round(float(score), 6), int(class_id)
