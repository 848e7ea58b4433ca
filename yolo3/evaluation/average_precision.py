"""Average precision the VOC, Darknet and COCO ways, and precision and recall at one score threshold.

Five conventions change a number between the well-known programs. Each is a field of :class:`Convention`, and the
well-known sets have names in :data:`CONVENTIONS`:

============ ============ =========== ======== ========================= ========== =======================
name         AP           IoU against unit     difficult objects         fallback   class without objects
============ ============ =========== ======== ========================= ========== =======================
``voc2007``  11 points    >=          edges    neither hit nor miss      no         left out of the mean
``voc2010``  every recall >=          edges    neither hit nor miss      no         left out of the mean
``darknet``  every recall >           edges    only if nothing else fits no         0
``coco``     101 points   >=          edges    only if nothing else fits yes        left out of the mean
============ ============ =========== ======== ========================= ========== =======================

*fallback*: may a detection whose best object is taken get the next best one? The VOC devkit measures inclusive pixel
coordinates (width = x_max - x_min + 1); readers here turn these into edges, which gives the same IoU. Set
``iou_offset=True`` for boxes that are still inclusive pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.evaluation.matching import check_choice, check_lists, concatenate, ground_truth_roles, match_detections

AP_METHODS = ("all_points", "11_points", "101_points")


@dataclass(frozen=True)
class Convention:
    """Hold the choices that change an average precision.

    Attributes:
        ap_method: One of :data:`AP_METHODS`.
        strict: IoU > threshold instead of >=.
        iou_offset: Boxes are inclusive pixels, so one pixel is added to width and height.
        fallback: A detection whose best object is taken may take the next best one.
        difficult: "ignore" (what matches it is neither hit nor false positive), "after" (the same, but ordinary
            objects are tried first), "count" (as any object), "drop" (as if not annotated).
        crowd: "ignore" (excuses any number of detections, overlap = intersection / area of the detection), "count"
            or "drop".
        max_detections: Best ones kept for each image and class, None for all.
        empty_class_is_zero: A class without objects enters the mean as 0 instead of being left out.
        ignored_is_false: Ignored detections are false positives in the figures at a score threshold (not in AP), as
            in Darknet.
    """

    ap_method: str = "all_points"
    strict: bool = False
    iou_offset: bool = False
    fallback: bool = False
    difficult: str = "ignore"
    crowd: str = "ignore"
    max_detections: int | None = None
    empty_class_is_zero: bool = False
    ignored_is_false: bool = False

    @property
    def matching(self) -> dict[str, Any]:
        """Return those of the choices that are options of :func:`yolo3.evaluation.matching.match_detections`."""
        names = ("strict", "iou_offset", "fallback", "difficult", "crowd", "max_detections")
        return {name: getattr(self, name) for name in names}


# VOC: VOCdevkit VOCevaldet.m. Darknet: AlexeyAB/darknet detector.c, validate_detector_map. COCO: cocoeval.py.
CONVENTIONS = {
    "voc2007": Convention(ap_method="11_points"),
    "voc2010": Convention(),
    "darknet": Convention(strict=True, difficult="after", empty_class_is_zero=True, ignored_is_false=True),
    "coco": Convention(ap_method="101_points", fallback=True, difficult="after", max_detections=100),
}


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Hold precision and recall as the score threshold falls: entry k is with the k + 1 best detections.

    Attributes:
        scores, precision, recall: float64 [K], scores falling.
        ap: Average precision, NaN without ground truth.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    ap: float = float("nan")

    @property
    def f1(self) -> np.ndarray:
        """Return the harmonic mean of precision and recall, [K], 0 where both are 0."""
        total = np.nan_to_num(self.precision + self.recall)
        return 2 * self.precision * np.nan_to_num(self.recall) / np.where(total > 0, total, 1)

    @property
    def best_threshold(self) -> float:
        """Return the score with the largest F1 (keep detections >= it); NaN when there are none."""
        return float(self.scores[np.argmax(self.f1)]) if len(self.scores) else float("nan")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Hold the result of :func:`evaluate_detections` for C classes.

    Attributes:
        class_names: C names.
        ap: float64 [C], NaN without ground truth.
        num_ground_truths: int [C], objects that a perfect detector finds.
        precision, recall, f1: float64 [C], of the detections with a score of at least ``score_threshold``; NaN where
            there are no detections or no objects to divide by.
        curves: C of :class:`PrecisionRecall`.
        mean: Mean average precision (mAP).
        overall: Curve of the detections of all classes.
        overall_precision, overall_recall, overall_f1: Of the detections of all classes at ``score_threshold``.
        average_iou: Darknet's: sum of the IoU of the hits / number of detections at ``score_threshold``.
        score_threshold, iou_threshold: As asked for.
    """

    class_names: tuple[str, ...]
    ap: np.ndarray
    num_ground_truths: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    curves: tuple[PrecisionRecall, ...]
    mean: float
    overall: PrecisionRecall
    overall_precision: float
    overall_recall: float
    overall_f1: float
    average_iou: float
    score_threshold: float
    iou_threshold: float


def precision_recall(
    true_positive, scores, num_ground_truths: int, method: str = "all_points", *, sort: bool = True
) -> PrecisionRecall:
    """Return precision and recall after each detection, best score first; equal scores keep their order.

    Args:
        true_positive: bool [K]; ignored detections are left out beforehand.
        scores: float [K].
        num_ground_truths: Objects that a perfect detector finds; recall and AP are NaN for 0.
        method: One of :data:`AP_METHODS`, see :func:`average_precision`.
        sort: False where the detections are ranked already.

    Returns:
        The curve, with its average precision.

    Raises:
        ValueError: For arrays of different lengths and an unknown method.
    """
    check_choice("method", method, AP_METHODS)
    flags, scores = np.asarray(true_positive, bool).reshape(-1), np.asarray(scores, np.float64).reshape(-1)
    if len(flags) != len(scores):
        counts = f"{len(flags)} flags and {len(scores)} scores"
        raise ValueError(f"precision_recall: expected a score for each flag, got {counts}")
    if sort:
        order = np.argsort(-scores, kind="stable")
        flags, scores = flags[order], scores[order]

    hits = np.cumsum(flags)
    precision = hits / np.arange(1, len(flags) + 1)
    if not num_ground_truths:
        return PrecisionRecall(scores=scores, precision=precision, recall=np.full(len(hits), np.nan))

    recall = hits / num_ground_truths
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # the last entry: recall never reached
    if method == "all_points":
        gains = np.diff(hits, prepend=0)  # divided at the end, so that perfect detections give 1 exactly
        ap = float(np.sum(gains * envelope[:-1]) / num_ground_truths)
    elif method == "11_points":
        # Whole numbers, because 3 / 10 >= .1 * 3 is false in floating point.
        ap = float(envelope[np.searchsorted(hits * 10, np.arange(11) * num_ground_truths)].mean())
    else:
        # cocoeval.py compares floating-point numbers; the same figures want the same comparison.
        ap = float(envelope[np.searchsorted(recall, np.linspace(0.0, 1.0, 101))].mean())
    return PrecisionRecall(scores=scores, precision=precision, recall=recall, ap=ap)


def average_precision(true_positive, scores, num_ground_truths: int, method: str = "all_points") -> float:
    """Return the average precision of one class.

    Methods, all on the envelope p(r), the largest precision at recall r or a higher one: ``all_points``, the area
    under it, sum of (r_k - r_{k-1}) p(r_k) (VOC 2010 and Darknet); ``11_points``, its mean at recall 0, .1, ... 1
    (VOC 2007); ``101_points``, its mean at 0, .01, ... 1 (COCO).

    Args:
        true_positive: bool [K], in any order.
        scores: float [K].
        num_ground_truths: Objects that a perfect detector finds.
        method: One of :data:`AP_METHODS`.

    Returns:
        0..1; NaN without ground truth, 0 without detections.
    """
    return precision_recall(true_positive, scores, num_ground_truths, method).ap


def evaluate_detections(
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    iou_threshold: float = 0.5,
    convention: str | Convention = "voc2010",
    score_threshold: float = 0.25,
) -> Evaluation:
    """Return average precision, precision, recall and F1 of all images at one IoU threshold.

    Args:
        ground_truths: One annotation per image.
        detections: One record per image, in the same order. AP uses all of them, so detect with a low score
            threshold (.005 is Darknet's).
        class_names: C names.
        iou_threshold: Least IoU of a hit, in (0, 1].
        convention: A name from :data:`CONVENTIONS` or a :class:`Convention`.
        score_threshold: Least score for precision, recall, F1 and the average IoU (.25 is Darknet's).

    Returns:
        The figures of each class and over all classes.

    Raises:
        ValueError: For lists of different lengths and class ids without a name.
    """
    if isinstance(convention, str):
        check_choice("convention", convention, tuple(CONVENTIONS))
        convention = CONVENTIONS[convention]
    check_lists(ground_truths, detections, len(class_names))

    matches = [
        match_detections(annotation, found, iou_threshold, **convention.matching)
        for annotation, found in zip(ground_truths, detections, strict=True)
    ]

    # The detections of all images, best score first.
    scores = concatenate([found.scores for found in detections], np.float64)
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]  # [K]
    class_ids = concatenate([found.class_ids for found in detections], np.int64)[order]
    true_positive = concatenate([match.true_positive for match in matches], bool)[order]
    ignored = concatenate([match.ignored for match in matches], bool)[order]
    iou = concatenate([match.iou for match in matches], np.float64)[order]

    num_ground_truths = count_ground_truths(ground_truths, convention, len(class_names))  # [C]

    def curve_of(chosen: np.ndarray, count) -> PrecisionRecall:
        return precision_recall(true_positive[chosen], scores[chosen], int(count), convention.ap_method, sort=False)

    curves = tuple(curve_of((class_ids == index) & ~ignored, count) for index, count in enumerate(num_ground_truths))
    ap = np.array([curve.ap for curve in curves], np.float64)
    known = np.nan_to_num(ap) if convention.empty_class_is_zero else ap[~np.isnan(ap)]

    # Figures of the detections that score enough.
    kept = scores >= np.float64(np.float32(score_threshold))  # a float32 score of .3 is above .3
    claimed = kept if convention.ignored_is_false else kept & ~ignored
    hits = np.bincount(class_ids[kept & true_positive], minlength=len(class_names))
    claims = np.bincount(class_ids[claimed], minlength=len(class_names))
    precision, recall, f1 = _ratios(hits, claims, num_ground_truths)
    overall = _ratios(hits.sum(), claims.sum(), num_ground_truths.sum())
    return Evaluation(
        class_names=tuple(class_names),
        ap=ap,
        num_ground_truths=num_ground_truths,
        precision=precision,
        recall=recall,
        f1=f1,
        curves=curves,
        mean=float(known.mean()) if len(known) else float("nan"),
        overall=curve_of(~ignored, num_ground_truths.sum()),
        overall_precision=float(overall[0]),
        overall_recall=float(overall[1]),
        overall_f1=float(overall[2]),
        average_iou=float(_divide(iou[kept & true_positive].sum(), claims.sum())),
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
    )


def count_ground_truths(ground_truths: Sequence[Annotation], convention: Convention, num_classes: int) -> np.ndarray:
    """Return int [C]: the objects of each class that a perfect detector finds under this convention."""
    ids = []
    for annotation in ground_truths:
        counted, _, _ = ground_truth_roles(annotation, convention.difficult, convention.crowd)
        ids.append(annotation.class_ids[counted])
    return np.bincount(concatenate(ids, np.int64), minlength=num_classes)


def _ratios(hits, claims, num_ground_truths):
    """Return precision, recall and F1 = 2 hits / (claims + objects), each NaN where its divisor is 0."""
    return (
        _divide(hits, claims),
        _divide(hits, num_ground_truths),
        _divide(2 * np.asarray(hits), claims + num_ground_truths),
    )


def _divide(a, b) -> np.ndarray:
    """Return a / b, NaN where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b > 0)
