"""Match detections to truth; average precision the VOC, Darknet and COCO ways; confusion and kinds of error.

Boxes are corner boxes in pixels of the original image with continuous edges (0 to 10 is ten pixels wide).
Truths and detections come as lists with one entry an image, in the same order. Five conventions change a
number between the well-known programs; each is a field of :class:`Convention`, and the well-known sets have
names in :data:`CONVENTIONS`:

============ ============ =========== ======== ========================= ========== =====================
name         AP           IoU against unit     difficult truths          second     class without truths
============ ============ =========== ======== ========================= ========== =====================
``voc2007``  11 points    >=          edges    neither hit nor miss      no         left out of the mean
``voc2010``  every recall >=          edges    neither hit nor miss      no         left out of the mean
``darknet``  every recall >           edges    only if nothing else fits no         0
``coco``     101 points   >=          edges    only if nothing else fits yes        left out of the mean
============ ============ =========== ======== ========================= ========== =====================

*second*: may a detection whose best truth is taken fall back to the next best? The VOC devkit measures
inclusive pixel coordinates (width = x_max - x_min + 1); readers here turn these into edges, which gives the
same IoU. Set ``iou_offset=True`` for boxes that are still inclusive pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.detections import Detections
from yolo3.evaluation.matching import _check_choice, _check_lists, _joined, _truth_roles, match_detections

AP_METHODS = ("all_points", "11_points", "101_points")


@dataclass(frozen=True)
class Convention:
    """The choices that change an average precision.

    ``ap_method``: one of :data:`AP_METHODS`. ``strict``: IoU > threshold instead of >=. ``iou_offset``: boxes
    are inclusive pixels, so one pixel is added to width and height. ``fallback``: a detection whose best
    truth is taken may take the next best one. ``difficult``: "ignore" (what matches it is neither hit nor
    false), "after" (the same, but ordinary truths are tried first), "count" (as any truth), "drop" (as if not
    annotated). ``crowd``: "ignore" (swallows any number of detections, overlap = intersection / area of the
    detection), "count" or "drop". ``max_detections``: best ones kept for each image and class, None for
    all. ``empty_class_is_zero``: a class without truths enters the mean as 0 instead of being left out.
    ``ignored_is_false``: ignored detections are false ones in the figures at a fixed threshold (not in AP),
    as Darknet has it.
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


# VOC: VOCdevkit VOCevaldet.m. Darknet: AlexeyAB/darknet detector.c, validate_detector_map. COCO: cocoeval.py.
CONVENTIONS = {
    "voc2007": Convention(ap_method="11_points"),
    "voc2010": Convention(),
    "darknet": Convention(strict=True, difficult="after", empty_class_is_zero=True, ignored_is_false=True),
    "coco": Convention(ap_method="101_points", fallback=True, difficult="after", max_detections=100),
}


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall as the score threshold falls: entry k is with the k+1 best detections.

    ``scores``, ``precision``, ``recall``: float64 [K], scores falling. ``ap``: average precision, NaN without
    truths.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    ap: float = float("nan")

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall [K], 0 where both are 0."""
        total = np.nan_to_num(self.precision + self.recall)
        return 2 * self.precision * np.nan_to_num(self.recall) / np.where(total > 0, total, 1)

    @property
    def best_threshold(self) -> float:
        """Score with the largest F1 (keep detections >= it); NaN when there are none."""
        return float(self.scores[np.argmax(self.f1)]) if len(self.scores) else float("nan")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of :func:`evaluate_detections`.

    For each class [C]: ``ap`` (NaN without truths), ``num_truths``, and ``precision``, ``recall``, ``f1`` of
    the detections with a score of at least ``score_threshold`` (NaN where nothing was asked or said).
    ``curves``: one :class:`PrecisionRecall` for each class. Over all classes: ``mean`` (mAP), ``overall``
    (curve of all detections pooled), ``overall_precision``, ``overall_recall``, ``overall_f1``, and
    ``average_iou``, Darknet's: sum of the IoU of the hits / number of detections at the threshold.
    """

    class_names: tuple[str, ...]
    ap: np.ndarray
    num_truths: np.ndarray
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


# ------------------------------------------------------------------------------------ average precision


def precision_recall(
    true_positive, scores, num_truths: int, method: str = "all_points", *, sort: bool = True
) -> PrecisionRecall:
    """Return precision and recall after each detection, best score first; equal scores keep their order.

    ``true_positive``: bool [K]; ``scores``: float [K]; ignored detections are left out beforehand. Recall is
    NaN when there are no truths. ``method`` is that of the curve's ``ap``. ``sort=False``: they are ranked
    already.
    """
    _check_choice("method", method, AP_METHODS)
    flags, scores = np.asarray(true_positive, bool).reshape(-1), np.asarray(scores, np.float64).reshape(-1)
    if len(flags) != len(scores):
        counts = f"{len(flags)} flags and {len(scores)} scores"
        raise ValueError(f"precision_recall: expected a score for each flag, got {counts}")
    if sort:
        order = np.argsort(-scores, kind="stable")
        flags, scores = flags[order], scores[order]
    hits = np.cumsum(flags)
    precision = hits / np.arange(1, len(flags) + 1)
    recall = hits / num_truths if num_truths else np.full(len(hits), np.nan)
    return PrecisionRecall(scores, precision, recall, _area_under(hits, precision, num_truths, method))


def average_precision(true_positive, scores, num_truths: int, method: str = "all_points") -> float:
    """Return the average precision of one class, 0..1; NaN without truths, 0 without detections.

    ``true_positive``: bool [K], ``scores``: float [K], in any order. Methods, all on the envelope (largest
    precision at this recall or a higher one): ``all_points``, the area under it, sum of (r_k - r_{k-1})
    p(r_k) (VOC 2010 and Darknet); ``11_points``, its mean at recall 0, .1, ... 1 (VOC 2007); ``101_points``,
    its mean at 0, .01, ... 1 (COCO).
    """
    return precision_recall(true_positive, scores, num_truths, method).ap


def _area_under(hits: np.ndarray, precision: np.ndarray, num_truths: int, method: str) -> float:
    if not num_truths:
        return float("nan")
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # the last entry: recall never reached
    if method == "all_points":
        gains = np.diff(hits, prepend=0)  # divided at the end, so that perfect detections give 1 exactly
        return float(np.sum(gains * envelope[:-1]) / num_truths)
    if method == "11_points":
        # Whole numbers, because 3 / 10 >= .1 * 3 is false in floating point.
        reached = np.searchsorted(hits * 10, np.arange(11) * num_truths)
    else:
        # cocoeval.py compares floating-point numbers; the same figures want the same comparison.
        reached = np.searchsorted(hits / num_truths, np.linspace(0.0, 1.0, 101))
    return float(envelope[reached].mean())


# ------------------------------------------------------------------------------------------- evaluation


def evaluate_detections(
    truths: Sequence,
    detections: Sequence[Detections],
    class_names: Sequence[str],
    iou_threshold: float = 0.5,
    convention: str | Convention = "voc2010",
    score_threshold: float = 0.25,
) -> Evaluation:
    """Return average precision, precision, recall and F1 of all images at one IoU threshold.

    ``truths`` and ``detections``: one entry an image, in the same order. ``convention``: a name from
    :data:`CONVENTIONS` or a :class:`Convention`. AP uses all detections, so give them with a low score
    threshold (.005 is Darknet's); ``score_threshold`` (.25, Darknet's) is for precision, recall, F1 and the
    average IoU. Raises ``ValueError`` for lists of different lengths and class ids without a name.
    """
    convention = _named_convention(convention)
    _check_lists(truths, detections, len(class_names))
    flat = _match_all(truths, detections, iou_threshold, convention)
    num_truths = _count_truths(truths, convention, len(class_names))
    curves = tuple(
        _class_curve(flat, class_id, int(count), convention.ap_method) for class_id, count in enumerate(num_truths)
    )
    ap = np.array([curve.ap for curve in curves], np.float64)
    fixed = _at_threshold(flat, num_truths, score_threshold, convention.ignored_is_false)
    overall = _curve_of(flat, ~flat.ignored, int(num_truths.sum()), convention.ap_method)
    return Evaluation(
        class_names=tuple(class_names),
        ap=ap,
        num_truths=num_truths,
        curves=curves,
        mean=_mean_ap(ap, convention.empty_class_is_zero),
        overall=overall,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        **fixed,
    )


@dataclass(frozen=True, eq=False)
class _Flat:
    """Matched detections of all images, best score first: arrays [K]."""

    scores: np.ndarray
    class_ids: np.ndarray
    true_positive: np.ndarray
    ignored: np.ndarray
    iou: np.ndarray


def _named_convention(convention: str | Convention) -> Convention:
    if isinstance(convention, Convention):
        return convention
    _check_choice("convention", convention, tuple(CONVENTIONS))
    return CONVENTIONS[convention]


def _match_options(convention: Convention) -> dict:
    names = ("strict", "iou_offset", "fallback", "difficult", "crowd", "max_detections")
    return {name: getattr(convention, name) for name in names}


def _match_all(truths, detections, iou_threshold: float, convention: Convention) -> _Flat:
    options = _match_options(convention)
    matches = [match_detections(t, d, iou_threshold, **options) for t, d in zip(truths, detections, strict=True)]
    scores = _joined([d.scores for d in detections], np.float64)
    order = np.argsort(-scores, kind="stable")
    return _Flat(
        scores[order],
        _joined([d.class_ids for d in detections], np.int64)[order],
        _joined([m.true_positive for m in matches], bool)[order],
        _joined([m.ignored for m in matches], bool)[order],
        _joined([m.iou for m in matches], np.float64)[order],
    )


def _count_truths(truths, convention: Convention, num_classes: int) -> np.ndarray:
    """Return int [C]: truths of each class that a perfect detector finds."""
    ids = [
        np.asarray(t.class_ids).reshape(-1)[_truth_roles(t, convention.difficult, convention.crowd)[0]] for t in truths
    ]
    return np.bincount(_joined(ids, np.int64), minlength=num_classes)


def _curve_of(flat: _Flat, chosen: np.ndarray, num_truths: int, method: str) -> PrecisionRecall:
    return precision_recall(flat.true_positive[chosen], flat.scores[chosen], num_truths, method, sort=False)


def _class_curve(flat: _Flat, class_id: int, num_truths: int, method: str) -> PrecisionRecall:
    return _curve_of(flat, (flat.class_ids == class_id) & ~flat.ignored, num_truths, method)


def _mean_ap(ap: np.ndarray, empty_class_is_zero: bool) -> float:
    known = np.nan_to_num(ap) if empty_class_is_zero else ap[~np.isnan(ap)]
    return float(known.mean()) if len(known) else float("nan")


def _at_threshold(flat: _Flat, num_truths: np.ndarray, score_threshold: float, ignored_is_false: bool) -> dict:
    """Return the fields of :class:`Evaluation` that hold at one score threshold."""
    kept = flat.scores >= np.float64(np.float32(score_threshold))  # a float32 score of .3 is above .3
    said = kept if ignored_is_false else kept & ~flat.ignored
    num_classes = len(num_truths)
    hits = np.bincount(flat.class_ids[kept & flat.true_positive], minlength=num_classes)
    claims = np.bincount(flat.class_ids[said], minlength=num_classes)
    precision, recall, f1 = _ratios(hits, claims, num_truths)
    overall = _ratios(hits.sum(), claims.sum(), num_truths.sum())
    iou_sum = flat.iou[kept & flat.true_positive].sum()
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "overall_precision": float(overall[0]),
        "overall_recall": float(overall[1]),
        "overall_f1": float(overall[2]),
        "average_iou": float(_divide(iou_sum, claims.sum())),
    }


def _divide(a, b) -> np.ndarray:
    """Return a / b, NaN where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b > 0)


def _ratios(hits, claims, num_truths):
    """Return precision, recall and F1 = 2 hits / (claims + truths), each NaN where its divisor is 0."""
    return (
        _divide(hits, claims),
        _divide(hits, num_truths),
        _divide(2 * np.asarray(hits), claims + num_truths),
    )
