"""Progress bars of commands, on stderr and only where that is a terminal."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from yolo3.file_states import watching

_DELAY = 1.0  # seconds before a bar of data appears: work that is done sooner needs none
_REDRAW = 0.5  # seconds after which it is drawn again, so that it shows the time while nothing is counted


def open_bar(**options: Any) -> Any:
    """Return tqdm's progress bar on stderr; where tqdm is not installed, as with exported files alone, none is shown.

    Args:
        options: Of `tqdm.tqdm`.
    """
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return _NoBar()
    return tqdm(file=sys.stderr, **options)


class _NoBar(contextlib.AbstractContextManager):
    """Stand-in for a progress bar that is not shown."""

    n, total = 0, None

    def __exit__(self, *_: Any) -> None:
        pass

    def update(self, number: int = 1) -> None:
        self.n += number

    def write(self, line: str, file: TextIO = sys.stderr) -> None:
        print(line, file=file)


@contextlib.contextmanager
def progress_bar(unit: str, title: str | None = None, leave: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar within a `with` block.

    Args:
        unit: What is counted, such as "image".
        title: What the bar begins with.
        leave: Whether the bar stays when the block is left.

    Yields:
        A function to call with the number done and the total.
    """
    with open_bar(desc=title, unit=unit, disable=None, leave=leave) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextlib.contextmanager
def data_bar(title: str = "checking images") -> Iterator[Callable[[int, int], None]]:
    """Show the progress of reading and checking data within a `with` block, if it lasts.

    The bar counts the files that are read until the first call of the function, then images. tqdm draws it ten times a
    second at most.

    Args:
        title: What the bar begins with once images are counted.

    Yields:
        A function to call with the number of images done and of all.
    """
    from tqdm import tqdm

    done_reading, finished = threading.Event(), threading.Event()
    options = {"file": sys.stderr, "disable": None, "leave": False, "delay": _DELAY, "mininterval": 0.1, "miniters": 0}
    with tqdm(desc="reading", unit=" files", **options) as bar:

        def read_one() -> None:
            if not done_reading.is_set():
                bar.update()

        def show(done: int, total: int) -> None:
            if not done_reading.is_set():
                done_reading.set()
                bar.set_description(title, refresh=False)
                bar.unit = "image"
                bar.n = bar.last_print_n = 0
                bar.start_t = bar.last_print_t = time.time()
            bar.total = total
            bar.update(done - bar.n)

        def redraw() -> None:
            while not finished.wait(_REDRAW):
                bar.update(0)

        drawing = threading.Thread(target=redraw, daemon=True)
        if not bar.disable:
            drawing.start()
        try:
            with watching(read_one):
                yield show
        finally:
            finished.set()
            if drawing.is_alive():
                drawing.join()
