"""Stopping a run from outside: Ctrl-C, and the signals that schedulers and closed terminals send.

While a run trains, the first signal lets the present step end, so that the state can be saved; before that there is
nothing to save, and the command ends at once. What takes too long, such as a compilation, is ended from a thread:
schedulers kill what does not go within half a minute.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

GRACE = 9.0  # seconds from the signal to the end of the process
GRACE_SAVING = 25.0  # the same while the state is being written
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_FINISHED = b"\0"  # no signal has this number


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop.

    Args:
        number: Of the signal.

    Attributes:
        told: Whether the user was told how to go on.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.told = False

    @property
    def status(self) -> int:
        """The exit status by which shells and schedulers know the signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class StopRequest:
    """Whether a run has been asked to stop.

    Attributes:
        number: Of the signal that asked; None so far.
        deferred: Whether the run looks at `number` itself, between two steps; else a signal raises at once.
        saving: Whether the state is being written, which is not cut off after `GRACE`.
        together: Whether several processes train, which stop after the same step: none may leave the others waiting.
        agreed: With several processes, whether one of them was asked to stop, as all of them know after each step.
        listen: Takes the signals, also from a library that has taken them.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.deferred = False
        self.saving = False
        self.together = False
        self.agreed = False
        self.listen: Callable[[], None] = lambda: None

    def check(self) -> None:
        """Raise `Stopped` if the run was asked to stop."""
        if self.agreed or (self.number is not None and not self.together):
            raise Stopped(self.number or signal.SIGTERM)

    @contextlib.contextmanager
    def deferring(self) -> Iterator[None]:
        """Let signals within the block wait for the next `check`."""
        self.deferred = True
        try:
            yield
        finally:
            self.deferred = False

    @contextlib.contextmanager
    def while_saving(self) -> Iterator[None]:
        """Give the block the longer time that writing the state may take."""
        self.saving = True
        try:
            yield
        finally:
            self.saving = False


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Turn the signals within the block into a request to stop; a second Ctrl-C ends the process at once.

    Handlers are as before when the block is left. Outside the main thread, where Python sets none, nothing happens.

    Yields:
        The request.

    Raises:
        Stopped: Within the block, for a signal that does not wait for the run.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number, _):
        if request.number is not None:
            if number == signal.SIGINT:
                _end(number, "ended")
            return  # the first one is being heeded
        request.number = number
        if not request.deferred:
            raise Stopped(number)
        os.write(2, b"\nStopping after this step; press Ctrl-C again to end at once.\n")

    unraised = sys.unraisablehook

    def pass_over(unraisable):
        """Callbacks of the garbage collector cannot be left by an exception: the next `check` heeds the signal."""
        if not isinstance(unraisable.exc_value, Stopped):
            unraised(unraisable)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard, told = socket.socketpair()
    told.setblocking(False)
    watchdog = threading.Thread(target=_watch, args=(request, heard), daemon=True)
    watchdog.start()
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # nohup
                signal.signal(number, handle)

    request.listen = listen
    listen()
    sys.unraisablehook = pass_over
    try:
        yield request
    finally:
        sys.unraisablehook = unraised
        signal.set_wakeup_fd(wakeup)
        for number in numbers:
            signal.signal(number, before[number])
        told.send(_FINISHED)
        watchdog.join()
        heard.close()
        told.close()


def _watch(request: StopRequest, heard: socket.socket) -> None:
    """End the process if it is not done in time after a signal: handlers wait for what TensorFlow computes."""
    number = _next_stop(heard)
    if number is None:
        return
    asked = time.monotonic()
    while True:
        limit = GRACE_SAVING if request.saving else GRACE
        left = asked + limit - time.monotonic()
        if left <= 0:
            _end(number, "ended without saving; the last saved state is as it was")
        heard.settimeout(min(left, 0.2))
        with contextlib.suppress(TimeoutError):
            following = heard.recv(1)
            if following in (b"", _FINISHED):
                return
            if following[0] == number == signal.SIGINT:
                _end(number, "ended")


def _next_stop(heard: socket.socket) -> int | None:
    """Wait for one of the signals; None if the block was left."""
    while True:
        byte = heard.recv(1)
        if byte in (b"", _FINISHED):
            return None
        if signal.Signals(byte[0]).name in _NAMES and signal.getsignal(byte[0]) is not signal.SIG_IGN:
            return byte[0]


def _end(number: int, words: str) -> None:
    os.write(2, f"\n{signal.Signals(number).name}: {words}.\n".encode())
    os._exit(128 + number)
