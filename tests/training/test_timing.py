"""Seconds by phase: each belongs to one, whatever lies within what."""

import time

import pytest

from yolo3.training.run_folder import RunFolder
from yolo3.training.timing import PHASES, Timing, time_in_words


@pytest.fixture
def clock(monkeypatch):
    """Function that lets seconds go by."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_each_second_is_counted_once(clock):
    timing = Timing()
    clock(1)
    with timing.phase("evaluation"):
        clock(2)
        with timing.phase("waiting"):
            clock(4)
        clock(8)
    with timing.phase("steps"):
        clock(16)
    timing.move(6, "steps", "first_step")
    found = {name: value for name, value in timing.seconds.items() if value}
    assert found == {"other": 1, "evaluation": 10, "waiting": 4, "steps": 10, "first_step": 6}


def test_a_phase_that_fails_is_counted_too(clock):
    timing = Timing()
    with pytest.raises(OSError), timing.phase("saving"):
        clock(3)
        raise OSError
    with timing.phase("steps"):
        clock(1)
    assert (timing.seconds["saving"], timing.seconds["steps"]) == (3, 1)


def test_what_a_run_took_before_is_added(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.seconds() == {}
    folder.keep_seconds({"steps": 2.0004, "data": 1})
    assert folder.seconds() == {"steps": 2.0, "data": 1}
    timing = Timing()
    timing.add(folder.seconds())
    assert (timing.seconds["steps"], timing.seconds.keys()) == (2.0, PHASES.keys())
    (tmp_path / "timing.json").write_text('{"seconds": [1], "total": 1}')
    assert folder.seconds() == {}


def test_shares_below_a_hundredth_are_left_out_of_the_words():
    assert time_in_words({"steps": 98.5, "data": 21, "saving": 0.5}) == (
        "2 min 0 s: steps 82%, reading and checking data 18%"
    )
    assert time_in_words({"steps": 5}) == "5 s: steps 100%"
