"""All figures of one evaluation, computed once: COCO's, those at one score threshold, and where the errors are.

Ground truth and detections are those of :mod:`yolo3.evaluation.matching`: one entry per image, corner boxes in pixels
of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.evaluation.average_precision import CONVENTIONS, Evaluation, PrecisionRecall, evaluate_detections
from yolo3.evaluation.coco import SIZES, coco_results
from yolo3.evaluation.errors import KINDS, ErrorKinds, confusion_matrix, error_kinds
from yolo3.evaluation.matching import Matches, concatenate, match_detections
from yolo3.ops.boxes import area, pairwise_iou
from yolo3.ops.nms_methods import SHOWN_SCORE

# Kinds of error whose keys in the JSON of `yolo3 evaluate` are older than their names here.
_JSON_KEYS = {"misclassified": "wrong_class", "localization": "badly_placed"}


@dataclass(frozen=True, eq=False)
class Measures:
    """Hold what :func:`measure` found in K detections and T objects that count, of C classes.

    Objects that count are neither difficult nor crowds; detections on those that do not count are left out.

    Attributes:
        class_names: C names.
        score_threshold, iou_threshold: Those of ``fixed``, ``kinds``, ``confusion`` and the counts.
        coco: Figures of :func:`yolo3.evaluation.coco.coco_results`.
        fixed: Figures by COCO's convention at ``iou_threshold``, with precision, recall and F1 of the detections
            that score at least ``score_threshold``.
        kinds: The kinds of error.
        confusion: int64 [C + 1, C + 1], rows true, columns detected, the last of each background.
        matches: One record per image, of all scores.
        scores: float32 [K], all scores of all images.
        hit: bool [K], whether the detection is a true positive.
        sides: float64 [T], root of the area of each object in pixels.
        found: bool [T], hit by a detection that scores at least ``score_threshold``.
        true_positives, false_positives, false_negatives: int [C], at the threshold.
        background_scores: For each image the scores of its detections on background.
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
    true_positives: np.ndarray
    false_positives: np.ndarray
    false_negatives: np.ndarray
    background_scores: tuple[np.ndarray, ...]

    @property
    def hit_iou(self) -> float:
        """Return the mean IoU of the hits at the threshold; NaN without any. Darknet's divides by all detections."""
        share = self.fixed.overall_precision
        return self.fixed.average_iou / share if share > 0 else float("nan")

    @property
    def best(self) -> tuple[float, float, float, float]:
        """Return :func:`best_point` over all classes."""
        return best_point(self.fixed.overall)

    def at_score(self) -> dict:
        """Return the figures at the threshold as plain numbers, as ``yolo3 evaluate --json`` writes them.

        Returns:
            ``score``, ``precision``, ``recall``, ``F1``, ``average_iou``, ``errors``, ``best_score`` and ``best_F1``.
            The keys of ``errors`` are those of earlier versions: ``missed``, ``wrong_class`` (misclassified),
            ``badly_placed`` (localization), ``duplicate`` and ``background``.
        """
        best_score, _, _, best_f1 = self.best
        return {
            "score": self.score_threshold,
            "precision": self.fixed.overall_precision,
            "recall": self.fixed.overall_recall,
            "F1": self.fixed.overall_f1,
            "average_iou": self.fixed.average_iou,
            "errors": {_JSON_KEYS.get(kind, kind): self.kinds.counts[kind] for kind in KINDS},
            "best_score": best_score,
            "best_F1": best_f1,
        }


def measure(
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    score_threshold: float = SHOWN_SCORE,
    iou_threshold: float = 0.5,
    by_size: bool = True,
) -> Measures:
    """Return all figures of an evaluation.

    Args:
        ground_truths: One annotation per image.
        detections: One record per image, in the same order, low scores included, because average precision needs
            them.
        class_names: C names.
        score_threshold: Least score for precision, recall, F1, errors and counts.
        iou_threshold: Least IoU of a hit, for the same figures.
        by_size: Whether COCO's figures of objects by size are among them, which take most of the time.

    Returns:
        The figures.

    Raises:
        ValueError: For lists of different lengths and class ids without a name.
    """
    fixed = evaluate_detections(
        ground_truths,
        detections,
        class_names,
        iou_threshold=iou_threshold,
        convention="coco",
        score_threshold=score_threshold,
    )
    thresholds = {"iou_threshold": iou_threshold, "score_threshold": score_threshold}
    kinds = error_kinds(ground_truths, detections, **thresholds)
    matches = tuple(
        match_detections(annotation, found, iou_threshold, **CONVENTIONS["coco"].matching)
        for annotation, found in zip(ground_truths, detections, strict=True)
    )

    # The detections of all images, without the ignored ones.
    kept = concatenate([~match.ignored for match in matches], bool)
    scores = concatenate([found.scores for found in detections], np.float32)[kept]  # [K]
    class_ids = concatenate([found.class_ids for found in detections], np.int64)[kept]
    hit = concatenate([match.true_positive for match in matches], bool)[kept]
    enough = scores >= np.float32(score_threshold)
    true_positives = np.bincount(class_ids[hit & enough], minlength=len(class_names))  # [C]

    # The objects of all images that count.
    sides, found_objects = [], []
    for annotation, match, found in zip(ground_truths, matches, detections):
        sides.append(np.sqrt(area(annotation.boxes[match.counted])))
        found_objects.append(objects_hit(match, found, score_threshold)[match.counted])

    return Measures(
        class_names=tuple(class_names),
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        coco=coco_results(ground_truths, detections, class_names, by_size=by_size),
        fixed=fixed,
        kinds=kinds,
        confusion=confusion_matrix(ground_truths, detections, len(class_names), **thresholds),
        matches=matches,
        scores=scores,
        hit=hit,
        sides=concatenate(sides, np.float64),
        found=concatenate(found_objects, bool),
        true_positives=true_positives,
        false_positives=np.bincount(class_ids[~hit & enough], minlength=len(class_names)),
        false_negatives=fixed.num_ground_truths - true_positives,
        background_scores=tuple(
            found.scores[names == "background"] for found, names in zip(detections, kinds.detection_kinds)
        ),
    )


def at_thresholds(curve: PrecisionRecall) -> np.ndarray:
    """Return float64 [4, S]: score, precision, recall and F1 where the detections with this score or more are kept.

    Scores fall; each stands once, because a threshold keeps all detections of one score or none.
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


def objects_hit(matches: Matches, detections: Detections, score_threshold: float) -> np.ndarray:
    """Return bool [M]: the objects of an image that a detection hits with at least this score."""
    found = np.zeros(len(matches.counted), bool)
    found[matches.ground_truth_index[matches.true_positive & (detections.scores >= np.float32(score_threshold))]] = True
    return found


def found_by_size(measures: Measures) -> dict[str, tuple[int, int]]:
    """Return for "small", "medium" and "large" how many objects were found, and how many there are."""
    sides, found = measures.sides, measures.found
    groups = {name: (sides >= low) & (sides < high) for name, (low, high) in SIZES.items()}
    return {name: (int(found[group].sum()), int(group.sum())) for name, group in groups.items()}


def confusions(measures: Measures) -> list[tuple[int, int, int]]:
    """Return (true class, detected class, how often) of misclassified objects, the most frequent first."""
    between = measures.confusion[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    rows, columns = np.nonzero(between)
    order = np.argsort(-between[rows, columns], kind="stable")
    return [(int(rows[i]), int(columns[i]), int(between[rows[i], columns[i]])) for i in order]


def image_costs(measures: Measures, detections: Sequence[Detections]) -> np.ndarray:
    """Return float64 [images]: 1 for each object that was not found, and the score of each false positive."""
    costs = []
    for matches, found in zip(measures.matches, detections, strict=True):
        not_found = matches.counted & ~objects_hit(matches, found, measures.score_threshold)
        enough = found.scores >= np.float32(measures.score_threshold)
        false = enough & ~matches.true_positive & ~matches.ignored
        costs.append(not_found.sum() + found.scores[false].sum(dtype=np.float64))
    return np.array(costs, np.float64)


@dataclass(frozen=True, eq=False)
class ImageError:
    """Hold one error in one image.

    Attributes:
        kind: One of :data:`yolo3.evaluation.errors.KINDS`.
        box: float32 [4], xyxy in pixels, the detection or the missed object.
        class_id: Detected, or missed.
        score: NaN for a missed object.
        ground_truth_id: Class of the object that the box overlaps most, -1 for none.
        iou: IoU with that object, 0 for none.
    """

    kind: str
    box: np.ndarray
    class_id: int
    score: float = float("nan")
    ground_truth_id: int = -1
    iou: float = 0.0


def image_errors(measures: Measures, index: int, ground_truth: Annotation, found: Detections) -> list[ImageError]:
    """Return the errors of one image, the missed objects first, then the detections by falling score.

    Args:
        measures: Figures of the whole evaluation.
        index: Place of the image in it.
        ground_truth: The annotation of this image.
        found: The detections in this image.

    Returns:
        Its errors.
    """
    class_ids = ground_truth.class_ids
    errors = [
        ImageError(kind="missed", box=ground_truth.boxes[i], class_id=int(class_ids[i]))
        for i in np.flatnonzero(measures.kinds.missed[index])
    ]

    kinds = measures.kinds.detection_kinds[index]
    iou = np.where(measures.matches[index].counted, pairwise_iou(found.boxes, ground_truth.boxes), 0.0)  # [N, M]
    for row in np.argsort(-found.scores, kind="stable"):
        kind = str(kinds[row])
        if kind not in KINDS:
            continue

        # A duplicate and a localization error are about an object of their own class.
        same_class = found.class_ids[row] == class_ids
        about = np.where(same_class, iou[row], 0.0) if kind in ("duplicate", "localization") else iou[row]
        about = np.append(about, 0.0)  # the last entry: no object at all
        best = int(about.argmax())
        errors.append(
            ImageError(
                kind=kind,
                box=found.boxes[row],
                class_id=int(found.class_ids[row]),
                score=float(found.scores[row]),
                ground_truth_id=int(class_ids[best]) if about[best] > 0 else -1,
                iou=float(about[best]),
            )
        )
    return errors
