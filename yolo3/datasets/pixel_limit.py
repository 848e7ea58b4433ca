"""How many pixels an image may have in this process; needs neither NumPy nor OpenCV."""

from yolo3.settings import Number

MAX_PIXELS = 1 << 28  # of an image: 0.8 GB as RGB
_OPENCV_PIXELS = 1 << 30  # its own limit
PIXELS = Number("a whole number from 1 to 2^30", int, lambda value: 1 <= value <= _OPENCV_PIXELS)

_max_pixels = MAX_PIXELS


def limit_pixels(count: int) -> None:
    """Set how many pixels an image may have in this process, :data:`MAX_PIXELS` at first.

    Raises:
        ValueError: For more than OpenCV decodes, 2^30.
    """
    global _max_pixels
    if not PIXELS.holds(count):
        raise ValueError(f"max_pixels: expected {PIXELS.words}, got {count}")
    _max_pixels = count


def pixel_limit() -> int:
    """Return how many pixels an image may have in this process."""
    return _max_pixels


def exceeds_limit(image_shape: tuple[int, int]) -> bool:
    """Return whether an image of (height, width) has more pixels than :func:`limit_pixels` allows."""
    return image_shape[0] * image_shape[1] > _max_pixels
