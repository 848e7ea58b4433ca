"""Which weights of a run are the best: those with the highest AP (COCO's, at IoUs of .5 to .95) in validation."""

from __future__ import annotations

import math
from collections.abc import Sequence

CHOSEN_BY = "AP"
"""Column of the log by which `best.h5` is chosen."""


def is_better(row: dict, best: dict) -> bool:
    """Return whether the weights of an epoch take the place of the best so far.

    At an equal AP the later weights are taken, which have learned for longer: in the first epochs AP is often 0.
    Without validation the last weights are the best.

    Args:
        row: The epoch's row of the log.
        best: Row of the best weights so far; empty before the first ones.
    """
    ap, best_ap = row.get(CHOSEN_BY, math.nan), best.get(CHOSEN_BY, math.nan)
    return math.isnan(best_ap) or ap >= best_ap


def evaluations_since_best(rows: Sequence[dict]) -> int:
    """Return how many evaluations there were since the one with the highest AP, of several equal ones the first.

    While AP is 0 nothing is counted: nothing was learned so far that could be lost.
    """
    scores = [row[CHOSEN_BY] for row in rows if not math.isnan(row.get(CHOSEN_BY, math.nan))]
    if not scores or not max(scores):
        return 0
    return len(scores) - 1 - scores.index(max(scores))


def epoch_of_highest_ap50(rows: Sequence[dict]) -> int:
    """Return the epoch whose weights a version has kept that chose them by AP50: the first highest; 0 for none."""
    evaluated = [row for row in rows if not math.isnan(row.get("AP50", math.nan))]
    return max(evaluated, key=lambda row: row["AP50"])["epoch"] if evaluated else 0


def row_of_epoch(rows: Sequence[dict], epoch: int) -> dict:
    """Return the row of an epoch in the log; empty if there is none."""
    return next((row for row in rows if row["epoch"] == epoch), {})
