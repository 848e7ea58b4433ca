"""Advice on the figures of an evaluation, in sentences.

Each rule checks the figures and returns a sentence, or none; :data:`EVALUATION_RULES` lists
them, the most important first.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from yolo3.evaluation.measures import Measures, confusions, found_by_size

FEW_OBJECTS = 10  # figures that rest on fewer are not reliable

# What each kind of error is, and what helps against it.
REMEDIES = {
    "missed": (
        "an annotated object that no detection explains",
        "Add training images that show such objects, or train longer; for small objects use a larger --input-size. A "
        "lower --score-threshold finds more of them, at the price of false positives.",
    ),
    "misclassified": (
        "an object is detected as another class",
        "Look at the confusion matrix: annotate these classes more consistently, add images of both, or merge them.",
    ),
    "localization": (
        "the right class, but too little overlap with the object",
        "Check that boxes are drawn tightly and consistently; use a larger --input-size, or anchors fitted to the data "
        "(`yolo3 anchors`).",
    ),
    "duplicate": (
        "another detection of an object that has already been found",
        "A lower --iou-threshold suppresses more of them; check the data for objects that are annotated twice.",
    ),
    "background": (
        "a detection where no object is annotated",
        "Check whether an annotation is missing there. If not, add images without objects that show what is mistaken "
        "for one, or use a higher --score-threshold.",
    ),
}


def name_of(kind: str, count: int = 1) -> str:
    """Return the name of a kind of error in prose, such as "localization error", for this many of them."""
    plurals = {"localization": ("localization error", "localization errors"), "duplicate": ("duplicate", "duplicates")}
    return plurals.get(kind, (kind, kind))[count != 1]


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are: "a, b and 3 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def evaluation_advice(measures: Measures) -> list[str]:
    """Return sentences on the results of an evaluation, the most important first; at least one."""
    sentences = [sentence for rule in EVALUATION_RULES if (sentence := rule(measures))]
    return sentences or [f"Nothing stands out: AP50 is {measures.coco['AP50']:.3f}, AP {measures.coco['AP']:.3f}."]


def no_ground_truth(measures: Measures) -> str | None:
    """Say that there is nothing to be found."""
    if len(measures.found):
        return None
    return (
        "The images have no annotated objects that count, so all "
        f"{int(measures.false_positives.sum())} detections with a score of at least {measures.score_threshold:g} are "
        "false positives."
    )


def nothing_found(measures: Measures) -> str | None:
    """Say that no detection reaches the score threshold."""
    if measures.true_positives.sum() + measures.false_positives.sum():
        return None
    best = f"the highest score is {measures.scores.max():.3f}" if len(measures.scores) else "there are no detections"
    return (
        f"Nothing was detected with a score of at least {measures.score_threshold:g}; {best}. Are these the right "
        "weights for these images, and was the network trained long enough?"
    )


def score_threshold(measures: Measures) -> str | None:
    """Suggest a score threshold that raises F1 by .03 or more, where there are 20 objects or more."""
    score, precision, recall, best = measures.best
    now = measures.fixed.overall_f1
    if len(measures.found) < 2 * FEW_OBJECTS or not best > now + 0.03:
        return None
    score = math.floor(1000 * score) / 1000  # rounded up, it would lose the detection that it stands for
    return (
        f"At a score threshold of {measures.score_threshold:g}, F1 is {now:.3f}; at {score:.3f} it would be {best:.3f} "
        f"(precision {precision:.3f}, recall {recall:.3f}). Use --score-threshold {score:.3f} with `yolo3 detect`."
    )


def main_error(measures: Measures) -> str | None:
    """Name the most frequent kind of error, where there are 10 errors or more, and one per 20 objects."""
    counts = {kind: measures.kinds.counts[kind] for kind in REMEDIES}
    total, kind = sum(counts.values()), max(counts, key=lambda kind: counts[kind])
    if total < max(10, 0.05 * len(measures.found)):
        return None
    meaning, remedy = REMEDIES[kind]
    return f"The most frequent kind of error is '{name_of(kind)}', {counts[kind]} of {total}: {meaning}. {remedy}"


def classes_without_annotations(measures: Measures) -> str | None:
    """Name detected classes that are never annotated, where they make 10 false positives or more, and a tenth."""
    unannotated = np.where(measures.fixed.num_ground_truths == 0, measures.false_positives, 0)  # [C]
    total, false = int(unannotated.sum()), int(measures.false_positives.sum())
    if not len(measures.found) or total < max(10, 0.1 * false):
        return None
    order = np.argsort(-unannotated)
    names = [f"'{measures.class_names[index]}' ({unannotated[index]})" for index in order if unannotated[index]]
    return (
        f"{total} of {false} false positives are of classes that are never annotated here: {some_of(names)}. If the "
        "images do show such objects, annotate them, or precision and F1 mean little."
    )


def confident_on_background(measures: Measures) -> str | None:
    """Point at detections on background with a score of .8 or more: 5 or more, and one per 50 objects."""
    confident = np.array([int((scores >= 0.8).sum()) for scores in measures.background_scores])
    total = int(confident.sum())
    if total < max(5, 0.02 * len(measures.found)):
        return None

    most = np.sort(confident)[::-1][:3]
    return (
        f"{total} detections have a score of at least 0.8 where nothing is annotated, {int(most.sum())} of them in "
        f"{np.count_nonzero(most)} of the images. A network this confident is often right: check whether annotations "
        "are missing there, because they lower AP and are learned as background."
    )


def confused_classes(measures: Measures) -> str | None:
    """Name the most frequent confusion, of 5 objects or more, and a tenth of their class."""
    for true_id, detected_id, count in confusions(measures):
        objects = int(measures.fixed.num_ground_truths[true_id])
        if count >= 5 and count >= 0.1 * objects:
            true, detected = measures.class_names[true_id], measures.class_names[detected_id]
            return f"{count} of {objects} '{true}' are detected as '{detected}': are the two annotated consistently?"
    return None


def weak_class(measures: Measures) -> str | None:
    """Name the class whose AP50 is far below the median of the others, of classes with 10 objects or more."""
    known = {name: part for name, part in measures.coco["per_class"].items() if part["num_truths"] >= FEW_OBJECTS}
    if len(known) < 2:
        return None

    name = min(known, key=lambda name: known[name]["AP50"])
    others = float(np.median([part["AP50"] for other, part in known.items() if other != name]))
    if not much_lower(known[name]["AP50"], others):
        return None
    return (
        f"'{name}' has an AP50 of {known[name]['AP50']:.3f} on {known[name]['num_truths']} objects; the median of the "
        f"other classes is {others:.3f}. It needs more training images or more consistent annotations."
    )


def small_objects(measures: Measures) -> str | None:
    """Say that recall of small objects is .2 or more below that of larger ones, with 10 or more of each."""
    groups = found_by_size(measures)
    found, small = groups["small"]
    others_found, others = (groups["medium"][part] + groups["large"][part] for part in (0, 1))

    if min(small, others) < FEW_OBJECTS or found / small > others_found / others - 0.2:
        return None
    return (
        f"Small objects (area below 32 x 32 pixels) are missed: {found} of {small} are found, of larger ones "
        f"{others_found} of {others}. A larger --input-size shows them larger to the network."
    )


def loose_boxes(measures: Measures) -> str | None:
    """Say that AP at an IoU of .75 is less than two fifths of AP at .5."""
    loose, tight = measures.coco["AP50"], measures.coco["AP75"]
    if not loose > 0.3 or tight > 0.4 * loose:
        return None
    return (
        f"Objects are found, but their boxes are not tight: AP50 is {loose:.3f}, AP75 {tight:.3f}. Longer training, a "
        "larger --input-size and tightly drawn annotations help."
    )


def few_objects(measures: Measures) -> str | None:
    """Name the classes with fewer objects than figures should rest on."""
    counts = measures.fixed.num_ground_truths
    few = [f"'{name}' ({count})" for name, count in zip(measures.class_names, counts) if 0 < count < FEW_OBJECTS]
    return f"Figures of classes with fewer than ten objects are not reliable: {some_of(few)}." if few else None


EVALUATION_RULES: tuple[Callable[[Measures], str | None], ...] = (
    no_ground_truth,
    nothing_found,
    score_threshold,
    main_error,
    classes_without_annotations,
    confident_on_background,
    confused_classes,
    weak_class,
    small_objects,
    loose_boxes,
    few_objects,
)


def much_lower(value: float, others: float) -> bool:
    """Return whether a score is less than half of the others, and a quarter of a point below them."""
    return value < 0.5 * others and value < others - 0.25
