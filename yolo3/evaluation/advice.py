"""Sentences on the results of an evaluation."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from yolo3.evaluation.measures import Measures, confusions, found_by_size

FEW_OBJECTS = 10  # figures that rest on fewer say little

# What each kind of error is, and what helps against it.
REMEDIES = {
    "missed": (
        "an annotated object that no detection explains",
        "More training images that show such objects, longer training; for small ones a larger --input-size. A lower "
        "--score-threshold finds more of them, at the price of false detections.",
    ),
    "wrong_class": (
        "an object is found, but named otherwise",
        "Look at the confusions: annotate these classes more carefully and alike, add images of both, or merge them.",
    ),
    "badly_placed": (
        "the right class, but too little overlap with the object",
        "Check that boxes are drawn tightly and alike; a larger --input-size; anchors of your own (`yolo3 anchors`).",
    ),
    "duplicate": (
        "a second detection of an object that another has found",
        "A lower --iou-threshold suppresses more of them; check the data for objects annotated twice.",
    ),
    "background": (
        "a detection where nothing is annotated that it could mean",
        "Look whether an annotation is missing there. Else add images without objects that show what is mistaken, or "
        "use a higher --score-threshold.",
    ),
}


def name_of(kind: str) -> str:
    """Return a kind of error in words: "wrong class"."""
    return kind.replace("_", " ")


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are: "a, b and 3 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


# ----------------------------------------------------------------------------------------- an evaluation


def evaluation_advice(measures: Measures) -> list[str]:
    """Return sentences on the results of an evaluation, the most important first; at least one."""
    said = [sentence for rule in EVALUATION_RULES if (sentence := rule(measures))]
    return said or [f"Nothing stands out: AP50 is {measures.coco['AP50']:.3f}, AP {measures.coco['AP']:.3f}."]


def no_truths(measures: Measures) -> str | None:
    """There is nothing to be found."""
    if len(measures.found):
        return None
    return (
        f"The images hold no annotated objects that count: all {int(measures.num_false.sum())} detections with a "
        f"score of {measures.score_threshold:g} or more are false."
    )


def nothing_found(measures: Measures) -> str | None:
    """No detection scores enough."""
    if measures.num_hits.sum() + measures.num_false.sum():
        return None
    best = f"the best score is {measures.scores.max():.3f}" if len(measures.scores) else "there is no detection at all"
    return (
        f"Nothing was detected with a score of {measures.score_threshold:g} or more; {best}. Is it the right network "
        "for these images, and was it trained long enough?"
    )


def threshold_is_off(measures: Measures) -> str | None:
    """Another score threshold would give an F1 that is three hundredths better; twenty objects at least."""
    score, precision, recall, best = measures.best
    now = measures.fixed.overall_f1
    if len(measures.found) < 2 * FEW_OBJECTS or not best > now + 0.03:
        return None
    score = math.floor(1000 * score) / 1000  # rounded up, it would lose the detection that it stands for
    return (
        f"At a score of {measures.score_threshold:g} F1 is {now:.3f}; at {score:.3f} it would be {best:.3f} (precision "
        f"{precision:.3f}, recall {recall:.3f}): use --score-threshold {score:.3f} in `yolo3 detect`."
    )


def main_error(measures: Measures) -> str | None:
    """The most frequent kind of error, where there are ten errors or more, and one for each twenty objects."""
    counts = {kind: measures.kinds.counts[kind] for kind in REMEDIES}
    total, kind = sum(counts.values()), max(counts, key=lambda kind: counts[kind])
    if total < max(10, 0.05 * len(measures.found)):
        return None
    meaning, remedy = REMEDIES[kind]
    return f"{counts[kind]} of {total} errors are of the kind '{name_of(kind)}': {meaning}. {remedy}"


def classes_without_annotations(measures: Measures) -> str | None:
    """Ten false detections or more, and a tenth of all, are of classes of which no object is annotated."""
    lone = np.where(measures.fixed.num_truths == 0, measures.num_false, 0)
    total, false = int(lone.sum()), int(measures.num_false.sum())
    if not len(measures.found) or total < max(10, 0.1 * false):
        return None
    names = [f"'{measures.class_names[index]}' ({lone[index]})" for index in np.argsort(-lone) if lone[index]]
    return (
        f"{total} of {false} false detections are of classes that are nowhere annotated here: {some_of(names)}. Is "
        "everything annotated that the network knows? If not, precision and F1 say little."
    )


def sure_of_nothing(measures: Measures) -> str | None:
    """A fiftieth of the objects, and five at least, is the number of detections of .8 or more on background."""
    sure = np.array([int((scores >= 0.8).sum()) for scores in measures.background_scores])
    total = int(sure.sum())
    if total < max(5, 0.02 * len(measures.found)):
        return None
    most = np.sort(sure)[::-1][:3]
    return (
        f"{total} detections have a score of 0.8 or more where nothing is annotated, {int(most.sum())} of them in "
        f"{np.count_nonzero(most)} of the images. A network that is so sure is often right: look whether annotations "
        "are missing there, because they cost AP and are learned as background."
    )


def one_class_for_another(measures: Measures) -> str | None:
    """A tenth of the objects of a class, and five at least, are taken for one other class; the most frequent case."""
    for true_id, said_id, count in confusions(measures):
        truths = int(measures.fixed.num_truths[true_id])
        if count >= 5 and count >= 0.1 * truths:
            true, said = measures.class_names[true_id], measures.class_names[said_id]
            return f"{count} of {truths} '{true}' are taken for '{said}': are these two annotated alike everywhere?"
    return None


def weak_class(measures: Measures) -> str | None:
    """The AP50 of one class is less than half of the median of the others, and a quarter of a point below it.

    Of classes with ten objects or more.
    """
    known = {name: part for name, part in measures.coco["per_class"].items() if part["num_truths"] >= FEW_OBJECTS}
    if len(known) < 2:
        return None
    name = min(known, key=lambda name: known[name]["AP50"])
    others = float(np.median([part["AP50"] for other, part in known.items() if other != name]))
    if not much_lower(known[name]["AP50"], others):
        return None
    return (
        f"'{name}' has an AP50 of {known[name]['AP50']:.3f} on {known[name]['num_truths']} objects, the other classes "
        f"{others:.3f}: it needs more training images, or annotations that are more alike."
    )


def small_ones_are_missed(measures: Measures) -> str | None:
    """The share that is found of small objects is a fifth of a point below that of the larger; ten of each or more."""
    groups = found_by_size(measures)
    found, small = groups["small"]
    others_found, others = (groups["medium"][part] + groups["large"][part] for part in (0, 1))
    if min(small, others) < FEW_OBJECTS or found / small > others_found / others - 0.2:
        return None
    return (
        f"Small objects (below 32 x 32 pixels) are missed: {found} of {small} are found, of larger ones {others_found} "
        f"of {others}. A larger --input-size shows them larger to the network."
    )


def boxes_are_loose(measures: Measures) -> str | None:
    """AP at an IoU of .75 is less than four tenths of that at .5."""
    loose, tight = measures.coco["AP50"], measures.coco["AP75"]
    if not loose > 0.3 or tight > 0.4 * loose:
        return None
    return (
        f"Objects are found, but boxes lie loosely on them: AP50 is {loose:.3f}, AP75 {tight:.3f}. Longer training, a "
        "larger --input-size and boxes drawn tightly help."
    )


def few_truths(measures: Measures) -> str | None:
    """Classes with fewer objects than figures should rest on."""
    counts = measures.fixed.num_truths
    few = [f"'{name}' ({count})" for name, count in zip(measures.class_names, counts) if 0 < count < FEW_OBJECTS]
    return f"Figures that rest on fewer than ten objects say little: {some_of(few)}." if few else None


EVALUATION_RULES: tuple[Callable[[Measures], str | None], ...] = (
    no_truths,
    nothing_found,
    threshold_is_off,
    main_error,
    classes_without_annotations,
    sure_of_nothing,
    one_class_for_another,
    weak_class,
    small_ones_are_missed,
    boxes_are_loose,
    few_truths,
)


def much_lower(value: float, others: float) -> bool:
    return value < 0.5 * others and value < others - 0.25
