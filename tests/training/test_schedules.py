"""The learning rate: warm-up by hand, the three schedules at their ends and steps."""

import math

import pytest

from yolo3.training.schedules import SCHEDULES, default_burn_in, learning_rate, rescale_steps


def rate_of(update, total, base, schedule, **options):
    return learning_rate(update, total=total, base=base, schedule=schedule, **options)


def test_the_first_step_of_the_warm_up_has_the_fourth_power_of_its_fraction():
    # (1 / 10)^4 of .5 = .00005; (5 / 10)^4 = 1/16 of it at the fifth step; the tenth step has the full rate.
    rates = [rate_of(step, 1000, 0.5, "constant", burn_in=10) for step in (0, 4, 9, 10)]
    assert rates == pytest.approx([5e-5, 0.5 / 16, 0.5, 0.5])


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert [rate_of(0, 100, 0.1, schedule) for schedule in SCHEDULES] == pytest.approx([0.1] * 3)


def test_cosine_falls_from_the_full_rate_to_a_fiftieth_and_is_halfway_in_the_middle():
    # In the middle: .02 + .98 (1 + cos(pi/2)) / 2 = .51. At the end: .02.
    assert [rate_of(step, 200, 1.0, "cosine") for step in (0, 100, 200)] == pytest.approx([1, 0.51, 0.02])
    rates = [rate_of(step, 200, 1.0, "cosine") for step in range(201)]
    assert all(later < earlier for earlier, later in zip(rates, rates[1:]))


def test_cosine_stays_at_its_end_after_the_run():
    assert rate_of(500, 200, 1.0, "cosine") == pytest.approx(0.02)


def test_steps_divide_by_ten_at_four_fifths_and_again_at_nine_tenths():
    rates = [rate_of(step, 100, 1.0, "steps") for step in (78, 79, 88, 89, 99)]
    assert rates == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_the_schedule_counts_the_warm_up_as_part_of_the_run():
    with_burn_in, without = (rate_of(50, 100, 1.0, "cosine", burn_in=burn_in) for burn_in in (20, 0))
    assert with_burn_in == without


def test_steps_of_a_recipe_count_updates_done():
    # k = update + 1 is the number of updates done, Darknet's batch number: from k = 3 on a tenth, from 5 half of that.
    rates = [rate_of(update, 9, 1.0, "steps", steps=((3, 0.1), (5, 0.5))) for update in range(6)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.05, 0.05])


def test_the_power_of_the_warm_up_can_be_changed():
    assert rate_of(1, 100, 1.0, "constant", burn_in=4, burn_in_power=2) == pytest.approx(0.25)  # (2/4)^2


def test_steps_are_moved_to_the_same_fractions_of_a_shorter_run():
    # 400,000 and 450,000 of 500,200 updates are .7997 and .8996: of 1,000 updates 800 and 900.
    assert rescale_steps(((400_000, 0.1), (450_000, 0.1)), from_total=500_200, to_total=1000) == (
        (800, 0.1),
        (900, 0.1),
    )
    assert rescale_steps(None, from_total=10, to_total=20) is None


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="cosine, steps, constant.*'linear'"):
        rate_of(3, 10, 1.0, "linear")


def test_a_run_of_no_steps_has_a_rate():
    assert math.isfinite(rate_of(0, 0, 1.0, "cosine"))


def test_the_default_warm_up_is_a_twentieth_and_at_most_a_thousand_steps():
    assert [default_burn_in(steps) for steps in (10, 100, 20_000, 500_000)] == [0, 5, 1000, 1000]
