"""Drawing beside a run: in a thread of its own, so that no step waits for an image."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Drawing:
    """What is to be drawn, one after the other; of each kind the last that was asked for.

    An error is raised by the next call.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "drawing")
        self._asked: list[tuple[str, Future]] = []

    def ask(self, kind: str, draw: Callable[[], None]) -> None:
        """Have something drawn, in place of what was asked for of its kind and has not begun."""
        for other, future in self._asked:
            if future.done():
                future.result()
            elif other == kind:
                future.cancel()
        self._asked = [pair for pair in self._asked if not pair[1].done()]
        self._asked.append((kind, self._thread.submit(draw)))

    def wait(self) -> None:
        """Return when all is drawn."""
        while self._asked:
            self._asked.pop(0)[1].result()

    def end(self) -> list[Exception]:
        """Draw what is still asked for, end the thread, and return what went wrong."""
        self._thread.shutdown()
        errors = (future.exception() for _, future in self._asked)
        self._asked = []
        return [error for error in errors if isinstance(error, Exception)]
