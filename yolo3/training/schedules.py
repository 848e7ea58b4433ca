"""The learning rate at each update, as plain numbers: burn-in, then constant, cosine or steps."""

import math
from collections.abc import Sequence

SCHEDULES = ("cosine", "steps", "constant")
BURN_IN_POWER = 4.0  # Darknet's default `power`
_STEPS = ((0.8, 0.1), (0.9, 0.1))  # Darknet's yolov3.cfg: a tenth at 80 % and again at 90 % of max_batches
_COSINE_END = 0.02  # of the full rate


def learning_rate(
    update: int, total: int, base: float, schedule: str = "cosine", burn_in: int = 0,
    burn_in_power: float = BURN_IN_POWER, steps: Sequence[tuple[float, float]] | None = None,
) -> float:  # fmt: skip
    """Return the rate of update ``update`` (0 is the first) of ``total``.

    With k = update + 1, Darknet's number of batches done (src/network.c, ``get_current_rate``): base
    (k / burn_in)^power while k < burn_in; then the schedule, which counts the burn-in as part of the run. ``steps``:
    (start, factor) pairs, the factor counts from k = start on; by default a tenth at 80 % and again at 90 %.
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
        return base * (_COSINE_END + (1 - _COSINE_END) * 0.5 * (1 + math.cos(math.pi * done)))
    raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}")


def default_burn_in(total: int) -> int:
    """Return a burn-in of a twentieth of the run, at most Darknet's 1000 updates."""
    return min(total // 20, 1000)


def squeezed(steps: Sequence[tuple[int, float]] | None, from_total: int, to_total: int):
    """Return ``steps`` of a run of ``from_total`` updates at the same shares of a run of ``to_total``."""
    return steps and tuple((round(start / from_total * to_total), factor) for start, factor in steps)
