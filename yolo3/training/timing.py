"""Where the time of a run goes, phase by phase."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

PHASES = {
    "start": "start of TensorFlow",
    "data": "reading and checking data",
    "building": "building the network",
    "first_step": "first step",
    "compilation": "later compilations",
    "steps": "steps",
    "waiting": "waiting for images",
    "evaluation": "evaluation",
    "saving": "saving",
    "drawing": "drawing",
    "other": "other",
}
"""What a run does, in words for the user. Each second belongs to one phase; the first step includes its compilation."""


class Timing:
    """Seconds of each phase of a run.

    Attributes:
        seconds: Seconds by phase, up to the last change of phase.
    """

    def __init__(self):
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._phase, self._since = "other", time.perf_counter()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block to a phase; blocks within it count to theirs alone."""
        outer = self._phase
        self._change(name)
        try:
            yield
        finally:
            self._change(outer)

    def _change(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[self._phase] += now - self._since
        self._phase, self._since = name, now

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count seconds to another phase, of which is only known afterwards what they were."""
        self.seconds[source] -= seconds
        self.seconds[target] += seconds

    def add(self, before: Mapping[str, float]) -> None:
        """Add the seconds of processes that trained the run before this one."""
        for name in PHASES:
            self.seconds[name] += before.get(name, 0.0)


def time_in_words(seconds: Mapping[str, float]) -> str:
    """Return the whole time and the share of each phase that takes a hundredth or more, the largest first."""
    whole = sum(seconds.values())
    minutes, rest = divmod(round(whole), 60)
    length = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    shares = sorted(((value / max(whole, 1e-9), name) for name, value in seconds.items()), reverse=True)
    return f"{length}: {', '.join(f'{PHASES[name]} {share:.0%}' for share, name in shares if share >= 0.01)}"
