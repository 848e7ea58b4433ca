"""Bring pixels of any depth to 8 bits; the only place that decides which value is white.

Files do not say it reliably: 12-bit data lie in 16-bit files, PNG's sBIT tells the depth of a sensor whose values were
spread over all 16 bits, and TIFF's MaxSampleValue is for statistics alone (TIFF 6.0, section 8). So the brightest value
of the image decides, in the steps of cameras: values up to 4095 are 12-bit data. The steps are coarse so that frames of
one film, whose brightest values differ a little, are read alike.
"""

from __future__ import annotations

import functools
import logging

import numpy as np

logger = logging.getLogger(__name__)

DEPTHS = (8, 10, 12, 14, 16, 24, 32)


def to_8_bit(pixels: np.ndarray, name: object = "image") -> np.ndarray:
    """Return pixels as 8 bits a channel, and log once how such images are read.

    Whole numbers: the depth is the smallest of :data:`DEPTHS` that holds the brightest value, and the upper 8 bits of
    it stay. Other numbers: 0..1 where none is above 1, else as whole numbers. What is below 0 or no number becomes 0.

    Args:
        pixels: Of any shape and numeric type.
        name: Of the image, for the log.

    Returns:
        uint8, of the same shape; the array itself if it is.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)

    is_float = np.issubdtype(pixels.dtype, np.floating)
    if is_float:
        pixels = np.where(np.isfinite(pixels), pixels, 0)
    brightest = pixels.max(initial=0)
    if is_float and brightest <= 1:
        depth, white = 0, 1.0
    else:
        depth = next((depth for depth in DEPTHS if brightest < 2**depth), DEPTHS[-1])
        white = 2.0**depth - 1
    _tell(str(name), str(pixels.dtype), depth, f"{brightest:g}")

    positive = np.maximum(pixels, 0)
    if is_float:
        return np.rint(np.minimum(positive * (255 / white), 255)).astype(np.uint8)
    return (positive >> (depth - 8)).astype(np.uint8)


def _tell(name: str, dtype: str, depth: int, brightest: str) -> None:
    """Log how an image was read, once for each type and depth."""
    if (dtype, depth) not in _told():
        _told().add((dtype, depth))
        read_as = f"{depth}-bit values" if depth else "values from 0 to 1"
        logger.warning(
            "%s: %s pixels up to %s, read as %s; the brightest value of an image decides",
            name,
            dtype,
            brightest,
            read_as,
        )


@functools.cache
def _told() -> set[tuple[str, int]]:
    """Return what has been told in this process: (type, depth)."""
    return set()
