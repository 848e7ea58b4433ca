"""Each detection cut out of its image, in one folder per class."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, numbered
from yolo3.inference.writers.writer import ManyFilesWriter
from yolo3.ops.boxes import clip


class CropsFolder(ManyFilesWriter):
    """Writer of one JPEG per detection: every pixel that the box touches.

    Args:
        folder: Folder that gets one folder for each class.
        class_names: Name of each class id.
    """

    def __init__(self, folder: str | os.PathLike, class_names: Sequence[str]):
        self.folders = [Path(folder, name) for name in folder_names(class_names)]

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Write the crops of an image; see :meth:`Writer.add`."""
        boxes = clip(found.boxes.astype(np.float64), image.shape[:2])
        low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
        for number, class_id in enumerate(found.class_ids):
            (left, top), (right, bottom) = low[number], high[number]
            path = self.folders[class_id] / f"{shot.name}_{number + 1}.jpg"
            if right > left and bottom > top:
                write_image(path, image[top:bottom, left:right])


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a folder name for each class that every file system accepts, all different also in lower case.

    Args:
        class_names: Names of classes.

    Returns:
        Folder names in the same order.

    Example:
        >>> folder_names(["traffic light", "and/or", "AND_OR"])
        ['traffic light', 'and_or', 'AND_OR_2']
    """
    names: list[str] = []
    for name in class_names:
        safe = re.sub(r"[^\w .+()-]", "_", name).strip(" .") or "class"
        if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", safe):  # devices, on Windows
            safe += "_"
        taken = {other.casefold() for other in names}
        names.append(next(free for free in numbered(safe) if free.casefold() not in taken))
    return names
