"""Progress bars of commands, on stderr and only where that is a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator


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
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, file=sys.stderr, disable=None, leave=leave) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
