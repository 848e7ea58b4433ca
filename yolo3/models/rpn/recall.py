"""The recall of region proposals: the share of objects that one of the best proposals covers."""

from collections.abc import Sequence

import numpy as np

from yolo3.ops import boxes as geometry


def proposal_recall(true_boxes: Sequence, proposals: Sequence, iou_threshold: float = 0.5) -> float:
    """Return the share of ground-truth boxes that a proposal overlaps by at least ``iou_threshold``.

    One proposal may cover several boxes.

    Args:
        true_boxes: Float [T, 4] xyxy for each image.
        proposals: Float [M, 4] xyxy for each image, in the same unit.
        iou_threshold: Least IoU, 0..1.

    Returns:
        A share 0..1, NaN without ground-truth boxes.
    """
    covered = [
        (geometry.pairwise_iou(np.asarray(boxes), np.asarray(found)) >= iou_threshold).any(-1)
        for boxes, found in zip(true_boxes, proposals, strict=True)
    ]
    return float(np.mean(np.concatenate(covered))) if any(map(len, covered)) else float("nan")
