"""Image files: read upright in RGB, written whole, and their size from the header."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np

from yolo3.datasets.annotation import Finding
from yolo3.files import replace_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Return the image as uint8 RGB [H, W, 3], turned upright as its EXIF orientation says.

    Grey images are repeated over three channels, an alpha channel is dropped, 16 bits are reduced to 8. Raises
    ``FileNotFoundError`` when it is absent and ``ValueError`` when it cannot be decoded.
    """
    raw = np.frombuffer(Path(path).read_bytes(), np.uint8)
    try:
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error as error:
        raise ValueError(f"{path}: expected an image of up to 2^30 pixels, which OpenCV decodes, got more") from error
    if image is None:
        raise ValueError(f"{path}: expected an image that can be decoded, got {raw.size} bytes that cannot")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def size_or_none(path: str) -> tuple[int, int] | None:
    """(height, width) of an image, None when it cannot be read: the checks say so later."""
    try:
        return image_size(path)
    except (OSError, ValueError):
        return None


def size_findings(stated: tuple[int, int] | None, actual: tuple[int, int] | None, where: str) -> list[Finding]:
    """A warning when the (height, width) that a file states is not that of the upright image."""
    if stated is None or actual is None or stated == actual:
        return []
    sizes = f"expected the size of the upright image, {actual[1]}x{actual[0]}, got {stated[1]}x{stated[0]}"
    if stated == actual[::-1]:
        return [
            Finding(
                "warning",
                "exif-size",
                where,
                f"{sizes}: the image is turned by its EXIF mark, and the boxes may be those of the image "
                "lying on its side; look at them",
            )
        ]
    return [
        Finding(
            "warning",
            "size-mismatch",
            where,
            f"{sizes}: the boxes may be those of a resized image; look at them",
        )
    ]


# Image sizes


def image_size(path: str) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, EXIF rotation applied, from the file's header.

    JPEG: ISO/IEC 10918-1 B.2.2 and the orientation tag of EXIF 2.3; PNG: ISO/IEC 15948 11.2.2; BMP:
    BITMAPINFOHEADER. Anything else, or a header that makes no sense, is decoded with OpenCV. Raises OSError
    when the file cannot be opened and ValueError when it is no image.
    """
    with open(path, "rb") as file:
        shape = _size_from_header(file)
    if shape is None:
        shape = read_image(path).shape[:2]
    return shape


def _size_from_header(file) -> tuple[int, int] | None:
    head = file.read(32)
    file.seek(0)
    try:
        if head[:2] == b"\xff\xd8":
            size = _jpeg_size(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            size = _png_size(file)
        elif head[:2] == b"BM" and len(head) >= 26 and struct.unpack_from("<I", head, 14)[0] >= 40:
            width, height = struct.unpack_from("<ii", head, 18)
            size = abs(height), width  # a negative height means rows from the top down
        else:
            return None
    except (struct.error, IndexError):
        return None
    return size if size is not None and min(size) > 0 else None


# Start-of-frame markers; C4, C8 and CC are tables and extensions.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_size(file) -> tuple[int, int] | None:
    """Walk the segments up to the frame header; an orientation of 5 to 8 swaps the sides."""
    file.seek(2)
    orientation = 1
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or byte in (b"\xd9", b"\xda"):
            return None
        if byte[0] == 0x01 or 0xD0 <= byte[0] <= 0xD8:  # markers without a body
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if byte[0] in _SOF:
            height, width = struct.unpack(">xHH", file.read(5))
            return (width, height) if orientation >= 5 else (height, width)
        body = file.read(length - 2)
        if byte[0] == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = _exif_orientation(body[6:])


def _png_size(file) -> tuple[int, int] | None:
    """The header chunk comes first; an eXIf chunk, before or after the pixels, may turn the image."""
    file.seek(8)
    size, orientation = None, 1
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        after = file.tell() + length + 4
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            size = height, width
        elif kind == b"eXIf":
            orientation = _exif_orientation(file.read(length))
        if size is None or kind == b"IEND":
            break
        file.seek(after)
    return size[::-1] if size is not None and orientation >= 5 else size


def _exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory: 1 is upright, 5 to 8 lie on their side. 1 when it is absent or
    nonsense.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an RGB image as the suffix says (.png, .jpg, .jpeg, .bmp, .webp), replacing the file in one step.

    Any path works, also one that OpenCV cannot open itself. Raises ``ValueError`` for another suffix or
    array.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg", ".bmp", ".webp"):
        raise ValueError(f"{path}: expected a name that ends in .png, .jpg, .jpeg, .bmp or .webp, got {suffix!r}")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix in (".jpg", ".jpeg") else []
    done, data = cv2.imencode(suffix, cv2.cvtColor(writable_copy(image), cv2.COLOR_RGB2BGR), quality)
    if not done:
        raise ValueError(f"{path}: OpenCV could not encode an image of {list(np.shape(image))}")
    replace_bytes(path, data.tobytes())


def writable_copy(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"image: expected uint8 [height, width, 3], got {image.dtype} {list(image.shape)}")
    return np.ascontiguousarray(image).copy()
