"""Drawing beside a run: in order, the newest of a kind, and no error is lost."""

import threading

import pytest

from yolo3.training.drawing import Drawing


@pytest.fixture
def held():
    """A drawing whose thread is busy until the event is set."""
    drawing, event = Drawing(), threading.Event()
    drawing.ask("first", event.wait)
    yield drawing, event
    event.set()
    drawing.end()


def test_nobody_waits_and_of_a_kind_that_has_not_begun_the_last_is_drawn(held):
    drawing, event = held
    drawn = []
    for kind, number in [("curves", 1), ("images", 2), ("curves", 3), ("images", 4), ("curves", 5)]:
        drawing.ask(kind, lambda number=number: drawn.append(number))
    assert drawn == []
    event.set()
    drawing.wait()
    assert drawn == [4, 5]


def fail():
    raise OSError("disk full")


def test_an_error_is_raised_by_the_next_call(held):
    drawing, event = held
    drawing.ask("images", fail)
    event.set()
    with pytest.raises(OSError, match="disk full"):
        drawing.wait()

    done = threading.Event()
    drawing.ask("images", fail)
    drawing.ask("curves", done.set)
    assert done.wait(10)
    with pytest.raises(OSError, match="disk full"):
        drawing.ask("images", print)


def test_at_the_end_all_is_drawn_and_errors_are_returned(held):
    drawing, event = held
    drawn = []
    drawing.ask("images", fail)
    drawing.ask("curves", lambda: drawn.append(1))
    event.set()
    assert [str(error) for error in drawing.end()] == ["disk full"]
    assert drawn == [1]
