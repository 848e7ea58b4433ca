"""Settings of the input pipeline: augmentation, and where decoded images are kept; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

CACHES = ("auto", "memory", "disk", "none")
PLACEMENTS = ("fit", "crop")


@dataclass(frozen=True)
class Augmentation:
    """How training images are augmented; a value of 0 (1 for factors) turns a transformation off.

    Args:
        jitter: Largest relative change of each side of the image, which changes its aspect ratio.
        zoom: (low, high), range of the size of the image; 1 is the largest that fits the canvas.
        flip: Probability of a horizontal flip.
        hue: Largest shift of the hue, either way, in turns of the colour wheel.
        saturation: Largest factor of the saturation; the inverse is as likely.
        exposure: Largest factor of the brightness (value in HSV); the inverse is as likely.
        mosaic: Probability that a training example is a mosaic of four images.
        mosaic_zoom: `zoom` of the images of a mosaic.
        placement: "fit" places the whole image on the canvas, aspect ratio and size varied. "crop" moves each edge of
            the visible part in or out by up to `jitter` of its side and fills the canvas with it, as AlexeyAB's Darknet
            does; the images of mosaics are always fitted.
        plain_share: Last part of the run, as a fraction of its epochs, that goes without mosaic.

    Raises:
        ValueError: For values out of range.
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
    plain_share: float = 0.15

    def __post_init__(self):
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter: expected a fraction from 0 to below 1, got {self.jitter}")
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement: expected one of {', '.join(PLACEMENTS)}, got {self.placement!r}")
        if self.placement == "crop" and self.jitter >= 0.5:
            raise ValueError(
                f"jitter: expected less than 0.5 for cropping, or nothing might be left; got {self.jitter}"
            )
        for name in ("saturation", "exposure"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name}: expected the largest factor, at least 1, got {getattr(self, name)}")
        for name in ("zoom", "mosaic_zoom"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name}: expected a smallest and a largest factor above 0, got {low} {high}")

    def mosaic_end(self, epochs: int) -> float:
        """Return the epoch (0 is the first) from which on a run of `epochs` goes without mosaic."""
        return epochs * (1 - self.plain_share)
