"""The learning rate at each update, as plain numbers: warm-up, then constant, cosine or steps.

Darknet and the option `--burn-in` call the warm-up "burn-in". Updates are counted, not steps: with
accumulated gradients several steps make one update.
"""

import math
from collections.abc import Sequence

SCHEDULES = ("cosine", "steps", "constant")
WARM_UP_PART = 20  # the warm-up is 1 / WARM_UP_PART of the updates if `burn_in` is not given,
LONGEST_WARM_UP = 1000  # but no longer than in Darknet's yolov3.cfg
BURN_IN_POWER = 4.0  # Darknet's default `power`
_STEPS = ((0.8, 0.1), (0.9, 0.1))  # Darknet's yolov3.cfg: a tenth at 80 % and again at 90 % of max_batches
COSINE_END = 0.02  # of the full rate


def learning_rate(
    update: int,
    *,
    total: int,
    base: float,
    schedule: str = "cosine",
    burn_in: int = 0,
    burn_in_power: float = BURN_IN_POWER,
    steps: Sequence[tuple[float, float]] | None = None,
) -> float:
    """Return the learning rate of an update.

    With k = update + 1, Darknet's number of batches done (src/network.c, get_current_rate): base (k / burn_in)^power
    while k < burn_in; then the schedule, which counts the warm-up as part of the run.

    Args:
        update: 0 is the first.
        total: Updates of the run.
        base: The full rate.
        schedule: "constant"; "cosine", which falls to a fiftieth of the full rate; or "steps".
        burn_in: Updates of the warm-up.
        burn_in_power: Exponent of the warm-up.
        steps: (start, factor) pairs of the schedule "steps": the factor counts from k = start on. By default a tenth at
            80 % and again at 90 % of the run.

    Raises:
        ValueError: For an unknown schedule.
    """
    if update + 1 < burn_in:
        return base * ((update + 1) / burn_in) ** burn_in_power
    if schedule == "constant":
        return base
    if schedule == "steps":
        starts = [(share * total, factor) for share, factor in _STEPS] if steps is None else steps
        return base * math.prod(factor for start, factor in starts if start <= update + 1)
    if schedule == "cosine":
        done = min(update / max(total, 1), 1)
        return base * (COSINE_END + (1 - COSINE_END) * 0.5 * (1 + math.cos(math.pi * done)))
    raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}")


def default_burn_in(total: int) -> int:
    """Return the updates of the warm-up of a run of `total` updates."""
    return min(total // WARM_UP_PART, LONGEST_WARM_UP)


def rescale_steps(
    steps: Sequence[tuple[int, float]] | None, *, from_total: int, to_total: int
) -> tuple[tuple[int, float], ...] | None:
    """Return the steps of a schedule moved to the same fractions of a run of another length.

    Args:
        steps: (start, factor) pairs, None for the default ones.
        from_total: Updates of the run that they were meant for.
        to_total: Updates of the new run.
    """
    if steps is None:
        return None
    return tuple((round(start / from_total * to_total), factor) for start, factor in steps)
