"""Advice on a training run, in sentences, from its log.

Each rule checks one thing and returns a sentence with the figures it rests on, or None. `RUN_RULES` lists them, the
most important first. The limits were chosen so that normal runs trigger none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.evaluation.advice import much_lower, some_of
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions

ENOUGH_EPOCHS = 3  # a shorter log says little
_YOLOV3_TERMS = {*DARKNET.terms, *LossOptions().terms}


@dataclass(frozen=True, eq=False)
class Log:
    """The log of a run.

    Args:
        columns: Name of a column to float64 [epochs], NaN where it is empty; "epoch" is always there.
        objects: Class name to the number of its objects to train on; may be empty.
    """

    columns: Mapping[str, np.ndarray]
    objects: Mapping[str, int]

    def known(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, values) of a column where it has a value."""
        values = self.columns.get(name, np.zeros(0))
        there = np.isfinite(values)
        return self.columns["epoch"][: len(values)][there], values[there]

    def ends(self, name: str) -> tuple[float, float]:
        """Return the first and the last value of a column; NaN if it has none."""
        _, values = self.known(name)
        return (float(values[0]), float(values[-1])) if len(values) else (math.nan, math.nan)

    def at(self, name: str, epoch: float) -> float:
        """Return the value of a column in an epoch; NaN if it has none."""
        epochs, values = self.known(name)
        place = np.flatnonzero(epochs == epoch)
        return float(values[place[0]]) if len(place) else math.nan

    @property
    def epoch(self) -> int:
        """Number of the last epoch."""
        return int(self.columns["epoch"][-1])


def run_advice(
    rows: Sequence[Mapping[str, Any]], objects: Mapping[str, int] | None = None, yolov3_terms: bool = True
) -> list[str]:
    """Return sentences on a run, the most important first; at least one for a log that is not empty.

    Args:
        rows: The log, a mapping for each epoch (`RunFolder.rows`, or `csv.DictReader` of `log.csv`); columns may be
            missing or empty.
        objects: Number of objects of each class to train on, if known.
        yolov3_terms: Whether the terms of the loss are those of `yolo3.models.yolov3.losses`. Other losses share their
            names but not their sizes; their terms are ignored.
    """
    if not rows:
        return []
    log = _log_of(rows, objects, yolov3_terms)
    sentences = [sentence for rule in RUN_RULES if (sentence := rule(log))]
    if sentences:
        return sentences

    first, last = log.ends("loss")
    epochs, ap50 = log.known("AP50")
    if len(log.columns["epoch"]) < ENOUGH_EPOCHS:
        return [f"It is too early to judge the run: the training loss is {last:.1f} in epoch {log.epoch}."]
    reached = f", and AP50 reached {ap50.max():.3f} in epoch {int(epochs[ap50.argmax()])}" if len(ap50) else ""
    return [f"Nothing stands out: the training loss fell from {first:.1f} to {last:.1f}{reached}."]


def run_warnings(
    rows: Sequence[Mapping[str, Any]], objects: Mapping[str, int] | None = None, yolov3_terms: bool = True
) -> dict[str, str]:
    """Return those sentences of `run_advice` that matter while a run goes on, by the names of their rules.

    Args:
        rows: See `run_advice`.
        objects: See `run_advice`.
        yolov3_terms: See `run_advice`.
    """
    if len(rows) < ENOUGH_EPOCHS:
        return {}
    log = _log_of(rows, objects, yolov3_terms)
    return {rule.__name__: sentence for rule in WARNING_RULES if (sentence := rule(log))}


def _log_of(rows, objects, yolov3_terms: bool) -> Log:
    def number(value) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan

    ignored = () if yolov3_terms else _YOLOV3_TERMS
    names = dict.fromkeys(name for row in rows for name in row if name.removeprefix("val_") not in ignored)
    columns = {name: np.array([number(row.get(name)) for row in rows], np.float64) for name in names}
    columns.setdefault("epoch", np.arange(1.0, len(rows) + 1))
    return Log(columns, objects or {})


# The loss


def loss_stagnates(log: Log) -> str | None:
    """Speak if the training loss fell by less than a twentieth and nothing is detected either."""
    first, last = log.ends("loss")
    _, rates = log.known("learning_rate")
    _, ap50 = log.known("AP50")
    if len(log.columns["epoch"]) < ENOUGH_EPOCHS or not last > 0.95 * first or ap50.max(initial=0) > 0.1:
        return None
    other = "a higher one" if len(rates) and rates.max() < 1e-5 else "a tenth of it"
    return (
        f"The training loss is not decreasing: it was {first:.1f} in the first epoch and is {last:.1f} in epoch "
        f"{log.epoch}{_at_rate(log)}. Try {other} (--learning-rate), and look at the sheet of `--check-only`, which "
        "shows the training targets."
    )


def loss_jumps(log: Log) -> str | None:
    """Speak if the training loss of some epoch is more than twice that of an earlier one."""
    epochs, values = log.known("loss")
    if len(values) < 2:
        return None
    before = np.minimum.accumulate(values)[:-1]
    worst = int((values[1:] / before).argmax())
    if not values[worst + 1] > 2 * before[worst]:
        return None
    return (
        f"The training loss is unstable: it had been {before[worst]:.1f} and was {values[worst + 1]:.1f} in epoch "
        f"{int(epochs[worst + 1])}{_at_rate(log)}. Try a tenth of that --learning-rate, or --clip-norm 10."
    )


def _at_rate(log: Log) -> str:
    _, rates = log.known("learning_rate")
    return f" at a learning rate of up to {rates.max():.2g}" if len(rates) else ""


def overfits(log: Log) -> str | None:
    """Speak if the validation loss does not follow the training loss and AP no longer improves.

    It does not follow where it is a tenth above its minimum while the training loss fell by a tenth since, or where the
    fraction of the training loss that is left is less than a quarter of that of the validation loss: normal is two
    thirds, and with twelve images and no augmentation it was a thirtieth.
    """
    epochs, validation = log.known("val_loss")
    if len(validation) < 5:
        return None
    first, last = log.ends("loss")
    least = int(validation.argmin())

    fell = log.at("loss", epochs[-1]) < 0.9 * log.at("loss", epochs[least])
    rises = len(validation) - least > 3 and validation[-1] > 1.1 * validation[least] and fell
    lags = validation[-1] / validation[0] > 4 * last / first
    since = min(least, len(validation) // 2)
    if not (rises or lags) or log.at("AP", epochs[-1]) - log.at("AP", epochs[since]) > 0.01:
        return None
    return (
        f"The network is overfitting: the training loss fell from {first:.1f} to {last:.1f}, while the validation loss "
        f"started at {validation[0]:.1f}, was {validation[least]:.1f} in epoch {int(epochs[least])} and is now "
        f"{validation[-1]:.1f}. More images or stronger augmentation help; best.h5 holds the best epoch."
    )


# What is detected


def boxes_do_not_fit(log: Log) -> str | None:
    """Speak if the objectness term of the validation loss fell, but its wh term is a quarter of that or more.

    A twentieth is normal; with anchors of a tenth of the objects' size it was four tenths.
    """
    first, objectness = log.ends("val_objectness")
    _, sizes = log.ends("val_wh")
    if len(log.known("val_wh")[1]) < ENOUGH_EPOCHS or loss_jumps(log):
        return None
    if not objectness < 0.6 * first or not sizes > 0.25 * objectness:
        return None
    return (
        f"The network struggles with the sizes of the objects: the wh term of the validation loss is {sizes:.1f}, the "
        f"objectness term {objectness:.1f}. The anchors may not fit; `yolo3 anchors --data DATA` checks them and fits "
        "better ones."
    )


def ap_stays_zero(log: Log) -> str | None:
    """Speak if after ten epochs the loss has halved and still nothing is detected in the validation images."""
    first, last = log.ends("loss")
    epochs, ap50 = log.known("AP50")
    if len(epochs) < 3 or epochs[-1] < 10 or ap50.max() > 0.01 or not last < 0.5 * first or boxes_do_not_fit(log):
        return None
    return (
        f"AP50 is {ap50[-1]:.3f} after {log.epoch} epochs although the training loss fell from {first:.1f} to "
        f"{last:.1f}. Do the validation images resemble the training images, and are they annotated in the same way, "
        "with the same class names in the same order? predictions.png shows both."
    )


def ap_stays_low(log: Log) -> str | None:
    """Speak if AP50 has not reached a tenth after ten epochs and no other rule explains it."""
    epochs, ap50 = log.known("AP50")
    if not len(ap50) or epochs[-1] < 10 or ap50.max() >= 0.1:
        return None
    if any(rule(log) for rule in (loss_stagnates, loss_jumps, boxes_do_not_fit, ap_stays_zero)):
        return None

    name, what = ("val_loss", "validation") if len(log.known("val_loss")[1]) else ("loss", "training")
    past, losses = log.known(name)
    half = len(losses) // 2
    low = f"Hardly any object is detected: AP50 reached {ap50.max():.3f} in {log.epoch} epochs. "
    if losses[-1] < 0.9 * losses[half]:
        return f"{low}The loss is still decreasing, so more --epochs may be all that is needed."
    return (
        f"{low}The {what} loss has levelled off: {losses[half]:.1f} in epoch {int(past[half])}, {losses[-1]:.1f} now. "
        "Training from random weights takes many images and epochs: start from pretrained ones (--weights), or try "
        "another --learning-rate."
    )


def best_is_past(log: Log) -> str | None:
    """Speak if AP fell by three hundredths or more since its best epoch for another reason than overfitting."""
    epochs, ap = log.known("AP")
    if not len(ap) or overfits(log) or ap[-1] > ap.max() - 0.03:
        return None
    best = int(ap.argmax())
    return (
        f"AP was best in epoch {int(epochs[best])} ({ap[best]:.3f}) and is {ap[-1]:.3f} now: use best.h5. If it "
        "varies from epoch to epoch, the learning rate is too high or there are few validation images."
    )


def still_improving(log: Log) -> str | None:
    """Speak if AP rose by two hundredths or more in the last quarter of the evaluations and is now about the best."""
    epochs, ap = log.known("AP")
    if len(ap) < 8 or ap[-1] < ap.max() - 0.005:
        return None
    before = -1 - len(ap) // 4
    if ap[-1] - ap[before] < 0.02:
        return None
    return (
        f"AP is still improving: {ap[before]:.3f} in epoch {int(epochs[before])}, {ap[-1]:.3f} in epoch "
        f"{int(epochs[-1])}. More --epochs are likely to help."
    )


# Classes


def classes_not_learned(log: Log) -> str | None:
    """Speak if from a fifth of the run on objects are detected better and better, but the class term does not fall.

    Measured on validation images, where no mosaic changes the number of objects. With labels mixed up at random the
    class term rose by one hundredth while the objectness term fell to a third; with the right ones it fell by a sixth.
    """
    epochs, classes = log.known("val_class")
    _, objectness = log.known("val_objectness")
    start = len(classes) // 5
    if len(classes) < 8 or len(classes) != len(objectness) or boxes_do_not_fit(log):
        return None
    if objectness[-1] > 0.75 * objectness[start] or classes[-1] < 0.95 * classes[start]:
        return None
    if classes[-1] < 0.3 * objectness[-1]:
        return None  # small already, as with one class or with weights that knew the classes
    return (
        f"Objects are detected but not classified: since epoch {int(epochs[start])} the objectness term of the "
        f"validation loss fell from {objectness[start]:.1f} to {objectness[-1]:.1f}, while the class term went from "
        f"{classes[start]:.1f} to {classes[-1]:.1f}. Are the class names in the right order, or labels mixed up?"
    )


def class_is_weak(log: Log) -> str | None:
    """Speak if the AP50 of one class is less than half of the others' median, and at least 0.25 below it.

    Not before the others are learned, nor while it catches up: which class is learned first says nothing.
    """
    last = {name.removeprefix("AP50_"): log.ends(name)[1] for name in log.columns if name.startswith("AP50_")}
    known = {name: value for name, value in last.items() if not math.isnan(value)}
    if len(known) < 2 or len(log.known("AP50")[0]) < 5:
        return None
    weakest = min(known, key=lambda name: known[name])
    others = float(np.median([value for name, value in known.items() if name != weakest]))
    catches_up = known[weakest] > log.known(f"AP50_{weakest}")[1][-3:][0] + 0.05
    if others < 0.4 or not much_lower(known[weakest], others) or catches_up:
        return None

    low = f"'{weakest}' has an AP50 of {known[weakest]:.3f}, the other classes of {others:.3f}"
    if weakest not in log.objects or len(log.objects) < 2:
        return f"{low}: annotate more objects of this class, and check that they are annotated consistently."
    count = log.objects[weakest]
    median = float(np.median([number for name, number in log.objects.items() if name != weakest]))
    if count < 0.5 * median:
        return (
            f"{low}. There are {count} objects of it to train on, and {median:.0f} of the others (median): annotate "
            "more of them."
        )
    return (
        f"{low}. There are enough examples ({count} objects to train on, {median:.0f} of the others, median): check "
        "that the class is annotated everywhere and consistently."
    )


def class_is_not_validated(log: Log) -> str | None:
    """Speak if a class has no AP in any epoch while others do: the validation images show no object of it."""
    names = [name for name in log.columns if name.startswith("AP50_")]
    empty = [f"'{name.removeprefix('AP50_')}'" for name in names if not len(log.known(name)[0])]
    if not empty or not len(log.known("AP50")[0]):
        return None
    return (
        f"The validation images contain no objects of {len(empty)} of {len(names)} classes ({some_of(empty)}); AP does "
        "not cover them."
    )


# Speed


def waits_for_data(log: Log) -> str | None:
    """Speak if more than a third of the time was spent waiting for images, after the first epoch, which opens files."""
    _, shares = log.known("data_wait")
    share = float(np.median(shares[1:])) if len(shares) > 1 else math.nan
    if not share > 1 / 3:
        return None
    return f"Training waits for images {share:.0%} of the time; more --workers or --cache memory would speed it up."


RUN_RULES: tuple[Callable[[Log], str | None], ...] = (
    loss_stagnates,
    loss_jumps,
    boxes_do_not_fit,
    ap_stays_zero,
    ap_stays_low,
    classes_not_learned,
    overfits,
    best_is_past,
    class_is_weak,
    class_is_not_validated,
    still_improving,
    waits_for_data,
)
WARNING_RULES = (loss_stagnates, loss_jumps, boxes_do_not_fit, ap_stays_zero, classes_not_learned, waits_for_data)
