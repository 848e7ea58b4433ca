"""Non-maximum suppression of one image in NumPy, for networks that run without Keras.

The same boxes as :mod:`yolo3.ops.nms` keeps, whose text says what the methods and overlaps mean.
"""

import numpy as np

from yolo3.ops import boxes as geometry
from yolo3.ops.nms_methods import CANDIDATES, MAX_BOXES, SIGMA, check_method


def non_max_suppression(
    boxes_xyxy,
    scores,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int = MAX_BOXES,
    candidates: int = CANDIDATES,
    method: str = "greedy",
    overlap: str = "iou",
    sigma: float | None = SIGMA,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the boxes of an image that non-maximum suppression keeps.

    Args:
        boxes_xyxy: float [N, 4], any unit.
        scores: float [N, C], 0..1.
        score_threshold: Scores have to be above it; 0 or more.
        iou_threshold: Overlap above which a box gives way. The method "soft" uses it only where ``sigma`` is ``None``.
        max_boxes: M, detections at most, over all classes.
        candidates: How many of the best (box, class) pairs enter, at least ``max_boxes``.
        method: One of :data:`yolo3.ops.nms_methods.METHODS`.
        overlap: One of :data:`yolo3.ops.nms_methods.OVERLAPS`.
        sigma: Of the method "soft", above 0; ``None`` for linear decay.

    Returns:
        (boxes float32 [K, 4], scores float32 [K], class_ids int32 [K]) by falling score, K at most ``max_boxes``.

    Raises:
        ValueError: For other names, and for a ``sigma`` of 0 or below.
    """
    check_method(method, overlap, sigma)
    measure = {"iou": geometry.iou, "ios": geometry.coverage}[overlap]

    def decay(weaker, stronger):
        """Return what the scores of weaker boxes [K, 4] are multiplied by: 0 where they are dropped."""
        overlaps = measure(weaker, stronger)
        if method == "soft" and sigma is not None:
            return np.where(overlaps > 0, np.exp(overlaps * overlaps / -sigma), 1)
        if method == "soft":
            return np.where(overlaps > iou_threshold, 1 - overlaps, 1)
        if method == "diou":
            overlaps = overlaps - geometry.centre_distance(weaker, stronger)
        return overlaps <= iou_threshold

    boxes, left, class_ids = _top_candidates(
        np.asarray(boxes_xyxy, np.float32), np.asarray(scores, np.float32), score_threshold, max(candidates, max_boxes)
    )

    kept: list[int] = []
    kept_scores: list[float] = []
    while len(kept) < max_boxes and left.size:
        best = int(left.argmax())
        if not left[best] > score_threshold:
            break
        kept.append(best)
        kept_scores.append(left[best])
        left[best] = 0

        rivals = np.flatnonzero((class_ids == class_ids[best]) & (left > score_threshold))
        if rivals.size:
            left[rivals] *= decay(boxes[rivals], boxes[best])
    return boxes[kept], np.array(kept_scores, np.float32), class_ids[kept]


def _top_candidates(boxes, scores, score_threshold: float, candidates: int):
    """Return boxes [K, 4], scores [K] and class ids [K] of the best (box, class) pairs above the threshold.

    They come by falling score; of equal scores, the one whose box has the best score in any class comes first.
    """
    scores = np.where(scores > score_threshold, scores, 0)  # also in place of what is not a number
    best = scores.max(-1)  # [N]
    rows = _best_first(best, np.flatnonzero(best), candidates)
    pairs = scores[rows].reshape(-1)
    order = _best_first(pairs, np.flatnonzero(pairs), candidates)
    places, class_ids = np.divmod(order, scores.shape[-1])
    return boxes[rows[places]], pairs[order], class_ids.astype(np.int32)


def _best_first(values: np.ndarray, indices: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` of the indices with the highest values, highest first, equal values in their order."""
    if len(indices) > count:  # few are sorted, of many
        least = np.partition(values[indices], -count)[-count]
        indices = indices[values[indices] >= least]
    return indices[np.argsort(-values[indices], kind="stable")][:count]
