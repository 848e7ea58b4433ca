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

import json
import os
from typing import Any, Protocol

import numpy as np

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


def parse_metadata(text: str | bytes | None, path: str | os.PathLike) -> dict[str, Any]:
    """Return the metadata of an exported file from its text.

    Raises:
        ValueError: Where there is none, or not that of an exported file.
    """
    try:
        metadata = json.loads(text) if text else None
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("export"), dict):
        raise ValueError(f"{path}: expected a file of `yolo3 export`, got one without its metadata")
    return metadata
