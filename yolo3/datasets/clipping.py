"""Clip boxes to their image: the one place where annotated boxes that reach outside are cut.

Readers clip what is rounding, up to `ROUNDING` pixels; `usable.usable_annotations` clips the rest once it has been
reported. Detections are clipped by `yolo3.inference.detector`.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 1.0  # pixels outside the image that count as rounding, not as a fault


def clip_boxes(
    boxes_xyxy: np.ndarray, image_shape: tuple[int, int] | np.ndarray | None, slack: float = ROUNDING
) -> np.ndarray:
    """Move coordinates that lie up to `slack` pixels outside the image onto its border.

    Args:
        boxes_xyxy: [N, 4] in pixels of the image. Not changed.
        image_shape: (height, width) of the image, or int [N, 2], that of each box; None if unknown, then only the left
            and top border are used.
        slack: Pixels; coordinates further outside stay as they are. `np.inf` clips everything.

    Returns:
        The boxes [N, 4].
    """
    boxes = np.where((boxes_xyxy < 0) & (boxes_xyxy >= -slack), 0.0, boxes_xyxy)
    if image_shape is None:
        return boxes

    limit = np.asarray(image_shape, np.float64)[..., [1, 0, 1, 0]]  # [4] or [N, 4]
    return np.where((boxes > limit) & (boxes <= limit + slack), limit, boxes)
