"""Which images belong together: equal ones, nearly equal ones, frames of one film, copies made by augmentation."""

from __future__ import annotations

import cv2
import numpy as np

THUMBNAIL_SIDE = 16


def thumbnail(image: np.ndarray) -> bytes:
    """Return the grey values of an image shrunk to 16 x 16, by which nearly equal images are found.

    Args:
        image: uint8 [H, W, 3], RGB.

    Returns:
        256 bytes, row by row.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA).tobytes()
