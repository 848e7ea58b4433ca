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

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.boxes import area, intersection

AP_METHODS = ("all_points", "11_points", "101_points")
DIFFICULT_RULES = ("ignore", "after", "count", "drop")
CROWD_RULES = ("ignore", "count", "drop")
ERROR_KINDS = ("hit", "duplicate", "wrong_class", "badly_placed", "background")
SHOWN_SCORE = 0.3  # of a detection that people are shown, unless they ask for others
# Average precision wants the weak detections too: AlexeyAB/darknet's src/detector.c has about as low a threshold, .005.
AP_SCORE_THRESHOLD = 0.001
BADLY_PLACED_IOU = 0.1  # below it a detection counts as background: TIDE (Bolya et al. 2020), section 2.2


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
    envelope = np.append(
        np.maximum.accumulate(precision[::-1])[::-1], 0.0
    )  # the last entry: recall never reached
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
        _class_curve(flat, class_id, int(count), convention.ap_method)
        for class_id, count in enumerate(num_truths)
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


def _match_options(convention: Convention) -> dict:
    names = ("strict", "iou_offset", "fallback", "difficult", "crowd", "max_detections")
    return {name: getattr(convention, name) for name in names}


def _match_all(truths, detections, iou_threshold: float, convention: Convention) -> _Flat:
    options = _match_options(convention)
    matches = [
        match_detections(t, d, iou_threshold, **options) for t, d in zip(truths, detections, strict=True)
    ]
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
        np.asarray(t.class_ids).reshape(-1)[_truth_roles(t, convention.difficult, convention.crowd)[0]]
        for t in truths
    ]
    return np.bincount(_joined(ids, np.int64), minlength=num_classes)


def _curve_of(flat: _Flat, chosen: np.ndarray, num_truths: int, method: str) -> PrecisionRecall:
    return precision_recall(flat.true_positive[chosen], flat.scores[chosen], num_truths, method, sort=False)


def _class_curve(flat: _Flat, class_id: int, num_truths: int, method: str) -> PrecisionRecall:
    return _curve_of(flat, (flat.class_ids == class_id) & ~flat.ignored, num_truths, method)


def _mean_ap(ap: np.ndarray, empty_class_is_zero: bool) -> float:
    known = np.nan_to_num(ap) if empty_class_is_zero else ap[~np.isnan(ap)]
    return float(known.mean()) if len(known) else float("nan")


def _at_threshold(
    flat: _Flat, num_truths: np.ndarray, score_threshold: float, ignored_is_false: bool
) -> dict:
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


# ------------------------------------------------------------------------------------------------- COCO


def coco_results(truths: Sequence, detections: Sequence[Detections], class_names: Sequence[str]) -> dict:
    """Return COCO's twelve numbers as pycocotools has them, and three for each class; NaN without truths.

    Keys: ``AP`` (mean over IoU .5:.05:.95), ``AP50``, ``AP75``, ``AP_small`` (area up to 32 x 32 pixels),
    ``AP_medium``, ``AP_large`` (from 96 x 96), ``AR_1``, ``AR_10``, ``AR_100``, ``AR_small``, ``AR_medium``,
    ``AR_large``, and ``per_class``: name to ``{"AP", "AP50", "num_truths"}``. Crowds are COCO's; difficult
    truths excuse one detection and count for nothing. Areas are those of the boxes (COCO's own files carry
    segment areas: give these as ``truth.areas`` [M]).
    """
    _check_lists(truths, detections, len(class_names))
    result = _run_cocoeval(truths, detections, len(class_names))
    precision, recall = (
        result["precision"],
        result["recall"],
    )  # [T, R, C, area, max dets], [T, C, area, max dets]
    numbers: dict = {
        "AP": _valid_mean(precision[..., 0, -1]),
        "AP50": _valid_mean(precision[0, ..., 0, -1]),
        "AP75": _valid_mean(precision[5, ..., 0, -1]),
    }
    sizes = ("small", "medium", "large")
    numbers |= {f"AP_{size}": _valid_mean(precision[..., index, -1]) for index, size in enumerate(sizes, 1)}
    numbers |= {f"AR_{limit}": _valid_mean(recall[..., 0, index]) for index, limit in enumerate((1, 10, 100))}
    numbers |= {f"AR_{size}": _valid_mean(recall[..., index, -1]) for index, size in enumerate(sizes, 1)}
    counts = _count_truths(truths, CONVENTIONS["coco"], len(class_names))
    numbers["per_class"] = {
        name: {
            "AP": _valid_mean(precision[:, :, index, 0, -1]),
            "AP50": _valid_mean(precision[0, :, index, 0, -1]),
            "num_truths": int(counts[index]),
        }
        for index, name in enumerate(class_names)
    }
    return numbers


def _valid_mean(values: np.ndarray) -> float:
    """Return the mean without the -1 that cocoeval.py writes where truths lack; NaN if nothing is left."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float("nan")


def _run_cocoeval(truths, detections, num_classes: int) -> dict:
    """Run pycocotools in memory, without its prints; returns its arrays ``precision`` and ``recall``."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": index} for index in range(len(truths))]
    categories = [{"id": index} for index in range(num_classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (_coco_truths(truths), _coco_found(detections)):
            side = COCO()
            side.dataset = {"images": images, "categories": categories, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        evaluator = COCOeval(*sides, "bbox")
        evaluator.params.imgIds = list(range(len(truths)))
        evaluator.params.catIds = list(range(num_classes))
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval


def _coco_truths(truths) -> list[dict]:
    """Return COCO annotations, numbered from 1: to cocoeval.py a match with annotation 0 is no match."""
    records: list[dict] = []
    for image_id, truth in enumerate(truths):
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        areas = getattr(truth, "areas", None)
        areas = area(boxes) if areas is None else np.asarray(areas, np.float64)
        # cocoeval.py ignores truths outside the range of areas; no range has -1, so this says "difficult".
        areas = np.where(_flags(truth, "difficult"), -1.0, areas)
        crowds = _flags(truth, "crowd")
        for box, class_id, size, crowd in zip(boxes, truth.class_ids, areas, crowds, strict=True):
            record = _coco_record(image_id, box, class_id, len(records) + 1)
            records.append(record | {"area": float(size), "iscrowd": int(crowd)})
    return records


def _coco_found(detections: Sequence[Detections]) -> list[dict]:
    records: list[dict] = []
    for image_id, found in enumerate(detections):
        areas = area(found.boxes.astype(np.float64))
        for box, class_id, size, score in zip(found.boxes, found.class_ids, areas, found.scores, strict=True):
            record = _coco_record(image_id, box, class_id, len(records) + 1)
            records.append(record | {"area": float(size), "iscrowd": 0, "score": float(score)})
    return records


def _coco_record(image_id, box, class_id, number: int) -> dict:
    return {"id": number, "image_id": image_id, "category_id": int(class_id), "bbox": _xywh(box)}


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


# ------------------------------------------------------------------------------------------ what is wrong


def confusion_matrix(
    truths: Sequence,
    detections: Sequence[Detections],
    num_classes: int,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.25,
) -> np.ndarray:
    """Return int64 [C + 1, C + 1]: rows true classes, columns detected classes, the last of each background.

    Detections of the right class are paired first, so that the diagonal holds the hits; what is left, truths
    and detections of any class, is paired by falling score. Row C holds detections of nothing, column C
    truths that were missed. Difficult truths and crowds, and what lies on them, are left out.
    """
    _check_lists(truths, detections, num_classes)
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for truth, found in zip(truths, detections, strict=True):
        pairs = _confused_pairs(truth, _above(found, score_threshold), iou_threshold, num_classes)
        np.add.at(matrix, tuple(pairs), 1)
    return matrix


def _above(found: Detections, score_threshold: float) -> Detections:
    kept = found.scores >= np.float32(score_threshold)
    return Detections(found.boxes[kept], found.scores[kept], found.class_ids[kept])


def _confused_pairs(truth, found: Detections, iou_threshold: float, background: int) -> np.ndarray:
    """Return int [2, K]: true class and detected class of each pair in one image."""
    matches = match_detections(truth, found, iou_threshold, fallback=True, difficult="after")
    true_ids = np.asarray(truth.class_ids, np.int64).reshape(-1)
    hit = matches.true_positive
    left_truths = np.setdiff1d(np.flatnonzero(matches.counted), matches.truth_index[hit])
    left_found = np.flatnonzero(~hit & ~matches.ignored)
    overlap = _overlaps(truth, found, np.zeros(len(true_ids), bool))[np.ix_(left_found, left_truths)]
    order = np.argsort(-found.scores[left_found], kind="stable")
    everyone, no_one = np.ones(len(left_truths), bool), np.zeros(len(left_truths), bool)
    overlap = np.where(overlap >= iou_threshold, overlap, -1.0)
    paired, partner = _match_with_fallback(overlap, order, everyone, no_one, no_one)
    alone = np.setdiff1d(np.arange(len(left_truths)), partner[paired])
    rows = [true_ids[matches.truth_index[hit]], np.append(true_ids[left_truths], background)[partner]]
    columns = [found.class_ids[hit], found.class_ids[left_found]]
    rows.append(true_ids[left_truths[alone]])
    columns.append(np.full(len(alone), background))
    return np.stack([np.concatenate(rows), np.concatenate(columns)]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class ErrorKinds:
    """Where the errors are. Result of :func:`error_kinds`.

    ``detection_kinds``: for each image an array [N] of names from :data:`ERROR_KINDS` ("" for detections
    under the score threshold and for those that lie on difficult truths or crowds). ``missed``: for each
    image bool [M]. ``counts``: name to number over all images, with "missed".
    """

    detection_kinds: tuple[np.ndarray, ...]
    missed: tuple[np.ndarray, ...]
    counts: dict[str, int]


def error_kinds(
    truths: Sequence,
    detections: Sequence[Detections],
    iou_threshold: float = 0.5,
    score_threshold: float = 0.25,
) -> ErrorKinds:
    """Give each detection above the score threshold, and each truth that none explains, a kind.

    * ``hit``: the best-scored detection of a truth of its class, IoU >= threshold;
    * ``duplicate``: the same, but the truth has been hit already;
    * ``wrong_class``: IoU >= threshold with a truth of another class;
    * ``badly_placed``: IoU with a truth of its class from .1 up to the threshold;
    * ``background``: none of these;
    * ``missed``: a truth without a hit, a wrong class or a badly placed detection.

    A detection gets the first that fits. The kinds are those of TIDE (Bolya et al. 2020) but for its "both",
    which is background here.
    """
    images = [
        _error_kinds_of_image(truth, found, iou_threshold, score_threshold)
        for truth, found in zip(truths, detections, strict=True)
    ]
    kinds = tuple(kinds for kinds, _ in images)
    missed = tuple(missed for _, missed in images)
    every_kind = _joined(list(kinds), "U16")
    counts = {name: int((every_kind == name).sum()) for name in ERROR_KINDS}
    counts["missed"] = int(sum(flags.sum() for flags in missed))
    return ErrorKinds(kinds, missed, counts)


def _error_kinds_of_image(truth, found: Detections, iou_threshold: float, score_threshold: float):
    """Return the kinds [N] of the detections of one image and bool [M], which truths were missed."""
    named = found.scores >= np.float32(score_threshold)
    kept = _above(found, score_threshold)
    matches = match_detections(truth, kept, iou_threshold, fallback=True, difficult="after")
    overlap = np.where(matches.counted, _overlaps(truth, kept, np.zeros(len(matches.counted), bool)), 0.0)
    same = kept.class_ids[:, None] == np.asarray(truth.class_ids).reshape(-1)[None]
    conditions = {
        "hit": matches.true_positive[:, None]
        & (np.arange(len(matches.counted)) == matches.truth_index[:, None]),
        "duplicate": same & (overlap >= iou_threshold),
        "wrong_class": ~same & (overlap >= iou_threshold),
        "badly_placed": same & (overlap >= BADLY_PLACED_IOU),
    }
    kinds = np.select([c.any(axis=1) for c in conditions.values()], list(conditions), "background").astype(
        "U16"
    )
    kinds[matches.ignored] = ""
    explained = np.zeros(len(matches.counted), bool)
    for name in ("hit", "wrong_class", "badly_placed"):
        explained |= conditions[name][kinds == name].any(axis=0)
    all_kinds = np.full(len(found), "", "U16")
    all_kinds[named] = kinds
    return all_kinds, matches.counted & ~explained
