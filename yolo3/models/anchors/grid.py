"""The boxes of the anchors: several sizes and aspect ratios about the middle of each cell.

Source: Faster R-CNN (Ren et al. 2015), section 3.1.1. All boxes are in pixels of the network input.
"""

import math
from collections.abc import Sequence

import numpy as np

from yolo3.ops import boxes as geometry

RATIOS = (0.5, 1.0, 2.0)  # height / width, section 3.1.1


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float] = RATIOS) -> np.ndarray:
    """Return the anchors of a cell: one of area size^2 for each size and, within it, each ratio.

    Args:
        sizes: Square roots of the areas, in pixels.
        ratios: Heights divided by widths.

    Returns:
        float64 [A, 2] (w, h).
    """
    return np.array([(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios])


def anchor_boxes(input_shape, strides: Sequence[int], level_anchors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the anchors of all levels, by level, row, column and place among the cell's anchors.

    A level has ceil(side / stride) cells per side: where the stride does not divide the side, the last cells reach over
    the border.

    Args:
        input_shape: (height, width) of the network input.
        strides: Input pixels per cell of each level.
        level_anchors: Array [A, 2] (w, h) for each level.

    Returns:
        float32 [N, 4] xyxy.
    """
    levels = []
    for stride, anchors in zip(strides, level_anchors, strict=True):
        rows, columns = ((np.arange(-(-side // stride)) + 0.5) * stride for side in input_shape)
        centres = np.stack(np.meshgrid(columns, rows), -1)[:, :, None]  # [H, W, 1, 2]
        boxes = np.concatenate(np.broadcast_arrays(centres, anchors), -1)  # [H, W, A, 4]
        levels.append(geometry.cxcywh_to_xyxy(boxes.reshape(-1, 4)).astype(np.float32))
    return np.concatenate(levels)


def lie_inside(anchors_xyxy: np.ndarray, input_shape) -> np.ndarray:
    """Return bool [N]: which anchors [N, 4] do not cross the border of the input; those that touch it lie inside."""
    return (geometry.clip(anchors_xyxy, input_shape) == anchors_xyxy).all(-1)
