"""Words on what numbers say: sentences on the log of a run, and on the results of an evaluation.

Each rule is a small function that looks at one thing and returns a sentence with the numbers it rests on, or ``None``.
Rules stand in :data:`RUN_RULES` and :data:`EVALUATION_RULES`, the most important first. They speak only of what is
plain to see: their limits were set so that normal runs pass in silence.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.evaluation.advice import much_lower, some_of
from yolo3.models.yolov3.loss_options import LossOptions

ENOUGH_EPOCHS = 3  # before that a log says little
_YOLOV3_PARTS = LossOptions().terms


# ------------------------------------------------------------------------------------------------ a run


@dataclass(frozen=True, eq=False)
class Log:
    """The log of a run: name of a column to float64 [epochs], NaN where it is empty. ``objects``: class to number."""

    columns: Mapping[str, np.ndarray]
    objects: Mapping[str, int]

    def known(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, values) of a column where it has a value."""
        values = self.columns.get(name, np.zeros(0))
        there = np.isfinite(values)
        return self.columns["epoch"][: len(values)][there], values[there]

    def ends(self, name: str) -> tuple[float, float]:
        """Return the first and the last value of a column; NaN without any."""
        _, values = self.known(name)
        return (float(values[0]), float(values[-1])) if len(values) else (math.nan, math.nan)

    @property
    def epoch(self) -> int:
        """The last epoch."""
        return int(self.columns["epoch"][-1])


def run_advice(
    rows: Sequence[Mapping[str, Any]], objects: Mapping[str, int] | None = None, yolov3_parts: bool = True
) -> list[str]:
    """Return sentences on a run, the most important first; at least one for a log that is not empty.

    ``rows``: the log, one mapping an epoch (``RunFolder.rows``, or ``csv.DictReader`` of log.csv); columns that are
    absent or empty are no hindrance. ``objects``: how many objects of each class there are to train on, if known.
    ``yolov3_parts``: whether the parts of the loss are those of :mod:`yolo3.models.yolov3.losses`; other losses share names with them
    but not their sizes, and their parts are passed over.
    """
    if not rows:
        return []
    log = _log_of(rows, objects, yolov3_parts)
    said = [sentence for rule in RUN_RULES if (sentence := rule(log))]
    return said or [_nothing_stands_out(log)]


def run_warnings(
    rows: Sequence[Mapping[str, Any]], objects: Mapping[str, int] | None = None, yolov3_parts: bool = True
) -> dict[str, str]:
    """Return what a run that goes on should be told: sentences of :func:`run_advice` by their rules, mostly none."""
    if len(rows) < ENOUGH_EPOCHS:
        return {}
    log = _log_of(rows, objects, yolov3_parts)
    return {rule.__name__: sentence for rule in WARNING_RULES if (sentence := rule(log))}


def _log_of(rows, objects, yolov3_parts: bool) -> Log:
    passed_over = () if yolov3_parts else _YOLOV3_PARTS
    names = dict.fromkeys(name for row in rows for name in row if name.removeprefix("val_") not in passed_over)
    columns = {name: np.array([_number(row.get(name)) for row in rows], np.float64) for name in names}
    columns.setdefault("epoch", np.arange(1.0, len(rows) + 1))
    return Log(columns, objects or {})


def _number(value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def loss_stands(log: Log) -> str | None:
    """The training loss falls by less than a twentieth, and nothing is found either."""
    first, last = log.ends("loss")
    _, rates = log.known("learning_rate")
    _, found = log.known("AP50")
    if len(log.columns["epoch"]) < ENOUGH_EPOCHS or not last > 0.95 * first or found.max(initial=0) > 0.1:
        return None
    other = "a higher one" if len(rates) and rates.max() < 1e-5 else "a tenth of it"
    return (
        f"The training loss does not fall: {first:.1f} in the first epoch, {last:.1f} in epoch {log.epoch}"
        f"{_at_rate(log)}. Try {other} (--learning-rate), and look at the sheet of `--check-only`: it shows what the "
        "network is taught."
    )


def _at_rate(log: Log) -> str:
    _, rates = log.known("learning_rate")
    return f" at a learning rate of up to {rates.max():.2g}" if len(rates) else ""


def loss_jumps(log: Log) -> str | None:
    """In some epoch the training loss is more than twice what it was in an epoch before."""
    epochs, values = log.known("loss")
    if len(values) < 2:
        return None
    before = np.minimum.accumulate(values)[:-1]
    worst = int((values[1:] / before).argmax())
    if not values[worst + 1] > 2 * before[worst]:
        return None
    return (
        f"The training loss jumps: it had been {before[worst]:.1f} and was {values[worst + 1]:.1f} in epoch "
        f"{int(epochs[worst + 1])}{_at_rate(log)}. Try a tenth of that --learning-rate, or --clip-norm 10."
    )


def boxes_do_not_fit(log: Log) -> str | None:
    """The objectness part of the validation loss fell, but the wh part is a quarter of it or more.

    A twentieth is normal; with anchors of a tenth of the objects' size it was four tenths.
    """
    first, objectness = log.ends("val_objectness")
    _, sizes = log.ends("val_wh")
    if len(log.known("val_wh")[1]) < ENOUGH_EPOCHS or loss_jumps(log):
        return None
    if not objectness < 0.6 * first or not sizes > 0.25 * objectness:
        return None
    return (
        f"The sizes of the objects are hard to learn: the wh part of the validation loss is {sizes:.1f}, the "
        f"objectness part {objectness:.1f}. The anchors may not fit: `yolo3 anchors --data DATA` says so and makes "
        "better ones."
    )


def ap_stands_at_zero(log: Log) -> str | None:
    """After ten epochs the loss has halved, and still nothing is found in the validation images."""
    first, last = log.ends("loss")
    epochs, found = log.known("AP50")
    if len(epochs) < 3 or epochs[-1] < 10 or found.max() > 0.01 or not last < 0.5 * first or boxes_do_not_fit(log):
        return None
    return (
        f"AP50 is {found[-1]:.3f} after {log.epoch} epochs although the training loss fell from {first:.1f} to "
        f"{last:.1f}. Are the validation images of the same kind and annotated alike, with the same class names in "
        "the same order? predictions.png shows both."
    )


def hardly_anything_found(log: Log) -> str | None:
    """After ten epochs AP50 has not reached a tenth, and no rule before says why."""
    epochs, found = log.known("AP50")
    if not len(found) or epochs[-1] < 10 or found.max() >= 0.1:
        return None
    if any(rule(log) for rule in (loss_stands, loss_jumps, boxes_do_not_fit, ap_stands_at_zero)):
        return None
    name, what = ("val_loss", "validation") if len(log.known("val_loss")[1]) else ("loss", "training")
    past, losses = log.known(name)
    half = len(losses) // 2
    told = f"Hardly anything is found: AP50 reached {found.max():.3f} in {log.epoch} epochs. "
    if losses[-1] < 0.9 * losses[half]:
        return f"{told}The loss still falls, so more --epochs may be all that is needed."
    return (
        f"{told}The {what} loss stands: {losses[half]:.1f} in epoch {int(past[half])}, {losses[-1]:.1f} now. Random "
        "weights want many images and epochs: begin with trained ones (--weights), or try another --learning-rate."
    )


def class_part_stands(log: Log) -> str | None:
    """From a fifth of the run on objects are found better and better, but the class part of the loss stands.

    Looked at on validation images, where no mosaic changes the number of objects. With labels mixed up at random the
    class part rose by one hundredth while the objectness fell to a third; it fell by a sixth with the right ones.
    """
    epochs, classes = log.known("val_class")
    _, objectness = log.known("val_objectness")
    start = len(classes) // 5
    if len(classes) < 8 or len(classes) != len(objectness) or boxes_do_not_fit(log):
        return None
    if objectness[-1] > 0.75 * objectness[start] or classes[-1] < 0.95 * classes[start]:
        return None
    if classes[-1] < 0.3 * objectness[-1]:
        return None  # small already, as with one class or with weights that knew them
    return (
        f"Objects are found but not told apart: since epoch {int(epochs[start])} the objectness part of the validation "
        f"loss fell from {objectness[start]:.1f} to {objectness[-1]:.1f}, while the class part went from "
        f"{classes[start]:.1f} to {classes[-1]:.1f}. Are the class names in the right order, and are labels mixed up?"
    )


def overfits(log: Log) -> str | None:
    """The validation loss does not follow the training loss, and AP gains nothing any more."""
    epochs, validation = log.known("val_loss")
    if len(validation) < 5:
        return None
    least = int(validation.argmin())
    since = min(least, len(validation) // 2)
    if not (_rises(log, epochs, validation, least) or _lags(log, validation)):
        return None
    if _at(log, "AP", epochs[-1]) - _at(log, "AP", epochs[since]) > 0.01:
        return None
    first, last = log.ends("loss")
    return (
        f"The network learns the training images by heart: their loss fell from {first:.1f} to {last:.1f}, while "
        f"that of the validation images began with {validation[0]:.1f}, was {validation[least]:.1f} in epoch "
        f"{int(epochs[least])} and is {validation[-1]:.1f} now. More images or more variation help; best.h5 holds "
        "the best epoch."
    )


def _rises(log: Log, epochs, validation, least: int) -> bool:
    """Whether the validation loss is a tenth above its least value, and the training loss fell by a tenth since."""
    fell = _at(log, "loss", epochs[-1]) < 0.9 * _at(log, "loss", epochs[least])
    return len(validation) - least > 3 and validation[-1] > 1.1 * validation[least] and fell


def _lags(log: Log, validation) -> bool:
    """Whether the part of the training loss that is left is less than a quarter of that of the validation loss.

    In normal runs it is two thirds, with twelve images and no variation it was a thirtieth.
    """
    first, last = log.ends("loss")
    return validation[-1] / validation[0] > 4 * last / first


def best_is_past(log: Log) -> str | None:
    """AP has fallen by three hundredths or more since its best epoch, for another reason than :func:`overfits`."""
    epochs, values = log.known("AP50")
    if not len(values) or overfits(log) or values[-1] > values.max() - 0.03:
        return None
    best = int(values.argmax())
    return (
        f"AP50 was best in epoch {int(epochs[best])} ({values[best]:.3f}) and is {values[-1]:.3f} now: use best.h5. If "
        "it jumps from epoch to epoch, the learning rate is high or the validation images are few."
    )


def class_is_weak(log: Log) -> str | None:
    """The AP50 of one class is less than half of the median of the others, and a quarter of a point below it.

    Not before the others are learned, nor while it catches up: which class comes first says nothing.
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
    low = f"'{weakest}' has an AP50 of {known[weakest]:.3f}, the other classes {others:.3f}"
    return low + _on_objects(weakest, log.objects)


def _on_objects(name: str, objects: Mapping[str, int]) -> str:
    if name not in objects or len(objects) < 2:
        return ": annotate more objects of it, and look whether they are annotated alike."
    others = float(np.median([count for other, count in objects.items() if other != name]))
    counts = f"{objects[name]} objects to train on, the others {others:.0f} (median)"
    if objects[name] < 0.5 * others:
        return f". It has {counts}: annotate more of it."
    return f". It does not lack examples ({counts}): look whether it is annotated everywhere and alike."


def class_is_not_validated(log: Log) -> str | None:
    """A class has no AP in any epoch, others do: there is no object of it in the validation images."""
    names = [name for name in log.columns if name.startswith("AP50_")]
    empty = [f"'{name.removeprefix('AP50_')}'" for name in names if not len(log.known(name)[0])]
    if not empty or not len(log.known("AP50")[0]):
        return None
    counts = f"{len(empty)} of {len(names)} classes ({some_of(empty)})"
    return f"There is no object of {counts} in the validation images: AP says nothing of them."


def waits_for_data(log: Log) -> str | None:
    """More than a third of the time went into waiting for images, since the first epoch, which opens files."""
    _, shares = log.known("data_wait")
    share = float(np.median(shares[1:])) if len(shares) > 1 else math.nan
    if not share > 1 / 3:
        return None
    return f"Training waits for images {share:.0%} of the time: more --workers, or --cache memory, make it faster."


def still_climbing(log: Log) -> str | None:
    """In the last quarter of the evaluations AP rose by two hundredths or more, and the last is about the best."""
    epochs, values = log.known("AP")
    if len(values) < 8 or values[-1] < values.max() - 0.005:
        return None
    before = -1 - len(values) // 4
    gain = values[-1] - values[before]
    if gain < 0.02:
        return None
    return (
        f"AP still rises: {values[before]:.3f} in epoch {int(epochs[before])}, {values[-1]:.3f} in epoch "
        f"{int(epochs[-1])}. More --epochs may well give more."
    )


RUN_RULES: tuple[Callable[[Log], str | None], ...] = (
    loss_stands,
    loss_jumps,
    boxes_do_not_fit,
    ap_stands_at_zero,
    hardly_anything_found,
    class_part_stands,
    overfits,
    best_is_past,
    class_is_weak,
    class_is_not_validated,
    still_climbing,
    waits_for_data,
)
WARNING_RULES = (loss_stands, loss_jumps, boxes_do_not_fit, ap_stands_at_zero, class_part_stands, waits_for_data)


def _at(log: Log, name: str, epoch: float) -> float:
    """Return the value of a column in an epoch; NaN where it has none."""
    epochs, values = log.known(name)
    place = np.flatnonzero(epochs == epoch)
    return float(values[place[0]]) if len(place) else math.nan


def _nothing_stands_out(log: Log) -> str:
    first, last = log.ends("loss")
    epochs, values = log.known("AP50")
    if len(log.columns["epoch"]) < ENOUGH_EPOCHS:
        return f"Too early to say how the run goes: the training loss is {last:.1f} in epoch {log.epoch}."
    reached = f", AP50 reached {values.max():.3f} in epoch {int(epochs[values.argmax()])}" if len(values) else ""
    return f"Nothing stands out: the training loss fell from {first:.1f} to {last:.1f}{reached}."
