"""The record of the detections in an image."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections in one image.

    Args:
        boxes: float32 [N, 4], corners (x_min, y_min, x_max, y_max) in pixels of the original image.
        scores: float32 [N], 0 to 1.
        class_ids: int32 [N].

    Raises:
        ValueError: If boxes, scores and class ids differ in number.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, np.float32).reshape(-1, 4)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        class_ids = np.asarray(self.class_ids, np.int32).reshape(-1)
        if not len(boxes) == len(scores) == len(class_ids):
            raise ValueError(
                "Detections: expected as many scores and class ids as boxes, "
                f"got {len(boxes)} boxes, {len(scores)} scores, {len(class_ids)} class ids"
            )
        for name, array in (("boxes", boxes), ("scores", scores), ("class_ids", class_ids)):
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.scores)
