"""The learning rate at each step, as plain numbers: burn-in, then constant, cosine or steps."""

import math

SCHEDULES = ("cosine", "steps", "constant")
_BURN_IN_POWER = 4  # Darknet's default `power`
_STEPS = ((0.8, 0.1), (0.9, 0.1))  # Darknet's yolov3.cfg: a tenth at 80 % and again at 90 % of max_batches
_COSINE_END = 0.02  # of the full rate


def learning_rate(step: int, total_steps: int, base: float, schedule: str = "cosine", burn_in: int = 0) -> float:
    """Return the rate of step ``step`` (0 is the first) of ``total_steps``.

    During burn-in: base ((step + 1) / burn_in)^4, as Darknet's ``get_current_rate``; after it the schedule, which
    counts the burn-in as part of the run.
    """
    if step < burn_in:
        return base * ((step + 1) / burn_in) ** _BURN_IN_POWER
    return base * _factor(step / max(total_steps, 1), schedule)


def _factor(done: float, schedule: str) -> float:
    if schedule == "constant":
        return 1.0
    if schedule == "steps":
        return math.prod(scale for start, scale in _STEPS if done >= start)
    if schedule == "cosine":
        return _COSINE_END + (1 - _COSINE_END) * 0.5 * (1 + math.cos(math.pi * min(done, 1)))
    raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}")


def default_burn_in(total_steps: int) -> int:
    """Return a burn-in of a twentieth of the run, at most Darknet's 1000 steps."""
    return min(total_steps // 20, 1000)
