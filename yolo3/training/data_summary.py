"""What a run was trained on, in a few numbers, so that a resumed run can say that its data has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.annotation import Annotation


@dataclass(frozen=True)
class PartSummary:
    """One of the lists of a run.

    Args:
        images: Number of images.
        boxes: Number of their boxes.
        digest: Of the file names of the images, their boxes and class ids, in order.
    """

    images: int = 0
    boxes: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.images} images with {self.boxes} boxes"


@dataclass(frozen=True)
class DataSummary:
    """Both lists of a run."""

    train: PartSummary = PartSummary()
    val: PartSummary = PartSummary()

    def changes(self, now: DataSummary) -> list[str]:
        """Return a line for each list that is not what it was, none if nothing has changed."""
        lines = []
        for name in ("train", "val"):
            before, after = getattr(self, name), getattr(now, name)
            if before != after:
                words = f"it was {before} and is {after}" if str(before) != str(after) else f"still {after}, but others"
                lines.append(f"The {name} list is not that of the run so far: {words}.")
        return lines


def summarize(annotations: Sequence[Annotation]) -> PartSummary:
    """Summarize a list of images and their boxes; it stays the same where the data is moved."""
    digest = hashlib.blake2b(digest_size=16)
    for annotation in annotations:
        digest.update(os.fsencode(os.path.basename(annotation.image_path)) + b"\0")
        digest.update(np.asarray(annotation.boxes, "<f4").tobytes() + np.asarray(annotation.class_ids, "<i4").tobytes())
    boxes = sum(len(annotation.boxes) for annotation in annotations)
    return PartSummary(images=len(annotations), boxes=boxes, digest=digest.hexdigest())


def as_json(summary: DataSummary) -> dict:
    """Return a summary as plain values. Inverse: `yolo3.records.build_record`."""
    return dataclasses.asdict(summary)
