"""Detections as YOLO labels, one text file per image."""

import os
from pathlib import Path

import numpy as np

from yolo3.detections import Detections
from yolo3.files import replace_file
from yolo3.inference.sources import Shot
from yolo3.inference.writers.writer import ManyFilesWriter
from yolo3.ops.boxes import xyxy_to_cxcywh


class YoloTxtFolder(ManyFilesWriter):
    """Writer of one text file per image, one line per detection: class id, centre x and y, width, height.

    Coordinates are fractions of the image, as :mod:`yolo3.datasets.formats.yolo_labels` reads them. The file of an
    image without detections is empty.

    Args:
        folder: Folder of the files; each is named after its image.
        scores: Whether to append the score as a sixth number. Such files are not labels.
    """

    def __init__(self, folder: str | os.PathLike, scores: bool = False):
        self.folder, self.scores = Path(folder), scores

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Write the file of an image; see :meth:`Writer.add`."""
        size = np.tile(image.shape[1::-1], 2)  # (width, height, width, height)
        numbers = xyxy_to_cxcywh(found.boxes.astype(np.float64)) / size  # [N, 4]
        if self.scores:
            numbers = np.concatenate([numbers, found.scores[:, None]], 1)  # [N, 5]

        lines = [
            f"{class_id} {' '.join(f'{number:.6f}' for number in row)}\n"
            for class_id, row in zip(found.class_ids, numbers, strict=True)
        ]
        replace_file(self.folder / f"{shot.name}.txt", "".join(lines), durable=False)
