"""What is wrong with detections: the confusion matrix, and the kinds of error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.detections import Detections
from yolo3.evaluation.matching import _check_lists, _joined, _match_with_fallback, _overlaps, match_detections

ERROR_KINDS = ("hit", "duplicate", "wrong_class", "badly_placed", "background")
BADLY_PLACED_IOU = 0.1  # below it a detection counts as background: TIDE (Bolya et al. 2020), section 2.2


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
        "hit": matches.true_positive[:, None] & (np.arange(len(matches.counted)) == matches.truth_index[:, None]),
        "duplicate": same & (overlap >= iou_threshold),
        "wrong_class": ~same & (overlap >= iou_threshold),
        "badly_placed": same & (overlap >= BADLY_PLACED_IOU),
    }
    kinds = np.select([c.any(axis=1) for c in conditions.values()], list(conditions), "background").astype("U16")
    kinds[matches.ignored] = ""
    explained = np.zeros(len(matches.counted), bool)
    for name in ("hit", "wrong_class", "badly_placed"):
        explained |= conditions[name][kinds == name].any(axis=0)
    all_kinds = np.full(len(found), "", "U16")
    all_kinds[named] = kinds
    return all_kinds, matches.counted & ~explained
