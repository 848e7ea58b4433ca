"""How training images vary, and where decoded ones are kept: settings, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

CACHES = ("auto", "memory", "disk", "none")
PLACEMENTS = ("fit", "crop")


@dataclass(frozen=True)
class Variation:
    """How training images vary; a value of 0 (1 for factors) turns a part off.

    ``jitter``: each side of the image changes by up to this fraction, which changes the aspect. ``zoom``,
    ``mosaic_zoom``: range of the image's size, 1 is the largest that fits the canvas. ``flip``: probability of a
    mirrored image. ``hue``: shift in turns of the colour circle. ``saturation``, ``exposure``: largest factor (or its
    inverse). ``mosaic``: probability that a canvas is made of four images. ``placement``: "fit" lays the image on
    the canvas with its aspect and size varied; "crop" moves each edge of what is seen of it in or out by up to
    ``jitter`` of its side and fills the canvas with that, as AlexeyAB's Darknet does (mosaics are always fitted).
    """

    jitter: float = 0.3
    zoom: tuple[float, float] = (0.8, 1.2)
    flip: float = 0.5
    hue: float = 0.1
    saturation: float = 1.5
    exposure: float = 1.5
    mosaic: float = 0.5
    mosaic_zoom: tuple[float, float] = (0.6, 1.4)
    placement: str = "fit"

    def __post_init__(self):
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter: expected a share from 0 to below 1, got {self.jitter}")
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement: expected one of {', '.join(PLACEMENTS)}, got {self.placement!r}")
        if self.placement == "crop" and self.jitter >= 0.5:
            raise ValueError(f"jitter: expected less than 0.5 to crop by, got {self.jitter}; nothing might be left")
        for name in ("saturation", "exposure"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name}: expected the largest factor, at least 1, got {getattr(self, name)}")
        for name in ("zoom", "mosaic_zoom"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name}: expected a smallest and a largest factor above 0, got {low} {high}")


@dataclass(frozen=True)
class AugmentSettings(Variation):
    """:class:`Variation` over a run; ``plain_share``: its last part, which goes without mosaic."""

    plain_share: float = 0.15
