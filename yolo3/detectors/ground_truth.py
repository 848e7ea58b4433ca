"""Ground truth as Keras' layers write it, ``{"boxes", "labels"}``, and as the rows that targets are built from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from yolo3.ops import boxes as geometry
from yolo3.ops.box_formats import NO_OBJECT


def dense(ground_truth: Any) -> tuple[Any, Any]:
    """Return (boxes [B, T, 4], labels [B, T]) of a batch, ragged tensors padded with the label -1.

    Args:
        ground_truth: ``{"boxes", "labels"}``, dense or, on TensorFlow, ragged tensors.

    Raises:
        ValueError: For anything else.
    """
    if not isinstance(ground_truth, dict) or not {"boxes", "labels"} <= ground_truth.keys():
        found = f"the keys {', '.join(ground_truth)}" if isinstance(ground_truth, dict) else type(ground_truth).__name__
        raise ValueError(f'y: expected {{"boxes": [B, T, 4], "labels": [B, T]}}, got {found}')
    boxes, labels = ground_truth["boxes"], ground_truth["labels"]
    if hasattr(boxes, "to_tensor"):
        boxes = boxes.to_tensor(0, shape=(None, None, 4))
    if hasattr(labels, "to_tensor"):
        labels = labels.to_tensor(NO_OBJECT)

    if len(boxes.shape) != 3 or boxes.shape[-1] not in (4, None) or len(labels.shape) != 2:
        shapes = f"{list(boxes.shape)} and {list(labels.shape)}"
        raise ValueError(f"y: expected boxes [B, T, 4] and labels [B, T] (images, objects), got the shapes {shapes}")
    return ops.convert_to_tensor(boxes), ops.convert_to_tensor(labels)


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Raise ``ValueError`` for a label [N, T] that is no class; negative ones are padding."""
    wrong = np.argwhere(np.asarray(labels) >= num_classes)
    if len(wrong):
        image, row = wrong[0][:2]
        raise ValueError(
            f"labels: expected 0 to {num_classes - 1}, or {NO_OBJECT} for padding, got {labels[image][row]} in image "
            f"{image}; classes count from 0"
        )


def to_rows(ground_truth: Any, bounding_box_format: str, input_shape: tuple[int, int]):
    """Return a batch as rows, clipped to the network input, that :meth:`Architecture.build_targets` takes.

    Rows with a negative label, and boxes without area, become rows of zeros.

    Args:
        ground_truth: ``{"boxes", "labels"}``; see :func:`dense`.
        bounding_box_format: One of :data:`yolo3.ops.box_formats.FORMATS`, in pixels of the network input or
            relative to it.
        input_shape: (height, width) of the network input in pixels.

    Returns:
        float32 [B, T, 5] (x, y, w, h relative to the input, class id).
    """
    boxes, labels = dense(ground_truth)
    height, width = input_shape
    corners = keras.utils.bounding_boxes.convert_format(
        ops.cast(boxes, "float32"), source=bounding_box_format, target="rel_xyxy", height=height, width=width
    )
    rows = geometry.xyxy_to_cxcywh(geometry.clip(corners, (1.0, 1.0)))  # [B, T, 4]
    labels = ops.cast(ops.expand_dims(labels, -1), "float32")
    rows = ops.concatenate([rows, labels], -1)

    is_object = (rows[..., 2:3] > 0) & (rows[..., 3:4] > 0) & (labels >= 0)
    return ops.where(is_object, rows, 0.0)


def from_corners(boxes_xyxy, bounding_box_format: str, input_shape: tuple[int, int]):
    """Return boxes [B, M, 4] in pixels of the network input in another format. Inverse of :func:`to_rows`' reading."""
    height, width = input_shape
    return keras.utils.bounding_boxes.convert_format(
        boxes_xyxy, source="xyxy", target=bounding_box_format, height=height, width=width
    )
