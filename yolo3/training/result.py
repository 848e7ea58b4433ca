"""How a run ended: its figures, its files, and its course."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yolo3.training import run_folder
from yolo3.training.best_weights import CHOSEN_BY
from yolo3.training.run_folder import RunFolder


@dataclass(frozen=True, repr=False)
class Result:
    """How a run ended.

    Args:
        folder: Its folder.
        last_row: The last row of the log with an evaluation, or the last row.
        best_row: Row of the log of the best weights, those with the highest AP; without validation the last row.
        advice: Sentences on the log, see `yolo3.training.advice`.
        num_val: Number of images that it validated on.
        seconds: Time of each phase of the run, see `yolo3.training.timing`.
    """

    folder: RunFolder
    last_row: dict
    best_row: dict
    advice: tuple[str, ...] = ()
    num_val: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.folder.path

    @property
    def weights(self) -> Path:
        """File of the weights with the highest AP, or of the last ones without validation."""
        return self.folder.file(run_folder.BEST)

    @property
    def last_weights(self) -> Path:
        """File of the weights of the last epoch."""
        return self.folder.file(run_folder.LAST)

    @property
    def files(self) -> dict[str, Path]:
        """The other files that the run has written, by their names without the ending, such as "curves"."""
        names = ("LOG", "CURVES", "PREDICTIONS", "PRECISION_RECALL", "CONFUSION", "REPORT", "SETTINGS", "CLASSES")
        paths = [self.folder.file(getattr(run_folder, name)) for name in names]
        return {path.stem: path for path in paths if path.exists()}

    @property
    def AP50(self) -> float:  # noqa: N802
        """AP50 of the best weights, NaN without an evaluation."""
        return self.best_row.get("AP50", math.nan)

    @property
    def AP(self) -> float:  # noqa: N802
        """AP of the best weights, NaN without an evaluation."""
        return self.best_row.get("AP", math.nan)

    @property
    def history(self) -> dict[str, list]:
        """Columns of the log, a value for each epoch; None in epochs without an evaluation."""
        rows = self.folder.rows
        return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}

    @property
    def chosen(self) -> str:
        """Why the best weights are the best, in words after their name; empty without an evaluation."""
        return f" (epoch {self.best_row['epoch']}, highest {CHOSEN_BY})" if CHOSEN_BY in self.best_row else ""

    def detector(self, **options: Any) -> Any:
        """Return the detector of the best weights.

        Args:
            **options: Arguments of :class:`yolo3.inference.detector.Detector`.
        """
        from yolo3.inference.detector import Detector

        return Detector(self.weights, **options)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.path}, {len(self.folder.rows)} epochs)"]
        if self.last_row:
            lines += [f"  loss     {self.last_row['loss']:.2f}"]
        if not math.isnan(self.AP50):
            lines += [f"  AP50     {self.AP50:.3f}", f"  AP       {self.AP:.3f}"]
        return "\n".join([*lines, f"  weights  {self.weights}{self.chosen}"])
