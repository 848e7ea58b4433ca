"""Boxes as a network sees them: their places and sizes in its input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.clipping import clip_boxes
from yolo3.datasets.flat_boxes import flatten, shape_rows
from yolo3.ops.boxes import xyxy_to_cxcywh
from yolo3.ops.letterbox import boxes_to_network_each


def relative_boxes(
    boxes: np.ndarray, image_shapes: np.ndarray, *, input_shape: tuple[int, int], resize: str
) -> np.ndarray:
    """Return boxes as fractions of the network input.

    Args:
        boxes: boxes_xyxy [M, 4] in pixels of their images; clipped there.
        image_shapes: (height, width) of each one's image, [M, 2].
        input_shape: (height, width) of the network input.
        resize: How images get there, "letterbox" or "stretch".

    Returns:
        boxes_cxcywh [M, 4], relative.
    """
    corners = boxes_to_network_each(clip_boxes(boxes, image_shapes, slack=np.inf), image_shapes, input_shape, resize)
    return xyxy_to_cxcywh(corners / np.array(input_shape[::-1] * 2, np.float32))


def network_sizes(
    annotations: Sequence[Annotation],
    shapes: Sequence[tuple[int, int] | None],
    *,
    input_shape: tuple[int, int],
    resize: str = "letterbox",
) -> np.ndarray:
    """Return the sizes of the objects as a network sees them, without crowd regions: one region is many objects.

    Args:
        annotations: Images with their boxes.
        shapes: (height, width) of each image.
        input_shape: (height, width) of the network input.
        resize: How images get there, "letterbox" or "stretch".

    Returns:
        float64 [N, 2] (w, h) in pixels of the network input, 0 where a box is empty or lies outside its image.
    """
    flat = flatten(annotations)
    keep = ~flat.crowd
    image_shapes = shape_rows(shapes)[flat.image[keep]]
    relative = relative_boxes(flat.boxes[keep], image_shapes, input_shape=input_shape, resize=resize)  # [N, 4]
    return relative[:, 2:].astype(np.float64) * input_shape[::-1]
