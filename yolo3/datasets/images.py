"""Image files: read upright in RGB, written whole."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from yolo3.files import replace_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".tif", ".tiff")
# Images of other kinds: they are not read, and a data set that has some is told so.
UNREAD_SUFFIXES = (".heic", ".heif", ".hif", ".avif", ".jxl", ".gif", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw")
# Names, in lower case, of folders that hold the images of a data set rather than masks or resized copies of them.
IMAGE_FOLDERS = ("images", "jpegimages", "image", "imgs", "img")
_WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read an image, turned upright as its EXIF orientation says.

    Grey images are repeated over three channels, an alpha channel is dropped, 16 bits are reduced to 8.

    Args:
        path: Path of the image.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it cannot be decoded.
    """
    raw = np.frombuffer(Path(path).read_bytes(), np.uint8)
    try:
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error as error:
        raise ValueError(f"{path}: expected an image of up to 2^30 pixels, which OpenCV decodes, got more") from error
    if image is None:
        raise ValueError(f"{path}: expected an image that can be decoded, got {raw.size} bytes that cannot")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image in the format of the suffix (.png, .jpg, .jpeg, .bmp, .webp), replacing the file in one step.

    Any path works, also one that OpenCV cannot open itself.

    Args:
        path: Path of the file; its folder is created if need be.
        image: uint8 RGB [H, W, 3].

    Raises:
        ValueError: For another suffix or array.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITTEN_SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in .png, .jpg, .jpeg, .bmp or .webp, got {suffix!r}")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix in (".jpg", ".jpeg") else []
    done, data = cv2.imencode(suffix, cv2.cvtColor(writable_copy(image), cv2.COLOR_RGB2BGR), quality)
    if not done:
        raise ValueError(f"{path}: OpenCV could not encode an image of {list(np.shape(image))}")
    replace_bytes(path, data.tobytes(), durable=False)


def writable_copy(image: np.ndarray) -> np.ndarray:
    """Return a contiguous copy of an image to draw on.

    Raises:
        ValueError: If it is not uint8 [H, W, 3] with at least one pixel.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"image: expected uint8 [height, width, 3], got {image.dtype} {list(image.shape)}")
    return np.ascontiguousarray(image).copy()
