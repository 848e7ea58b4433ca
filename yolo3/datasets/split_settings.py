"""Settings of drawn lists."""

from __future__ import annotations

from dataclasses import dataclass

from yolo3.settings import BELOW_ONE, BETWEEN, WHOLE, setting


@dataclass(frozen=True)
class SplitSettings:
    """How large the drawn lists are; the others are to train on."""

    val_split: float = setting(
        0.2, "share of the images in the list val", number=BETWEEN, unset="the data set's own lists, none drawn"
    )
    test_split: float = setting(0.0, "share of the images in the list test", number=BELOW_ONE)
    seed: int = setting(0, "seed of the draw", number=WHOLE)
