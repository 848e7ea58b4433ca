"""Merge the detections of overlapping tiles into those of the image.

Two boxes of a class from two tiles belong to one object if they agree on the part of the image that both tiles show:
each clipped to that part, their IoU exceeds a threshold. Of boxes that agree, the best one stays. A box that ends where
its tile ends, inside the image, is *cut*: it gives way to any complete box, whatever their scores, and also to one that
contains most of it. Where no tile shows the object completely, its pieces become the box around them. Boxes of one tile
are never compared: the detector has already done that, and a small object in front of a large one of its class stays.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from yolo3.detections import Detections
from yolo3.ops.boxes import coverage, iou

_CUT_MARGIN = 0.01  # of the tile's sides: a box that ends this close to the edge counts as cut there


def joined(parts: Sequence[Detections]) -> Detections:
    """Return the detections of all parts, one after another."""
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
    )


def merge_tiles(
    found: Sequence[Detections], tiles: np.ndarray, image_shape: Sequence[int], iou_threshold: float
) -> Detections:
    """Merge the detections of tiles into those of the image, by the rules at the top of this module.

    Args:
        found: Detections in each tile, boxes in pixels of the tile.
        tiles: int [T, 4], xyxy in pixels of the image.
        image_shape: (height, width) in pixels.
        iou_threshold: IoU above which boxes of two tiles belong to one object.

    Returns:
        Detections with boxes in pixels of the image, best scores first.
    """
    origins = np.repeat(np.arange(len(found)), [len(part) for part in found])  # [N], the tile of each box
    everything = joined(found)
    scores, class_ids, frames = everything.scores, everything.class_ids, tiles[origins]
    boxes = everything.boxes.astype(np.float64) + np.tile(frames[:, :2], 2)  # [N, 4], pixels of the image

    # a box is cut where it ends at an edge of its tile that is not a border of the image
    height, width = image_shape
    margin = _CUT_MARGIN * np.tile(frames[:, 2:] - frames[:, :2], 2)
    at_edge = np.abs(boxes - frames) <= margin
    cut = (at_edge & (frames != [0, 0, width, height])).any(-1)  # [N]

    order = np.lexsort((-scores, cut, class_ids))  # class by class, complete boxes before cut ones
    kept: list[int] = []
    for group in np.split(order, np.flatnonzero(np.diff(class_ids[order])) + 1):
        for members in _objects(boxes[group], frames[group], cut[group], iou_threshold):
            best = group[members[0]]
            if cut[best]:
                pieces = boxes[group[members]]
                boxes[best] = np.concatenate([pieces[:, :2].min(0), pieces[:, 2:].max(0)])
            kept.append(best)
    kept.sort(key=lambda index: -scores[index])
    return Detections(boxes[kept], scores[kept], class_ids[kept])


def _objects(boxes: np.ndarray, frames: np.ndarray, cut: np.ndarray, iou_threshold: float) -> Iterator[list[int]]:
    """Yield the boxes of each object of one class, as indices, its best box first.

    Boxes [N, 4] of the tiles `frames` [N, 4] come complete ones first, then by falling score. Pieces may form a chain
    in which each agrees with one of the others.
    """
    free = np.ones(len(boxes), bool)
    for first in range(len(boxes)):
        if not free[first]:
            continue
        free[first] = False
        members = [first]
        for member in members:  # grows in the loop
            same = _same_object(
                boxes[member],
                frames[member],
                boxes=boxes[free],
                frames=frames[free],
                cut=cut[free],
                iou_threshold=iou_threshold,
            )
            added = np.flatnonzero(free)[same]
            free[added] = False
            members += added.tolist()
            if not cut[first]:
                break
        yield members


def _same_object(box, frame, *, boxes, frames, cut, iou_threshold: float) -> np.ndarray:
    """Return bool [N]: which boxes [N, 4] of the tiles `frames` [N, 4] show the object of `box` in the tile `frame`."""
    low, high = np.maximum(frame[:2], frames[:, :2]), np.minimum(frame[2:], frames[:, 2:])  # [N, 2], what both show

    def clipped(boxes):
        return np.concatenate([np.maximum(boxes[..., :2], low), np.minimum(boxes[..., 2:], high)], -1)

    agreement = iou(clipped(box), clipped(boxes))
    contained = cut & (coverage(boxes, box) > iou_threshold)
    return ((agreement > iou_threshold) | contained) & (frames != frame).any(-1)
