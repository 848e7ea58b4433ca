"""Cluster box sizes into anchors, and measure how well anchors fit box sizes.

Sizes and anchors are float [N, 2], (width, height) in pixels of the network input.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from yolo3.models.yolov3.anchors import checked_sizes
from yolo3.ops.boxes import shape_iou

# More boxes than this do not move the clusters by a tenth of a pixel, but cost minutes (COCO has 860,000).
_MAX_CLUSTERED = 30_000
_MAX_ROUNDS = 200
_SMALLEST = 0.01  # pixels, of a rounded anchor
_PART = 100_000  # sizes compared at a time, so that the IoUs [N, A] stay small


def cluster_anchors(sizes_wh, num_anchors: int, seed: int = 0, restarts: int = 8) -> np.ndarray:
    """Return anchors with a large mean, over the sizes, of the IoU with the best anchor.

    k-means with distance 1 - IoU (Redmon & Farhadi 2017, "YOLO9000", section 2), initialized by k-means++ (Arthur &
    Vassilvitskii 2007). Each run moves the centres to the median of their sizes until nothing changes, then to the
    mean; the best set of all runs wins.

    Args:
        sizes_wh: [N, 2]. At most 30,000 of them, drawn at random, are used.
        num_anchors: A.
        seed: Of all random numbers.
        restarts: Number of runs.

    Returns:
        float64 [A, 2], sorted by area.

    Raises:
        ValueError: For fewer distinct sizes than anchors.
    """
    sizes = checked_sizes(sizes_wh, "sizes")
    distinct = len(np.unique(sizes, axis=0))
    if num_anchors < 1 or distinct < num_anchors:
        raise ValueError(
            f"cannot make {num_anchors} anchors of {len(sizes)} boxes with {distinct} distinct sizes: "
            "give more boxes or ask for fewer anchors"
        )
    rng = np.random.default_rng(seed)
    if len(sizes) > _MAX_CLUSTERED:
        drawn = sizes[rng.choice(len(sizes), _MAX_CLUSTERED, replace=False)]
        sizes = drawn if len(np.unique(drawn, axis=0)) >= num_anchors else np.unique(sizes, axis=0)

    candidates = []
    for _ in range(restarts):
        by_median = _settle(sizes, _plus_plus(sizes, num_anchors, rng), np.median)
        candidates += [by_median, _settle(sizes, by_median, np.mean)]
    best = max(candidates, key=lambda centres: float(shape_iou(sizes, centres).max(axis=1).mean()))
    return best[np.lexsort((best[:, 0], best.prod(axis=1)))]


def cluster_rounded(sizes_wh, num_anchors: int, seed: int = 0) -> np.ndarray:
    """Return :func:`cluster_anchors` in hundredths of a pixel, which a file of anchors holds exactly."""
    return np.maximum(np.round(cluster_anchors(sizes_wh, num_anchors, seed), 2), _SMALLEST)


def _plus_plus(sizes: np.ndarray, num_anchors: int, rng: np.random.Generator) -> np.ndarray:
    """Return [A, 2] distinct sizes by k-means++: drawn with chances as the squared distance to those drawn before."""
    centres = sizes[rng.integers(len(sizes))][None]
    while len(centres) < num_anchors:
        distance = np.clip(1 - shape_iou(sizes, centres).max(axis=1), 0, None)
        distance[(sizes[:, None] == centres[None]).all(axis=2).any(axis=1)] = 0  # rounding may leave 1e-16
        chance = distance**2
        pick = rng.choice(len(sizes), p=chance / chance.sum())
        centres = np.append(centres, sizes[pick][None], axis=0)
    return centres


def _settle(sizes: np.ndarray, centres: np.ndarray, centre_of: Callable) -> np.ndarray:
    """Assign sizes and move centres until nothing changes; return the centres with the best mean IoU on the way."""
    best, best_iou, previous = centres, -1.0, None
    for _ in range(_MAX_ROUNDS):
        overlap = shape_iou(sizes, centres)  # [N, A]
        mean_iou = overlap.max(axis=1).mean()
        if mean_iou > best_iou:
            best, best_iou = centres, mean_iou
        owner = overlap.argmax(axis=1)
        if previous is not None and (owner == previous).all():
            break
        centres, previous = _moved(sizes, owner, overlap=overlap, centres=centres, centre_of=centre_of), owner
    return best


def _moved(sizes, owner, *, overlap, centres, centre_of) -> np.ndarray:
    """Return each centre moved to its sizes; one without sizes goes to the size that is served worst."""
    moved = centres.copy()
    served = overlap.max(axis=1)
    for index in range(len(centres)):
        mine = owner == index
        if mine.any():
            moved[index] = centre_of(sizes[mine], axis=0)
        else:
            worst = served.argmin()
            moved[index], served[worst] = sizes[worst], 1.0
    return moved


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors fit boxes, by the shape IoU of each box with its best anchor.

    Args:
        mean_iou: Mean over the boxes, 0..1.
        above_50: Share of the boxes, 0..1, for which it is at least .5.
        above_25: Share of the boxes, 0..1, for which it is at least .25.
        num_boxes: Number of boxes.
    """

    mean_iou: float
    above_50: float
    above_25: float
    num_boxes: int

    def __str__(self) -> str:
        return (
            f"average IoU {self.mean_iou:.3f}; of {self.num_boxes} boxes {self.above_50:.1%} reach .5 "
            f"and {self.above_25:.1%} reach .25"
        )


def anchor_fit(sizes_wh, anchors) -> AnchorFit:
    """Return how well anchors [A, 2] fit sizes [N, 2].

    Raises:
        ValueError: Without sizes or without anchors.
    """
    sizes, anchors = checked_sizes(sizes_wh, "sizes"), checked_sizes(anchors, "anchors")
    if not len(sizes) or not len(anchors):
        raise ValueError(f"anchor_fit: expected boxes and anchors, got {len(sizes)} boxes and {len(anchors)} anchors")
    parts = [sizes[start : start + _PART] for start in range(0, len(sizes), _PART)]
    best = np.concatenate([shape_iou(part, anchors).max(axis=1) for part in parts])  # [N]
    return AnchorFit(float(best.mean()), float((best >= 0.5).mean()), float((best >= 0.25).mean()), len(sizes))
