"""All that is said of one evaluation, measured once: COCO's figures, those at one score, and where the errors are.

Truths and detections are those of :mod:`yolo3.evaluation.average_precision`: one entry an image, corner boxes in pixels of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.detections import SHOWN_SCORE, Detections
from yolo3.evaluation.average_precision import Evaluation, PrecisionRecall, evaluate_detections
from yolo3.evaluation.coco import coco_results
from yolo3.evaluation.errors import ErrorKinds, confusion_matrix, error_kinds
from yolo3.evaluation.matching import Matches, match_detections
from yolo3.ops.boxes import area, pairwise_iou

SIZES = {"small": (0, 32), "medium": (32, 96), "large": (96, np.inf)}  # sides in pixels: cocoeval.py's areas, rooted
KINDS = ("missed", "wrong_class", "badly_placed", "duplicate", "background")  # as a report tells them


@dataclass(frozen=True, eq=False)
class Measures:
    """What :func:`measure` found. K detections, T truths that count (neither difficult nor crowd), C classes.

    ``coco``: :func:`yolo3.evaluation.coco.coco_results`. ``fixed``: its convention at ``iou_threshold``, with precision,
    recall and F1 of the detections that score at least ``score_threshold``. ``kinds``, ``confusion`` [C + 1, C + 1]:
    the errors of these. ``matches``: one an image, all scores. Over all images and scores: ``scores`` [K] and
    ``hit`` bool [K] of the detections that count; ``sides`` [T], root of the area in pixels, and ``found`` bool [T],
    hit by a detection that scores enough. ``num_hits``, ``num_false``, ``num_lost`` [C]: at the threshold.
    ``background_scores``: for each image the scores of the detections where nothing is annotated.
    """

    class_names: tuple[str, ...]
    score_threshold: float
    iou_threshold: float
    coco: dict
    fixed: Evaluation
    kinds: ErrorKinds
    confusion: np.ndarray
    matches: tuple[Matches, ...]
    scores: np.ndarray
    hit: np.ndarray
    sides: np.ndarray
    found: np.ndarray
    num_hits: np.ndarray
    num_false: np.ndarray
    num_lost: np.ndarray
    background_scores: tuple[np.ndarray, ...]

    @property
    def hit_iou(self) -> float:
        """Mean IoU of the hits at the threshold; NaN without any. Darknet's divides by all detections instead."""
        share = self.fixed.overall_precision
        return self.fixed.average_iou / share if share > 0 else float("nan")

    @property
    def best(self) -> tuple[float, float, float, float]:
        """The score with the largest F1 over all classes, and precision, recall and F1 there; NaN without any hit."""
        return best_point(self.fixed.overall)

    def at_score(self) -> dict:
        """Return the figures at the threshold as plain numbers: ``score``, ``precision``, ``recall``, ``F1``, ..."""
        return {
            "score": self.score_threshold,
            "precision": self.fixed.overall_precision,
            "recall": self.fixed.overall_recall,
            "F1": self.fixed.overall_f1,
            "average_iou": self.fixed.average_iou,
            "errors": {kind: self.kinds.counts[kind] for kind in KINDS},
            "best_score": self.best[0],
            "best_F1": self.best[3],
        }


@dataclass(frozen=True, eq=False)
class ImageError:
    """One error in one image: its kind of :data:`KINDS`, the box to look at (xyxy pixels), and the numbers of it.

    ``class_id``: said, or missed. ``score``: NaN for missed. ``truth_id`` and ``iou``: class of the truth that the box
    overlaps most and by how much, -1 and 0 for none.
    """

    kind: str
    box: np.ndarray
    class_id: int
    score: float = float("nan")
    truth_id: int = -1
    iou: float = 0.0


def measure(
    truths: Sequence,
    detections: Sequence[Detections],
    class_names: Sequence[str],
    score_threshold: float = SHOWN_SCORE,
    iou_threshold: float = 0.5,
) -> Measures:
    """Return all figures of an evaluation; ``detections`` with low scores too, because average precision wants them."""
    num_classes = len(class_names)
    fixed = evaluate_detections(truths, detections, class_names, iou_threshold, "coco", score_threshold)
    matches = tuple(
        match_detections(truth, found, iou_threshold, fallback=True, difficult="after", max_detections=100)
        for truth, found in zip(truths, detections, strict=True)
    )
    kept = _joined([~match.ignored for match in matches], bool)
    scores = _joined([found.scores for found in detections], np.float32)[kept]
    ids = _joined([found.class_ids for found in detections], np.int64)[kept]
    hit = _joined([match.true_positive for match in matches], bool)[kept]
    enough = scores >= np.float32(score_threshold)
    kinds = error_kinds(truths, detections, iou_threshold, score_threshold)
    num_hits = np.bincount(ids[hit & enough], minlength=num_classes)
    return Measures(
        class_names=tuple(class_names),
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        coco=coco_results(truths, detections, class_names),
        fixed=fixed,
        kinds=kinds,
        confusion=confusion_matrix(truths, detections, num_classes, iou_threshold, score_threshold),
        matches=matches,
        scores=scores,
        hit=hit,
        sides=_joined([np.sqrt(area(t.boxes[m.counted])) for t, m in zip(truths, matches)], np.float64),
        found=_joined([found_truths(m, d, score_threshold)[m.counted] for m, d in zip(matches, detections)], bool),
        num_hits=num_hits,
        num_false=np.bincount(ids[~hit & enough], minlength=num_classes),
        num_lost=fixed.num_truths - num_hits,
        background_scores=tuple(
            found.scores[names == "background"] for found, names in zip(detections, kinds.detection_kinds)
        ),
    )


def at_thresholds(curve: PrecisionRecall) -> np.ndarray:
    """Return float64 [4, S]: score, precision, recall and F1 where the detections with this score or more are kept.

    Scores fall; each stands once, because of detections with the same score a threshold keeps all or none.
    """
    last_of_score = np.append(np.diff(curve.scores) != 0, True)[: len(curve.scores)]
    return np.stack([curve.scores, curve.precision, curve.recall, curve.f1])[:, last_of_score]


def best_point(curve: PrecisionRecall) -> tuple[float, float, float, float]:
    """Return the score with the largest F1, and precision, recall and F1 there; NaN without any hit."""
    points = at_thresholds(curve)
    if not points[3].max(initial=0) > 0:
        return (float("nan"),) * 4
    score, precision, recall, f1 = (float(value) for value in points[:, points[3].argmax()])
    return score, precision, recall, f1


def _joined(arrays: list, dtype) -> np.ndarray:
    return np.concatenate(arrays).astype(dtype) if arrays else np.zeros(0, dtype)


def found_truths(matches: Matches, detections: Detections, score_threshold: float) -> np.ndarray:
    """Return bool [M]: the truths of an image that a detection hits with at least this score."""
    found = np.zeros(len(matches.counted), bool)
    found[matches.truth_index[matches.true_positive & (detections.scores >= np.float32(score_threshold))]] = True
    return found


def found_by_size(measures: Measures) -> dict[str, tuple[int, int]]:
    """Return for "small", "medium" and "large" how many truths were found, and how many there are."""
    sides, found = measures.sides, measures.found
    groups = {name: (sides >= low) & (sides < high) for name, (low, high) in SIZES.items()}
    return {name: (int(found[group].sum()), int(group.sum())) for name, group in groups.items()}


def confusions(measures: Measures) -> list[tuple[int, int, int]]:
    """Return (true class, class said, how often) where one class is taken for another, the most frequent first."""
    between = measures.confusion[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    rows, columns = np.nonzero(between)
    order = np.argsort(-between[rows, columns], kind="stable")
    return [(int(rows[i]), int(columns[i]), int(between[rows[i], columns[i]])) for i in order]


def image_costs(measures: Measures, detections: Sequence[Detections]) -> np.ndarray:
    """Return float64 [images]: 1 for each truth that was not found, and the score of each false detection."""
    costs = []
    for matches, found in zip(measures.matches, detections, strict=True):
        lost = matches.counted & ~found_truths(matches, found, measures.score_threshold)
        false = (found.scores >= np.float32(measures.score_threshold)) & ~matches.true_positive & ~matches.ignored
        costs.append(lost.sum() + found.scores[false].sum(dtype=np.float64))
    return np.array(costs, np.float64)


def image_errors(measures: Measures, index: int, truth, found: Detections) -> list[ImageError]:
    """Return the errors of the image with this index, the missed objects first, then the surest mistakes."""
    kinds, missed = measures.kinds.detection_kinds[index], measures.kinds.missed[index]
    errors = [ImageError("missed", truth.boxes[i], int(truth.class_ids[i])) for i in np.flatnonzero(missed)]
    wrong = [row for row in np.argsort(-found.scores, kind="stable") if kinds[row] in KINDS]
    overlap = np.where(measures.matches[index].counted, pairwise_iou(found.boxes, truth.boxes), 0.0)  # [N, M]
    same = found.class_ids[:, None] == np.asarray(truth.class_ids)[None]
    for row in wrong:
        kind = str(kinds[row])
        about = np.where(same[row], overlap[row], 0.0) if kind in ("duplicate", "badly_placed") else overlap[row]
        near = np.append(about, 0.0)  # the last entry: no truth at all
        best = int(near.argmax())
        truth_id = int(truth.class_ids[best]) if near[best] > 0 else -1
        score, class_id = float(found.scores[row]), int(found.class_ids[row])
        errors.append(ImageError(kind, found.boxes[row], class_id, score, truth_id, float(near[best])))
    return errors
