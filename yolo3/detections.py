"""The record of what was detected in an image, and the scores from which detections are shown and measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHOWN_SCORE = 0.3  # of a detection that people are shown, unless they ask for others
# Average precision wants the weak detections too: AlexeyAB/darknet's src/detector.c has about as low a threshold, .005.
AP_SCORE_THRESHOLD = 0.001


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image.

    ``boxes``: float32 [N, 4] corner boxes, pixels of the original image. ``scores``: float32 [N], 0..1.
    ``class_ids``: int32 [N].
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


def _xywh(box) -> list[float]:
    x_min, y_min, x_max, y_max = (float(value) for value in box)
    return [x_min, y_min, x_max - x_min, y_max - y_min]


def coco_detections_json(
    detections: Sequence[Detections], image_ids: Sequence, category_ids: Sequence[int] | None = None
) -> list[dict]:
    """Return detections in COCO's results format, ready for ``json.dump``.

    A list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``, pixels of the original
    image. ``image_ids``: one for each image, as the annotation file has them. ``category_ids`` [C]: the
    file's id of each class; without it class 0 is category 1 and so on.
    """
    if len(image_ids) != len(detections):
        raise ValueError(f"coco_detections_json: expected {len(detections)} image ids, got {len(image_ids)}")
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id) + 1 if category_ids is None else int(category_ids[class_id]),
            "bbox": _xywh(box),
            "score": float(score),
        }
        for image_id, found in zip(image_ids, detections, strict=True)
        for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True)
    ]
