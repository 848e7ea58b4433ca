"""The size of an image from its header, upright as it is decoded."""

from __future__ import annotations

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.image_header import read_header
from yolo3.datasets.images import open_image, read_image


def image_size(path: str) -> tuple[int, int]:
    """Return the size of the upright image from the header of its file.

    A file whose header :func:`yolo3.datasets.image_header.read_header` does not know is decoded.

    Args:
        path: Path of the image.

    Returns:
        (height, width) in pixels.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is not an image.
    """
    with open_image(path) as file:
        header = read_header(file)
    return read_image(path).shape[:2] if header is None else header.shape


def size_or_none(path: str) -> tuple[int, int] | None:
    """Return (height, width) of an image, None if it cannot be read, which the checks report later."""
    try:
        return image_size(path)
    except (OSError, ValueError):
        return None


def shape_of(annotation: Annotation) -> tuple[int, int]:
    """Return (height, width) of an annotation's image, from its header where the reader did not look."""
    return annotation.image_shape or image_size(annotation.image_path)


def size_findings(stated: tuple[int, int] | None, actual: tuple[int, int] | None, where: str) -> list[Finding]:
    """Compare the size that an annotation file states with the size of the upright image.

    Args:
        stated: (height, width) as the file states it, None if it does not.
        actual: (height, width) of the image, None if it cannot be read.
        where: The file.

    Returns:
        A warning if the sizes differ.
    """
    if stated is None or actual is None or stated == actual:
        return []
    sizes = f"expected the size of the upright image, {actual[1]}x{actual[0]}, got {stated[1]}x{stated[0]}"
    if stated == actual[::-1]:
        kind = "exif-size"
        reason = "the image is turned by its EXIF orientation, and the boxes may be those of the unturned image"
    else:
        kind, reason = "size-mismatch", "the boxes may be those of a resized image"
    return [Finding("warning", kind, where, f"{sizes}: {reason}; check them")]
