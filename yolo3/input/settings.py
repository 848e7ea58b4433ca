"""Settings of the input pipeline: augmentation, and where decoded images are kept; needs no TensorFlow."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from yolo3.settings import BELOW_ONE, FACTOR, POSITIVE, SHARE, check_settings, setting

CACHES = ("auto", "memory", "disk", "none")
SCALE_EVERY = 10  # batches of one size in multi-scale training, as in Darknet
PLACEMENTS = ("fit", "crop")
MOSAIC_IMAGES = 4
MIN_SIDE = 2.0  # pixels of the network input; the visible part of a box has to be at least as wide and as high
MIN_VISIBLE = 0.2  # of its area, for a box that the canvas or the mosaic cuts

_augment = functools.partial(setting, group="augmentation of the training images")


@dataclass(frozen=True)
class Augmentation:
    """How training images are augmented; a value of 0 (1 for factors) turns a transformation off.

    With `placement` "fit" the whole image lies on the canvas, its aspect ratio and size varied. With "crop" each edge
    of the visible part moves in or out by up to `jitter` of its side, and that part fills the canvas, as in AlexeyAB's
    Darknet; the images of mosaics are always fitted.

    Raises:
        ValueError: For a setting out of range.
    """

    jitter: float = _augment(
        0.3, "maximum relative change of each side, which changes the aspect ratio", number=BELOW_ONE
    )
    placement: str = _augment(
        "fit", "fit: the whole image is placed on the canvas; crop: a part of it fills the canvas", choices=PLACEMENTS
    )
    zoom: tuple[float, float] = _augment(
        (0.8, 1.2),
        "range of the size of an image; 1 is the largest size that fits the canvas",
        metavar=("LOW", "HIGH"),
        number=POSITIVE,
        many=2,
    )
    flip: float = _augment(0.5, "probability of a horizontal flip", number=SHARE)
    hue: float = _augment(0.1, "maximum hue shift, in turns of the colour wheel", number=SHARE)
    saturation: float = _augment(1.5, "maximum saturation factor; its inverse is equally likely", number=FACTOR)
    exposure: float = _augment(1.5, "maximum brightness factor; its inverse is equally likely", number=FACTOR)
    mosaic: float = _augment(0.5, "probability of a mosaic of four images", number=SHARE)
    mosaic_zoom: tuple[float, float] = _augment(
        (0.6, 1.4),
        "range of the size of each image in a mosaic",
        metavar=("LOW", "HIGH"),
        number=POSITIVE,
        many=2,
    )
    plain_share: float = _augment(0.15, "share of the run, at its end, that is trained without mosaic", number=SHARE)

    def __post_init__(self):
        check_settings(self)
        if self.placement == "crop" and self.jitter >= 0.5:
            raise ValueError(
                f"jitter: expected less than 0.5 for cropping, so that something is left; got {self.jitter}"
            )
        for name in ("zoom", "mosaic_zoom"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: expected a smallest and a largest factor, got {low} {high}")

    def mosaic_end(self, epochs: int) -> float:
        """Return the epoch (0 is the first) from which on a run of `epochs` goes without mosaic."""
        return epochs * (1 - self.plain_share)
