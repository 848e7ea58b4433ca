"""Match detections to ground truth: the rules of PASCAL VOC, COCO and Darknet.

Boxes are corner boxes in pixels of the original image with continuous edges (0 to 10 is ten pixels wide). Ground
truth and detections come as lists with one entry per image, in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.ops.boxes import area, intersection

DIFFICULT_RULES = ("ignore", "after", "count", "drop")
CROWD_RULES = ("ignore", "count", "drop")


@dataclass(frozen=True, eq=False)
class Matches:
    """Hold the detections of one image against its ground truth, in the order of the detections.

    Attributes:
        true_positive: bool [N], first to hit an object that counts.
        ignored: bool [N], neither hit nor false positive, because it lies on a difficult object or a crowd.
        ground_truth_index: int [N], the object that the detection overlaps enough, -1 for none. A duplicate names
            the object that another detection has taken.
        iou: float64 [N], IoU with that object, 0 for none.
        counted: bool [M], the objects that a perfect detector finds.
    """

    true_positive: np.ndarray
    ignored: np.ndarray
    ground_truth_index: np.ndarray
    iou: np.ndarray
    counted: np.ndarray


def match_detections(
    ground_truth: Annotation,
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
    """Match the detections of one image to its ground truth, best score first, each class by itself.

    Equal scores keep their order. Of equal overlaps the first object is taken (with ``fallback`` the last, as in
    cocoeval.py).

    Args:
        ground_truth: Boxes [M, 4], class ids, difficult and crowd [M] of the image.
        detections: Boxes [N, 4], scores and class ids [N] of the image.
        iou_threshold: Least IoU of a match, in (0, 1].
        strict, iou_offset, fallback, difficult, crowd, max_detections: As in
            :class:`yolo3.evaluation.average_precision.Convention`.

    Returns:
        The :class:`Matches` of the image.

    Raises:
        ValueError: For a threshold outside (0, 1] and for unknown rules.
    """
    check_choice("difficult", difficult, DIFFICULT_RULES)
    check_choice("crowd", crowd, CROWD_RULES)
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold: expected a number above 0 and up to 1, got {iou_threshold}")
    counted, excusing, crowds = ground_truth_roles(ground_truth, difficult, crowd)

    # -1 between different classes and below the threshold
    iou = overlaps(ground_truth, detections, crowds, iou_offset)  # [N, M]
    enough = iou > iou_threshold if strict else iou >= iou_threshold
    same_class = detections.class_ids[:, None] == ground_truth.class_ids[None]
    overlap = np.where(enough & same_class, iou, -1.0)

    order = np.argsort(-detections.scores, kind="stable")
    first = counted | (excusing & ~crowds) if difficult == "ignore" else counted
    assign = assign_with_fallback if fallback else _assign_to_best
    hit, index = assign(overlap, order=order, first=first, later=excusing & ~first, reusable=crowds)

    # The entry that index -1 finds at the end of these says "no object".
    true_positive = hit & np.append(counted, False)[index]
    ignored = np.append(excusing, False)[index]
    iou_of_match = np.append(overlap, np.zeros((len(detections), 1)), axis=1)[np.arange(len(detections)), index]

    if max_detections is not None:
        for class_id in np.unique(detections.class_ids):
            ranked = order[detections.class_ids[order] == class_id]
            ignored[ranked[max_detections:]] = True
    return Matches(
        true_positive=true_positive & ~ignored,
        ignored=ignored,
        ground_truth_index=index,
        iou=iou_of_match,
        counted=counted,
    )


def ground_truth_roles(
    ground_truth: Annotation, difficult: str, crowd: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which objects of an image count and which excuse the detections on them.

    Args:
        ground_truth: The M objects of the image.
        difficult: One of :data:`DIFFICULT_RULES`.
        crowd: One of :data:`CROWD_RULES`.

    Returns:
        Three bool [M]: the objects to be found, those that excuse detections, and the crowds among the latter.
    """
    is_crowd, is_difficult = ground_truth.crowd, ground_truth.difficult
    dropped = (is_crowd & (crowd == "drop")) | (is_difficult & (difficult == "drop"))
    crowds = is_crowd & (crowd == "ignore") & ~dropped
    excusing = (crowds | (is_difficult & (difficult in ("ignore", "after")))) & ~dropped
    return ~excusing & ~dropped, excusing, crowds


def overlaps(
    ground_truth: Annotation, detections: Detections, crowds: np.ndarray | None = None, iou_offset: bool = False
) -> np.ndarray:
    """Return the overlap of each detection of an image with each of its objects, whatever their classes.

    Args:
        ground_truth: The M objects of the image.
        detections: The N detections of the image.
        crowds: bool [M], objects whose overlap is intersection / area of the detection, as COCO has it.
        iou_offset: Whether boxes are inclusive pixels, so that one pixel is added to width and height.

    Returns:
        float64 [N, M], 0..1: IoU, 0 between boxes without area.
    """
    offset = [0, 0, iou_offset, iou_offset]
    detected = detections.boxes.astype(np.float64) + offset  # [N, 4]
    true = ground_truth.boxes.astype(np.float64) + offset  # [M, 4]

    common = intersection(detected[:, None], true[None])  # [N, M]
    detected_area = area(detected)[:, None]
    union = detected_area + area(true)[None] - common
    divisor = union if crowds is None else np.where(crowds, detected_area, union)
    return np.divide(common, divisor, out=np.zeros_like(common), where=divisor > 0)


def assign_with_fallback(
    overlap: np.ndarray, *, order: np.ndarray, first: np.ndarray, later: np.ndarray, reusable: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give each detection the best object that is still free, as cocoeval.py does.

    Args:
        overlap: float64 [N, M], negative where detection and object must not be matched.
        order: int [N], the detections in the order in which they choose.
        first: bool [M], the objects that are tried first.
        later: bool [M], those that are tried where none of ``first`` is left.
        reusable: bool [M], objects that any number of detections may take.

    Returns:
        bool [N], whether the detection was given an object, and int [N], its index, -1 for none.
    """
    num_detections, num_objects = overlap.shape
    hit, index = np.zeros(num_detections, bool), np.full(num_detections, -1)
    if not num_objects:
        return hit, index

    free = np.ones(num_objects, bool)
    matching = overlap.max(axis=1) >= 0
    for detection in order[matching[order]]:
        for allowed in (first, later):
            candidates = np.where(allowed & free, overlap[detection], -1.0)
            best = num_objects - 1 - int(candidates[::-1].argmax())  # the last of equal ones, as cocoeval.py
            if candidates[best] >= 0:
                hit[detection], index[detection] = True, best
                free[best] = reusable[best]
                break
    return hit, index


def _assign_to_best(
    overlap: np.ndarray, *, order: np.ndarray, first: np.ndarray, later: np.ndarray, reusable: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Match each detection with its best object only, as VOC and Darknet do; the first detection hits it.

    Arguments and result are those of :func:`assign_with_fallback`, but duplicates name the object they overlap.
    """
    index = np.full(len(overlap), -1)
    for allowed in (later, first):  # an object of ``first`` replaces one of ``later``
        if allowed.any():
            masked = np.where(allowed, overlap, -1.0)
            index = np.where(masked.max(axis=1) >= 0, masked.argmax(axis=1), index)

    _, earliest = np.unique(index[order], return_index=True)
    hit = np.zeros(len(overlap), bool)
    hit[order[earliest]] = True
    return hit & (index >= 0), index


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``ValueError`` unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_lists(ground_truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int) -> None:
    """Raise ``ValueError`` for lists of different lengths and for class ids that are not 0 to C - 1."""
    if len(ground_truths) != len(detections):
        raise ValueError(
            "expected ground truth and detections of the same images, "
            f"got {len(ground_truths)} images with ground truth and {len(detections)} with detections"
        )

    for kind, records in (("ground truth", ground_truths), ("detections", detections)):
        ids = concatenate([record.class_ids for record in records], np.int64)
        if len(ids) and (ids.min() < 0 or ids.max() >= num_classes):
            wrong = ids[(ids < 0) | (ids >= num_classes)][0]
            raise ValueError(f"{kind}: expected class ids 0 to {num_classes - 1}, got {wrong}")


def concatenate(arrays: Sequence[np.ndarray], dtype) -> np.ndarray:
    """Return arrays [K_i] as one array [sum K_i] of this dtype; none gives an empty one."""
    return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(0, dtype)
