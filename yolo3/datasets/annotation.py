"""The one record that every reader returns, and the small things that all readers share.

Records (`Annotation`, `Finding`, `Dataset`), class names, images found in a folder, the size of an image
from its header, and files replaced atomically.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Annotation:
    """One image and its boxes.

    `boxes`: float32 [N, 4] boxes_xyxy in pixels of the upright original image, continuous edges: a box that
    covers the whole W x H image is 0, 0, W, H. `class_ids`: int32 [N], from 0. `difficult`, `crowd`: bool
    [N]. `source`: where it was read, "train.txt:7" or "a.xml". `lines`: line number of each box in that file,
    if known.
    """

    image_path: str
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    source: str
    lines: tuple[int, ...] | None = None

    def where(self, box: int | None = None) -> str:
        """The place to name in a message: "file:line" of the box if it is known, else of the image."""
        if box is None or self.lines is None:
            return self.source
        return f"{file_of(self.source)}:{self.lines[box]}"

    def select(self, keep: np.ndarray) -> Annotation:
        """The same image with only the boxes of the bool mask (or indices) `keep` [N]."""
        lines = None if self.lines is None else tuple(np.asarray(self.lines, np.int64)[keep].tolist())
        return Annotation(
            self.image_path,
            self.boxes[keep],
            self.class_ids[keep],
            self.difficult[keep],
            self.crowd[keep],
            self.source,
            lines,
        )


@dataclass(frozen=True)
class Finding:
    """Something wrong with a data set: an "error" cannot be used, a "warning" can."""

    severity: str
    kind: str
    where: str
    message: str
    annotation: int | None = None
    box: int | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class Dataset:
    """What a reader made of a path: the images, the class names and what the reader noticed."""

    annotations: list[Annotation]
    class_names: list[str]
    format: str
    findings: list[Finding] = field(default_factory=list)
    name: str = ""


def in_one_class(dataset: Dataset, name: str) -> Dataset:
    """Return the data set with the objects of all its classes in one, ``name``."""
    annotations = [
        replace(annotation, class_ids=np.zeros_like(annotation.class_ids)) for annotation in dataset.annotations
    ]
    return replace(dataset, annotations=annotations, class_names=[name])


@dataclass(frozen=True)
class Box:
    """One box while a file is being read: pixels x_min, y_min, x_max, y_max, and what is said of it."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    difficult: bool = False
    crowd: bool = False
    line: int | None = None


def build_annotation(
    image_path: str, boxes: Sequence[Box], source: str, image_shape: tuple[int, int] | None = None
) -> Annotation:
    """Arrays from boxes; coordinates at most one pixel beyond the border of `image_shape` (height, width) are
    rounding and are put on the border.
    """
    xyxy = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    lines = tuple(box.line for box in boxes if box.line is not None)
    return Annotation(
        image_path=image_path,
        boxes=clip_rounding(xyxy, image_shape).astype(np.float32),
        class_ids=np.array([box.class_id for box in boxes], np.int32),
        difficult=np.array([box.difficult for box in boxes], bool),
        crowd=np.array([box.crowd for box in boxes], bool),
        source=source,
        lines=lines if boxes and len(lines) == len(boxes) else None,
    )


def clip_rounding(boxes_xyxy: np.ndarray, image_shape: tuple[int, int] | None, slack: float = 1.0) -> np.ndarray:
    """Boxes [N, 4] in pixels with coordinates up to `slack` pixels outside the image moved to its border.

    Without a shape only the left and top borders are known. What lies further outside stays as it is.
    """
    boxes = np.where((boxes_xyxy < 0) & (boxes_xyxy >= -slack), 0.0, boxes_xyxy)
    if image_shape is None:
        return boxes
    height, width = image_shape
    limit = np.array([width, height, width, height], np.float64)
    return np.where((boxes > limit) & (boxes <= limit + slack), limit, boxes)


def dataset_name(path: str, list_name: str | None) -> str:
    """ "folder" or "folder [trainval]"."""
    base = os.path.basename(os.path.normpath(os.path.abspath(path)))
    return f"{base} [{list_name}]" if list_name else base


def list_of(dataset: Dataset, default: str = "train") -> str:
    """The list that a data set was read from, as its name says it; a folder name that a writer can use."""
    match = re.search(r"\[([^\]]+)\]$", dataset.name)
    return match.group(1).replace("/", "_") if match else default


def require_list(path: str, list_name: str, names: Iterable[str]) -> None:
    """ValueError when a data set has no such list; it says which ones it has."""
    names = list(names)
    if list_name not in names:
        have = f"it has {', '.join(names)}" if names else "it has no lists of its own"
        raise ValueError(f"{path}: expected a list of the data set, got '{list_name}'; {have}")


def file_of(where: str) -> str:
    """A place without its line number."""
    return re.sub(r":[0-9]+$", "", where)


def split_annotations(
    annotations: Sequence[Annotation], fraction: float, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Split at random into (train, val) with `fraction` of the images in val, in their old order.

    With two images or more both parts hold at least one; one image goes to train. The same seed gives the
    same split. Raises ValueError when the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation split: expected a fraction between 0 and 1, got {fraction}")
    count = len(annotations)
    num_val = min(max(round(count * fraction), 1), count - 1) if count >= 2 else 0
    chosen = set(np.random.default_rng(seed).permutation(count)[:num_val].tolist())
    train = [annotation for index, annotation in enumerate(annotations) if index not in chosen]
    return train, [annotations[index] for index in sorted(chosen)]


def without_crowd(annotations: Sequence[Annotation], format: str) -> list[Annotation]:
    """The annotations without their crowd regions, for formats that cannot mark them; what is left out is
    logged.
    """
    count = int(sum(annotation.crowd.sum() for annotation in annotations))
    if count:
        logger.warning("%s: left out %d crowd regions, which this format cannot mark", format, count)
    return [
        annotation.select(~annotation.crowd) if annotation.crowd.any() else annotation for annotation in annotations
    ]
