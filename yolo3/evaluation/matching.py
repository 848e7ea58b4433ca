"""Match detections to ground truth: the rules of PASCAL VOC, COCO and Darknet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.detections import Detections
from yolo3.ops.boxes import area, intersection

DIFFICULT_RULES = ("ignore", "after", "count", "drop")
CROWD_RULES = ("ignore", "count", "drop")


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections of one image against its truths, in the order of the detections.

    ``true_positive``: bool [N], first to hit an ordinary truth. ``ignored``: bool [N], neither hit nor false
    (difficult, crowd). ``truth_index``: int [N], the truth that the detection overlaps enough, -1 for none (a
    duplicate names the truth that another has taken). ``iou``: float64 [N] with that truth, else 0.
    ``counted``: bool [M], the truths that a perfect detector finds.
    """

    true_positive: np.ndarray
    ignored: np.ndarray
    truth_index: np.ndarray
    iou: np.ndarray
    counted: np.ndarray


# --------------------------------------------------------------------------------------------- matching


def match_detections(
    truth,
    detections: Detections,
    iou_threshold: float = 0.5,
    *,
    strict: bool = False,
    iou_offset: bool = False,
    fallback: bool = False,
    difficult: str = "ignore",
    crowd: str = "ignore",
    max_detections: int | None = None,
) -> Matches:
    """Match the detections of one image to its truths, best score first, each class by itself.

    ``truth`` has ``boxes`` [M, 4], ``class_ids`` [M] and, if any, ``difficult`` [M] and ``crowd`` [M]. The
    options are those of :class:`Convention`. Equal scores keep their order; of equal overlaps the first truth
    is taken (with ``fallback`` the last, as cocoeval.py does). Raises ``ValueError`` for a threshold outside
    (0, 1] and unknown rules.
    """
    _check_choice("difficult", difficult, DIFFICULT_RULES)
    _check_choice("crowd", crowd, CROWD_RULES)
    _check_threshold(iou_threshold)
    counted, aside, crowded = _truth_roles(truth, difficult, crowd)
    overlap = _class_overlaps(truth, detections, crowded, iou_offset)  # [N, M]
    overlap = np.where((overlap > iou_threshold) if strict else (overlap >= iou_threshold), overlap, -1.0)
    order = np.argsort(-detections.scores, kind="stable")
    first = counted | (aside & ~crowded) if difficult == "ignore" else counted
    later = aside & ~first
    match = _match_with_fallback if fallback else _match_best_only
    hit, truth_index = match(overlap, order, first, later, crowded)
    true_positive = hit & np.append(counted, False)[truth_index]
    ignored = np.append(aside, False)[truth_index]
    ignored |= ~_best_of_class(detections, order, max_detections)
    overlap = np.append(overlap, np.zeros((len(detections), 1)), axis=1)
    iou = overlap[np.arange(len(detections)), truth_index]
    return Matches(true_positive & ~ignored, ignored, truth_index, iou, counted)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def _check_threshold(iou_threshold: float) -> None:
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold: expected a number above 0 and up to 1, got {iou_threshold}")


def _flags(truth, name: str) -> np.ndarray:
    """Return the bool [M] attribute of the truth, all False where it has none."""
    values = getattr(truth, name, None)
    return np.zeros(len(truth.boxes), bool) if values is None else np.asarray(values, bool).reshape(-1)


def _truth_roles(truth, difficult: str, crowd: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bool [M] each: truths to be found, those that excuse detections, and the crowds among these."""
    is_crowd, is_difficult = _flags(truth, "crowd"), _flags(truth, "difficult")
    dropped = (is_crowd & (crowd == "drop")) | (is_difficult & (difficult == "drop"))
    crowded = is_crowd & (crowd == "ignore") & ~dropped
    aside = (crowded | (is_difficult & (difficult in ("ignore", "after")))) & ~dropped
    return ~aside & ~dropped, aside, crowded


def _overlaps(truth, detections: Detections, crowded: np.ndarray, iou_offset: bool = False) -> np.ndarray:
    """Return float64 [N, M]: IoU, and for crowds intersection / area of the detection."""
    found = np.asarray(detections.boxes, np.float64).reshape(-1, 4) + [0, 0, iou_offset, iou_offset]
    true = np.asarray(truth.boxes, np.float64).reshape(-1, 4) + [0, 0, iou_offset, iou_offset]
    common = intersection(found[:, None], true[None])
    found_area = area(found)[:, None]
    whole = np.where(crowded, found_area, found_area + area(true)[None] - common)
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _class_overlaps(truth, detections: Detections, crowded: np.ndarray, iou_offset: bool) -> np.ndarray:
    """Return :func:`_overlaps` with -1 between different classes."""
    same = detections.class_ids[:, None] == np.asarray(truth.class_ids).reshape(-1)[None]
    return np.where(same, _overlaps(truth, detections, crowded, iou_offset), -1.0)


def _match_best_only(overlap, order, first, later, crowded):
    """VOC and Darknet: each detection looks at its best truth only; the first one there hits.

    Returns bool [N] hits and int [N] truth indices (-1: none). ``later`` truths are tried where no ``first``
    one fits; one truth may excuse many detections.
    """
    truth_index = _best_truth(overlap, first)
    spare = _best_truth(overlap, later)
    truth_index = np.where(truth_index < 0, spare, truth_index)
    ranked = truth_index[order]
    _, earliest = np.unique(ranked, return_index=True)
    hit = np.zeros(len(order), bool)
    hit[order[earliest]] = True
    return hit & (truth_index >= 0), truth_index


def _best_truth(overlap: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return int [N]: the allowed truth with the largest overlap, -1 where none is above the threshold."""
    if not allowed.any():
        return np.full(len(overlap), -1)
    masked = np.where(allowed, overlap, -1.0)
    best = masked.argmax(axis=1)
    return np.where(masked[np.arange(len(best)), best] >= 0, best, -1)


def _match_with_fallback(overlap, order, first, later, crowded):
    """COCO: each detection takes the best truth that is still free; crowds are never used up.

    Returns as :func:`_match_best_only`; a detection that finds everything taken has truth -1, as one that
    finds nothing.
    """
    num_detections, num_truths = overlap.shape
    hit, truth_index = np.zeros(num_detections, bool), np.full(num_detections, -1)
    free = np.ones(num_truths, bool)
    for detection in order[(overlap >= 0).any(axis=1)[order]] if num_truths else ():
        for allowed in (first, later):
            candidates = np.where(allowed & free, overlap[detection], -1.0)
            best = num_truths - 1 - int(candidates[::-1].argmax())
            if candidates[best] >= 0:
                hit[detection], truth_index[detection] = True, best
                free[best] = crowded[best]
                break
    return hit, truth_index


def _best_of_class(detections: Detections, order: np.ndarray, max_detections: int | None) -> np.ndarray:
    """Return bool [N]: is the detection among the best ``max_detections`` of its class?"""
    keep = np.ones(len(order), bool)
    if max_detections is None or len(order) <= max_detections:
        return keep
    for class_id in np.unique(detections.class_ids):
        ranked = order[detections.class_ids[order] == class_id]
        keep[ranked[max_detections:]] = False
    return keep


def _check_lists(truths: Sequence, detections: Sequence[Detections], num_classes: int) -> None:
    if len(truths) != len(detections):
        raise ValueError(
            "expected truths and detections of the same images, "
            f"got {len(truths)} images with truths and {len(detections)} with detections"
        )
    for kind, records in (("truths", truths), ("detections", detections)):
        ids = _joined([np.asarray(record.class_ids).reshape(-1) for record in records], np.int64)
        if len(ids) and (ids.min() < 0 or ids.max() >= num_classes):
            wrong = ids[(ids < 0) | (ids >= num_classes)][0]
            raise ValueError(f"{kind}: expected class ids 0 to {num_classes - 1}, got {wrong}")


def _joined(arrays: list, dtype) -> np.ndarray:
    return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(0, dtype)
