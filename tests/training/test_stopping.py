"""Signals become a request to stop: heeded between two steps, at once where nothing can be saved, always in time."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from yolo3.training import stopping
from yolo3.training.stopping import Stopped, stop_signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")


HEARD = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
"""Handlers of a process that hears them all: under nohup, or in the background of a script, some are ignored."""


@pytest.fixture(autouse=True)
def heard():
    before = {name: signal.signal(getattr(signal, name), handler) for name, handler in HEARD.items()}
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_before_a_run_trains_a_signal_raises_at_once(name, status):
    handlers = signal.getsignal(getattr(signal, name))
    with pytest.raises(Stopped, match=name) as stopped, stop_signals():
        signal.raise_signal(getattr(signal, name))
        time.sleep(5)
    assert stopped.value.status == status
    assert signal.getsignal(getattr(signal, name)) is handlers


def test_while_a_run_trains_a_signal_waits_for_the_end_of_the_step(capfd):
    with stop_signals() as stop:
        with stop.deferring():
            stop.check()
            signal.raise_signal(signal.SIGTERM)
            step_is_whole = True
            with pytest.raises(Stopped):
                stop.check()
    assert step_is_whole and "Stopping after this step" in capfd.readouterr().err


def test_a_signal_in_a_callback_of_the_garbage_collector_is_heeded_at_the_next_check(capfd):
    def collected(phase, info):
        gc.callbacks.remove(collected)
        signal.raise_signal(signal.SIGTERM)

    with stop_signals() as stop:
        gc.callbacks.append(collected)
        gc.collect()  # the exception that a signal raises ends there
        with pytest.raises(Stopped):
            stop.check()
    assert capfd.readouterr().err == ""


def test_without_a_signal_nothing_happens():
    with stop_signals() as stop, stop.deferring():
        stop.check()
    assert stop.number is None


def ended(body, *numbers, pause=0.3):
    """Run a program that stops by signals, send it these, and return (status, stderr, seconds)."""
    program = "import ctypes, signal, time\nfrom yolo3.training import stopping\n" + textwrap.dedent(body)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    started = time.monotonic()
    for number in numbers:
        time.sleep(pause)
        os.kill(child.pid, number)
    _, err = child.communicate(timeout=30)
    return child.returncode, err, time.monotonic() - started


def test_a_second_ctrl_c_ends_at_once_without_a_traceback():
    status, err, seconds = ended(
        """
        with stopping.stop_signals() as stop, stop.deferring():
            print("ready", flush=True)
            while True:
                time.sleep(0.05)
        """,
        signal.SIGINT,
        signal.SIGINT,
    )
    assert status == 130 and seconds < 3
    assert "SIGINT: ended." in err and "Traceback" not in err


@pytest.mark.parametrize("saving, least", [(False, 0.8), (True, 1.6)])
def test_what_takes_too_long_is_ended_in_time(saving, least):
    block = "stop.saving = True" if saving else "pass"
    status, err, seconds = ended(
        f"""
        stopping.GRACE, stopping.GRACE_SAVING = 0.8, 1.6
        with stopping.stop_signals() as stop, stop.deferring():
            {block}
            print("ready", flush=True)
            ctypes.CDLL(None).sleep(20)  # handlers of Python wait for it
            ctypes.CDLL(None).sleep(20)  # a signal ends the first one
            while True:
                pass
        """,
        signal.SIGTERM,
    )
    assert status == 143 and least <= seconds < least + 4
    assert "SIGTERM: ended without saving; the last saved state is as it was." in err and "Traceback" not in err


def test_of_several_processes_none_stops_before_all_know():
    stop = stopping.StopRequest()
    stop.together, stop.number = True, signal.SIGINT
    stop.check()
    stop.agreed = True
    with pytest.raises(stopping.Stopped, match="SIGINT"):
        stop.check()
    stop.number = None  # another process was asked
    with pytest.raises(stopping.Stopped, match="SIGTERM"):
        stop.check()


def test_signals_that_a_library_has_taken_are_taken_back():
    status, err, _ = ended(
        """
        with stopping.stop_signals() as stop, stop.deferring():
            ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))  # ignored, behind Python's back
            stop.listen()
            print("ready", flush=True)
            time.sleep(1)
            stop.check()
        """,
        signal.SIGTERM,
    )
    assert status != 0 and "Stopped: SIGTERM" in err


def test_a_signal_that_nohup_ignores_is_ignored():
    status, err, _ = ended(
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stopping.stop_signals() as stop, stop.deferring():
            print("ready", flush=True)
            time.sleep(1)
            stop.check()
        """,
        signal.SIGHUP,
    )
    assert status == 0 and err == ""


def test_ten_seconds_are_kept_for_all_but_a_state_that_is_being_written():
    assert stopping.GRACE < 10 <= stopping.GRACE_SAVING < 30  # what schedulers wait before they kill: 30 s
