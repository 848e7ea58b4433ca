"""Confusion matrix, and the kinds of error of TIDE (Bolya et al. 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.evaluation.matching import assign_with_fallback, check_lists, concatenate, match_detections, overlaps

KINDS = ("missed", "misclassified", "localization", "duplicate", "background")  # in the order of a report
DETECTION_KINDS = ("hit", "duplicate", "misclassified", "localization", "background")
BACKGROUND_IOU = 0.1  # below it a detection lies on background: TIDE, section 2.2


@dataclass(frozen=True, eq=False)
class ErrorKinds:
    """Hold what :func:`error_kinds` found.

    Attributes:
        detection_kinds: For each image an array [N] of :data:`DETECTION_KINDS`, "" for detections below the score
            threshold and for those on difficult objects or crowds.
        missed: For each image bool [M].
        counts: Name of each kind, and "hit", to its number over all images.
    """

    detection_kinds: tuple[np.ndarray, ...]
    missed: tuple[np.ndarray, ...]
    counts: dict[str, int]


def error_kinds(
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    iou_threshold: float = 0.5,
    score_threshold: float = 0.25,
) -> ErrorKinds:
    """Give a kind to each detection above the score threshold and to each object that none of them explains.

    * ``hit``: the best-scored detection of an object of its class, IoU >= threshold;
    * ``duplicate``: the same, but the object has been hit already;
    * ``misclassified``: IoU >= threshold with an object of another class;
    * ``localization``: IoU from .1 up to the threshold with an object of its class;
    * ``background``: none of these;
    * ``missed``: an object without a hit, a misclassified detection or a localization error.

    A detection gets the first kind that fits. TIDE's kind "both", wrong in class and in place, is background here.

    Args:
        ground_truths: One annotation per image.
        detections: One record per image, in the same order.
        iou_threshold: Least IoU of a hit.
        score_threshold: Least score of a detection that counts.

    Returns:
        The kinds, image by image and counted.
    """
    all_kinds, all_missed = [], []
    for annotation, found in zip(ground_truths, detections, strict=True):
        kept = found.scores >= np.float32(score_threshold)
        kinds = np.full(len(found), "", "U16")
        kinds[kept], missed = _image_kinds(annotation, found=_select(found, kept), iou_threshold=iou_threshold)
        all_kinds.append(kinds)
        all_missed.append(missed)

    joined = concatenate(all_kinds, "U16")
    counts = {name: int((joined == name).sum()) for name in DETECTION_KINDS}
    counts["missed"] = int(sum(missed.sum() for missed in all_missed))
    return ErrorKinds(detection_kinds=tuple(all_kinds), missed=tuple(all_missed), counts=counts)


def _image_kinds(annotation: Annotation, found: Detections, iou_threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the kinds [N] of the detections of one image, and bool [M], which of its objects were missed."""
    matches = match_detections(annotation, found, iou_threshold, fallback=True, difficult="after")
    iou = np.where(matches.counted, overlaps(annotation, found), 0.0)  # [N, M]
    same_class = found.class_ids[:, None] == annotation.class_ids[None]
    own_object = np.arange(len(matches.counted)) == matches.ground_truth_index[:, None]

    conditions = {
        "hit": matches.true_positive[:, None] & own_object,
        "duplicate": same_class & (iou >= iou_threshold),
        "misclassified": ~same_class & (iou >= iou_threshold),
        "localization": same_class & (iou >= BACKGROUND_IOU),
    }
    fits = [condition.any(axis=1) for condition in conditions.values()]
    kinds = np.select(fits, list(conditions), "background").astype("U16")
    kinds[matches.ignored] = ""

    explained = np.zeros(len(matches.counted), bool)
    for name in ("hit", "misclassified", "localization"):
        explained |= conditions[name][kinds == name].any(axis=0)
    return kinds, matches.counted & ~explained


def confusion_matrix(
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    num_classes: int,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.25,
) -> np.ndarray:
    """Return how often objects of each class are detected as each class.

    Detections of the right class are paired first, so that the diagonal holds the hits. What is left, objects and
    detections of any class, is paired by falling score. Difficult objects and crowds, and detections on them, are
    left out.

    Args:
        ground_truths: One annotation per image.
        detections: One record per image, in the same order.
        num_classes: C.
        iou_threshold: Least IoU of a pair.
        score_threshold: Least score of a detection that counts.

    Returns:
        int64 [C + 1, C + 1]: rows true classes, columns detected classes, the last of each background. Row C holds
        detections without an object, column C objects without a detection.

    Raises:
        ValueError: For lists of different lengths and class ids that are not 0 to C - 1.
    """
    check_lists(ground_truths, detections, num_classes)
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for annotation, found in zip(ground_truths, detections, strict=True):
        found = _select(found, found.scores >= np.float32(score_threshold))
        matches = match_detections(annotation, found, iou_threshold, fallback=True, difficult="after")
        hit, true_ids = matches.true_positive, annotation.class_ids
        np.add.at(matrix, (true_ids[matches.ground_truth_index[hit]], found.class_ids[hit]), 1)

        # Pair what is left, whatever its class.
        objects = np.setdiff1d(np.flatnonzero(matches.counted), matches.ground_truth_index[hit])  # [m]
        others = np.flatnonzero(~hit & ~matches.ignored)  # [n]
        overlap = overlaps(annotation, found)[np.ix_(others, objects)]  # [n, m]
        everyone, no_one = np.ones(len(objects), bool), np.zeros(len(objects), bool)
        paired, partner = assign_with_fallback(
            np.where(overlap >= iou_threshold, overlap, -1.0),
            order=np.argsort(-found.scores[others], kind="stable"),
            first=everyone,
            later=no_one,
            reusable=no_one,
        )

        # The appended entry is what partner -1 finds.
        np.add.at(matrix, (np.append(true_ids[objects], num_classes)[partner], found.class_ids[others]), 1)
        alone = np.setdiff1d(np.arange(len(objects)), partner[paired])
        np.add.at(matrix, (true_ids[objects[alone]], num_classes), 1)
    return matrix


def _select(found: Detections, kept: np.ndarray) -> Detections:
    return Detections(boxes=found.boxes[kept], scores=found.scores[kept], class_ids=found.class_ids[kept])
