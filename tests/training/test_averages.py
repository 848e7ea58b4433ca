"""Momenta of the moving averages of a run."""

import pytest

from yolo3.training.averages import default_ema, statistics_momentum


def test_the_default_average_is_over_a_fortieth_of_the_run():
    # 4000 / 40 = 100 steps; at least 2 and at most 1000.
    assert [default_ema(steps) for steps in (4000, 10, 10**6)] == pytest.approx([0.99, 0.5, 0.999])


def test_short_runs_average_the_statistics_of_normalization_over_less():
    # A twentieth of the run: 40 steps average over 2, 400 over 20; from 2000 on Darknet's momentum, over 100.
    assert [statistics_momentum(steps) for steps in (40, 400, 2000, 10**6)] == pytest.approx([0.5, 0.95, 0.99, 0.99])
