"""What an exported file holds, in any format: names of its outputs, its metadata, and the interface to run it.

The metadata is one JSON object: that of the network (:mod:`yolo3.models.saving`) with ``input_shape`` and ``resize``
always there, and under ``export`` how the file was exported:

=================== ==============================================================================================
``format``          name of the format, such as "onnx"
``outputs``         a name of :data:`OUTPUTS`
``input``           "uint8", images 0..255, or "float32", images 0..1; RGB, [B, height, width, 3] either way
``batch``           number of images that it takes at once, null for any number
``precision``       "float32", "float16" or "int8"
``one_class``       name of all objects where the architecture does not tell classes apart, else null
``iou_threshold``   of suppression: that within the file, or the architecture's
``score_threshold`` with suppression in the file, as ``max_boxes``, ``nms`` and ``nms_overlap``: its settings
``yolo3``           version of this package
=================== ==============================================================================================
"""

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from yolo3.models.metadata_fields import parse_metadata
from yolo3.records import checked_fields, shown

INPUTS = ("uint8", "float32")
_PLACES = re.compile(r"^.*(?:\.(?:cpp|cc|h):\d+:?|failed:)\s*", re.DOTALL)
KEY = "yolo3"  # name of the metadata within a file
OUTPUTS = {
    "detections": ("boxes", "scores", "class_ids", "count"),
    "boxes": ("boxes", "scores"),
    "raw": (),
}
"""Names of the outputs, in their order, of files with suppression, with decoded boxes, and with raw outputs.

``detections``: float32 [B, M, 4] xyxy in pixels of the network input, float32 [B, M] by falling score, int32 [B, M],
int32 [B]; rows from ``count`` on are padding, with class -1. ``boxes``: float32 [B, N, 4] xyxy in pixels of the network
input and float32 [B, N, C]. ``raw``: ``raw_0``, ``raw_1``, ... as many as the network has outputs, float32.
"""


class Runtime(Protocol):
    """An exported file that is ready to run.

    Args:
        path: The file.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: In one line, for a file of another kind, and where its package is not installed.
    """

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata within the file."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the modules that it runs with, for their versions."""

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images, of the type and number that the file takes."""


@dataclass(frozen=True)
class Export:
    """How a file was exported, with the types that the values must have; the table above says what they mean."""

    outputs: str
    input: str
    batch: int | None
    precision: str
    iou_threshold: float
    format: str | None = None
    one_class: str | None = None
    score_threshold: float = 0.0
    max_boxes: int | None = None
    nms: str | None = None
    nms_overlap: str | None = None
    yolo3: str | None = None

    def __post_init__(self):
        for name, value, choices in (("outputs", self.outputs, OUTPUTS), ("input", self.input, INPUTS)):
            if value not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {shown(value)}")
        for name, value in (("batch", self.batch), ("max_boxes", self.max_boxes)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")
        if self.outputs == "detections":
            for name in ("max_boxes", "nms", "nms_overlap"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name}: expected a value, as suppression is within the file, got none")


def export_metadata(text: str | bytes | None, path: str | os.PathLike) -> dict[str, Any]:
    """Return the metadata of an exported file from its text.

    Raises:
        ValueError: In one line, where there is none, where it is not that of an exported file, and for a value of
            another type than it must have, naming it.
    """
    without = f"{path}: expected a file of `yolo3 export`, got one without its metadata"
    if not text:
        raise ValueError(without)
    metadata = parse_metadata(text, path)
    if not isinstance(metadata.get("export"), dict):
        raise ValueError(without)
    try:
        if metadata.get("input_shape") is None:
            raise ValueError("input_shape: expected a list of 2, got none")
        fields = checked_fields(Export, metadata["export"])
        for field in dataclasses.fields(Export):
            if field.default is dataclasses.MISSING and field.name not in fields:
                raise ValueError(f"export: expected the field {field.name}, got none")
        Export(**fields)
    except ValueError as error:
        raise ValueError(f"{path}: its yolo3 metadata: {error}") from error
    return metadata


def check_outputs(metadata: dict[str, Any], names: Sequence[str], path: str | os.PathLike) -> None:
    """Check that a file has the outputs that its metadata say.

    Args:
        metadata: Its metadata.
        names: Names of its outputs, in any order.
        path: The file.

    Raises:
        ValueError: If one is missing.
    """
    expected = OUTPUTS[metadata["export"]["outputs"]] or ("raw_0",)
    if not set(expected) <= set(names):
        raise ValueError(f"{path}: expected the outputs {', '.join(expected)}, got {', '.join(sorted(names))}")


def cannot_open(path: str | os.PathLike, runtime: str, error: BaseException) -> ValueError:
    """Return the error, in one line, of a file that a runtime does not open.

    Args:
        path: The file.
        runtime: The runtime's name.
        error: What it raised; such words begin with places in its own source, which are left out.
    """
    words = " ".join(_PLACES.sub("", str(error)).replace(os.fspath(path), "it").split()) or type(error).__name__
    return ValueError(f"{path}: {runtime} cannot open it, damaged or of another kind: {words}")
