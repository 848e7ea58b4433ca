"""Records that every reader returns: `Annotation` (an image and its boxes), `Finding`, and the `Dataset` of both."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from yolo3.datasets.clipping import clip_boxes
from yolo3.files import printable

_LONGEST_MESSAGE = 1000  # characters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True)
class Annotation:
    """One image and its boxes.

    Attributes:
        image_path: Path of the image.
        boxes: float32 [N, 4], boxes_xyxy in pixels of the upright original image. Edges are continuous: a box that
            covers the whole W x H image is (0, 0, W, H).
        class_ids: int32 [N], from 0.
        difficult: bool [N], objects that do not count in evaluation (Pascal VOC).
        crowd: bool [N], regions of many objects, neither trained on nor counted (COCO).
        source: Where the annotation was read, "train.txt:7" or "a.xml".
        lines: Line number of each box in that file, None if unknown.
        image_shape: (height, width) of the upright image, None if the reader did not look.
    """

    image_path: str
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    source: str
    lines: tuple[int, ...] | None = None
    image_shape: tuple[int, int] | None = None

    def where(self, box: int | None = None) -> str:
        """Return the place to name in a message: "file:line" of the box if known, else the source of the image."""
        if box is None or self.lines is None:
            return self.source
        return f"{file_of(self.source)}:{self.lines[box]}"

    def select(self, keep: np.ndarray) -> Annotation:
        """Return the same image with a part of its boxes; `keep` is a bool mask [N] or indices."""
        return replace(
            self,
            boxes=self.boxes[keep],
            class_ids=self.class_ids[keep],
            difficult=self.difficult[keep],
            crowd=self.crowd[keep],
            lines=None if self.lines is None else tuple(np.asarray(self.lines, np.int64)[keep].tolist()),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a data set: an "error" cannot be used, a "warning" can.

    Attributes:
        severity: "error" or "warning".
        kind: Short name of the fault, such as "no-area", by which faults are counted.
        where: File, "file:line" or name of the data set.
        message: What was expected, what was found, and what to do.
        annotation: Index of the annotation in the data set, if the fault is that of one image.
        box: Index of the box in that annotation, if the fault is that of one box.
    """

    severity: str
    kind: str
    where: str
    message: str
    annotation: int | None = None
    box: int | None = None

    def __post_init__(self):
        """Keep the message on one line of bounded length: it may show any text of a file."""
        message = self.message
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "..."
        object.__setattr__(self, "message", printable(message))

    def __str__(self) -> str:
        return f"{printable(self.where)}: {self.message}"

    @property
    def removes(self) -> bool:
        """Whether its image or box is left out: it cannot be used, or repeats another one."""
        return self.severity == "error" or self.kind == "duplicate-box"


@dataclass(frozen=True)
class Dataset:
    """What a reader made of a path.

    Attributes:
        annotations: The images and their boxes.
        class_names: In order of the class ids.
        format: Name of the format.
        findings: What the reader found wrong.
        name: Of the data set, with its list.
        notes: Lines for the user about what was read, such as a choice that the reader made.
        root: The folder of the data, beside which caches are kept; "" for none.
    """

    annotations: list[Annotation]
    class_names: list[str]
    format: str
    findings: list[Finding] = field(default_factory=list)
    name: str = ""
    notes: list[str] = field(default_factory=list)
    root: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """One box while a file is being read: corners in pixels, class id, marks, and its line in the file."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    difficult: bool = False
    crowd: bool = False
    line: int | None = None


def build_annotation(
    image_path: str, boxes: Sequence[Box], source: str, image_shape: tuple[int, int] | None = None
) -> Annotation:
    """Build an annotation from boxes; coordinates up to a pixel outside the image are rounding and are clipped.

    Args:
        image_path: Path of the image.
        boxes: The boxes, in pixels of the upright image.
        source: Where they were read.
        image_shape: (height, width) of the upright image; None if unknown.

    Returns:
        The annotation. It has line numbers if all boxes have.
    """
    xyxy = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    lines = tuple(box.line for box in boxes if box.line is not None)
    return Annotation(
        image_path=image_path,
        boxes=clip_boxes(xyxy, image_shape).astype(np.float32),
        class_ids=np.array([box.class_id for box in boxes], np.int32),
        difficult=np.array([box.difficult for box in boxes], bool),
        crowd=np.array([box.crowd for box in boxes], bool),
        source=source,
        lines=lines if boxes and len(lines) == len(boxes) else None,
        image_shape=image_shape,
    )


def in_one_class(dataset: Dataset, name: str) -> Dataset:
    """Return the data set with all objects in a single class called `name`."""
    annotations = [
        replace(annotation, class_ids=np.zeros_like(annotation.class_ids)) for annotation in dataset.annotations
    ]
    return replace(dataset, annotations=annotations, class_names=[name])


def without_crowd(annotations: Sequence[Annotation], format: str) -> list[Annotation]:
    """Return the annotations without crowd regions, for formats that cannot mark them; logs how many are lost."""
    count = int(sum(annotation.crowd.sum() for annotation in annotations))
    if count:
        logger.warning("%s: left out %d crowd regions, which this format cannot mark", format, count)
    return [
        annotation.select(~annotation.crowd) if annotation.crowd.any() else annotation for annotation in annotations
    ]


def file_of(where: str) -> str:
    """Return the file of a place "file:line"."""
    return re.sub(r":[0-9]+$", "", where)
