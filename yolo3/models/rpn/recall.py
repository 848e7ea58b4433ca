"""The recall of region proposals: the share of objects that one of the best proposals covers."""

from collections.abc import Iterable, Sequence

import numpy as np
from keras import ops

from yolo3.ops import boxes as geometry
from yolo3.ops.nms import non_max_suppression

TEST_CANDIDATES = 6000  # proposals that enter suppression at test time: Faster R-CNN's code


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


def measure_recall(
    architecture, network, batches: Iterable, num_proposals: int = 100, iou_threshold: float = 0.5
) -> float:
    """Return :func:`proposal_recall` of a network's best proposals on batches of images.

    Args:
        architecture: :class:`yolo3.models.rpn.architecture.Rpn`.
        network: Its network.
        batches: (images float32 [B, H, W, 3], boxes [B, T, 5], ...), as from
            :func:`yolo3.input.batches.validation_batches`.
        num_proposals: Proposals of each image that count, the best after suppression.
        iou_threshold: Least IoU, 0..1.
    """
    true_boxes: list[np.ndarray] = []
    proposals: list[np.ndarray] = []
    for images, boxes, *_ in batches:
        height, width = images.shape[1:3]
        found, scores = architecture.decode(network(images, training=False), (height, width))
        found, _, _, counts = non_max_suppression(
            found,
            scores,
            score_threshold=0.0,
            iou_threshold=architecture.iou_threshold,
            max_boxes=num_proposals,
            candidates=TEST_CANDIDATES,
        )
        found, counts = ops.convert_to_numpy(found), ops.convert_to_numpy(counts)
        proposals += [rows[:count] for rows, count in zip(found, counts, strict=True)]

        for rows in ops.convert_to_numpy(boxes):
            corners = geometry.cxcywh_to_xyxy(rows[(rows[:, 2:4] > 0).all(1), :4])
            true_boxes.append(corners * [width, height, width, height])
    return proposal_recall(true_boxes, proposals, iou_threshold)
