"""The boxes of images to train on, relative to the image or to the network input; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.clipping import clip_boxes
from yolo3.datasets.flat_boxes import flatten, shape_rows
from yolo3.datasets.image_size import shape_of
from yolo3.ops.letterbox import boxes_to_network


def relative_boxes(annotations: Sequence[Annotation]) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of images to train on: without crowd regions, clipped to the image, and not empty.

    Args:
        annotations: The images and their boxes.

    Returns:
        boxes: float32 [M, 5]: corners relative to the image, class id; image after image.
        first: int64 [N + 1], where the boxes of each image begin.
    """
    flat = flatten(annotations)
    shapes = shape_rows([shape_of(annotation) for annotation in annotations])[flat.image]
    clipped = clip_boxes(flat.boxes, shapes, slack=np.inf).astype(np.float32)
    corners = clipped / shapes[:, [1, 0, 1, 0]].astype(np.float32)
    keep = ~flat.crowd & (corners[:, 2:] > corners[:, :2]).all(1)

    rows = np.concatenate([corners, flat.class_ids[:, None]], 1).astype(np.float32)[keep]  # [M, 5]
    counts = np.bincount(flat.image[keep], minlength=len(annotations))
    return rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def network_boxes(annotation: Annotation, input_shape: tuple[int, int], resize: str) -> np.ndarray:
    """Return float32 [N, 5]: (x, y, w, h) relative to the letterboxed or stretched input, and class id."""
    rows, _ = relative_boxes([annotation])
    height, width = shape_of(annotation)
    corners = boxes_to_network(rows[:, :4] * [width, height, width, height], (height, width), input_shape, resize)
    corners = corners / np.array([input_shape[1], input_shape[0]] * 2, np.float32)
    sides = corners[:, 2:] - corners[:, :2]
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, sides, rows[:, 4:]], 1).astype(np.float32)
