"""Image files: one reader of all of them, upright in RGB with 8 bits; written whole."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from yolo3.datasets.image_header import ImageHeader, read_header
from yolo3.datasets.pixel_limit import exceeds_limit, pixel_limit
from yolo3.datasets.pixel_limit import limit_pixels as limit_pixels  # where servers written for 0.1 import it from
from yolo3.datasets.pixel_range import to_8_bit
from yolo3.file_states import record_file
from yolo3.files import printable, replace_bytes
from yolo3.ops.letterbox import reduce_image, reduction

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".tif", ".tiff")
# Images of other kinds: they are not read, and a data set that has some is told so.
UNREAD_SUFFIXES = (".heic", ".heif", ".hif", ".avif", ".jxl", ".gif", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw")
# Names, in lower case, of folders that hold the images of a data set rather than masks or resized copies of them.
IMAGE_FOLDERS = ("images", "jpegimages", "image", "imgs", "img")
# Names of folders that hold the annotation files of a data set beside the folder of its images.
ANNOTATION_FOLDERS = ("annotations", "annotation", "annots", "labels", "label", "csv", "json", "xml", "xmls")
_WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")

# OpenCV's flags by how much smaller a JPEG is decoded. It turns no image but TIFF: `read_header` says how.
_FLAGS = {
    1: cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION,
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
}
_TO_RGB = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # EXIF orientation to OpenCV's flip, after the transposition of 5 to 8


class ImageError(ValueError):
    """A file that cannot be used as an image.

    Args:
        kind: Short name of the fault, as findings have it: "unreadable-image", "huge-image", ...
        path: The file.
        got: What was found instead of an image.
    """

    def __init__(self, kind: str, path: str | os.PathLike, got: str):
        super().__init__(f"{printable(os.fspath(path))}: expected an image, got {got}")
        self.kind, self.got = kind, got


def image_fault(error: OSError | ValueError) -> tuple[str, str]:
    """Return kind and message of the finding for an image that :func:`read_image` cannot read."""
    kind, got = "unreadable-image", str(error)
    if isinstance(error, ImageError):
        kind, got = error.kind, error.got
    elif isinstance(error, OSError) and error.strerror:
        got = f"'{error.strerror}'"
    return kind, f"expected an image, got {got}; replace it or remove it"


def read_image(path: str | os.PathLike, smallest: int | None = None) -> np.ndarray:
    """Read an image, turned upright as its EXIF orientation says.

    Grey images are repeated over three channels, an alpha channel is dropped, other depths become 8 bits
    (:func:`yolo3.datasets.pixel_range.to_8_bit`). Of animations and pages the first one is read.

    Args:
        path: Path of the image.
        smallest: The image is reduced to 1/2, 1/4 or 1/8 while its smaller side keeps so many pixels, a JPEG as it is
            decoded; None for all of it.

    Returns:
        uint8 RGB [H, W, 3], of `yolo3.ops.letterbox.reduced_shape` with `smallest`.

    Raises:
        OSError: If it does not exist or cannot be opened.
        ImageError: If it cannot be decoded, or has too many pixels.
    """
    with open_image(path) as file:
        content = file.read()
    return decode_image(content, path, smallest)


def open_image(path: str | os.PathLike) -> BinaryIO:
    """Open an image file to read; a pipe or a device, which might never answer, is refused.

    Raises:
        OSError: If it does not exist or cannot be opened.
        ImageError: If it is no file.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder raises an error that says so
        raise ImageError("unreadable-image", path, "a pipe or a device")
    record_file(path)
    return open(path, "rb")


def decode_image(
    content: bytes, path: str | os.PathLike, smallest: int | None = None, upright: bool = True
) -> np.ndarray:
    """Decode the bytes of an image file as :func:`read_image` does.

    Args:
        content: The bytes.
        path: Their file, for messages.
        smallest: See `read_image`.
        upright: Whether to turn it as its EXIF orientation says; a TIFF always is, by OpenCV as by Pillow.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ImageError: If they cannot be decoded, or the image has too many pixels.
    """
    if not content:
        raise ImageError("empty-image", path, "an empty file")
    header = read_header(io.BytesIO(content))
    if header is not None:
        check_header(header, len(content), path)
    factor = 1
    if smallest is not None and header is not None and header.format == "jpeg":
        factor, smallest = reduction(header.stored_shape, smallest), None

    pixels = _decode(content, path, header, factor)  # [h, w] or [h, w, C], of any type
    if header is not None:
        stored = header.shape if header.format == "tiff" else header.stored_shape
        expected = tuple(-(-side // factor) for side in stored)
        if pixels.shape[:2] != expected:
            sizes = f"{pixels.shape[1]}x{pixels.shape[0]} pixels, where its header says {expected[1]}x{expected[0]}"
            raise ImageError("unreadable-image", path, sizes)
    pixels = to_8_bit(pixels, path)

    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels not in _TO_RGB:
        raise ImageError("unreadable-image", path, f"one of {channels} channels")
    if channels == 3:
        image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    else:
        image = cv2.cvtColor(pixels, _TO_RGB[channels])
    if smallest is not None:
        image = reduce_image(image, smallest)
    if header is None or header.format == "tiff" or not upright:
        return image
    return turn_upright(image, header.orientation)


def _decode(content: bytes, path: str | os.PathLike, header: ImageHeader | None, factor: int) -> np.ndarray:
    """Return the pixels as OpenCV decodes them, grey or in its order of colours."""
    flags = [_FLAGS[factor]]
    if header is not None and header.format == "tiff":
        # Numbers of 32 and 64 bits in one channel are not made colours.
        flags.insert(0 if header.grey_bits >= 32 else 1, cv2.IMREAD_UNCHANGED)
    raw = np.frombuffer(content, np.uint8)
    try:
        for flag in flags:
            pixels = cv2.imdecode(raw, flag)
            if pixels is not None and pixels.size:
                return pixels
    except cv2.error as error:  # more pixels than it takes, in a format without header here; too little memory
        raise ImageError("unreadable-image", path, f"one that OpenCV refuses ({error.err or error})") from error
    raise ImageError("unreadable-image", path, f"{len(content)} bytes that cannot be decoded")


def check_header(header: ImageHeader, size: int, path: str | os.PathLike) -> None:
    """Check what a header says before anything is decoded.

    Args:
        header: The header.
        size: Bytes of the file.
        path: The file, for messages.

    Raises:
        ImageError: For more pixels than :func:`yolo3.datasets.pixel_limit.limit_pixels` allows, or than so many bytes
            can hold; for a PNG that does not end within them: OpenCV reserves what its chunks claim, up to 4 GB each.
    """
    height, width = header.stored_shape
    if exceeds_limit(header.stored_shape):
        kind = "huge-image"
        got = f"{width}x{height} pixels, more than the {pixel_limit():,} allowed; --max-pixels allows up to 2^30"
        raise ImageError(kind, path, got)

    # A JPEG's block of 8 x 8 pixels takes a bit at least (not with arithmetic coding, where it may take less, but no
    # image is so empty); deflate makes 1032 bytes of one at most, and a pixel of a PNG is a bit at least.
    most = {"jpeg": 8 * 64, "png": 8 * 1032}.get(header.format)
    if not header.ends:
        raise ImageError("truncated-image", path, f"a file that ends too early, after {size} bytes")
    if most is not None and height * width > most * size:
        got = f"a file of {size} bytes, too few for the {width}x{height} pixels that its header says"
        raise ImageError("truncated-image", path, got)


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image [H, W, 3] turned as its EXIF orientation, 1 to 8, says."""
    if orientation >= 5:
        image = cv2.transpose(image)
    return cv2.flip(image, _FLIPS[orientation]) if orientation in _FLIPS else image


def pil_pixels(image) -> np.ndarray:
    """Return the pixels of a PIL image as :func:`read_image` returns those of a file, but not turned.

    `Image.convert` alone would cut everything above 255 off the modes of more than 8 bits. Colours of 16 bits have no
    mode: Pillow keeps the upper 8 bits of each value as it decodes them, by which 12-bit data turn black. So a file of
    such colours that Pillow has opened but not yet decoded is decoded here.

    Args:
        image: A PIL image of any mode.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ImageError: For a file of 16-bit colours that cannot be decoded.
    """
    if _holds_deep_colours(image):
        position = image.fp.tell()
        image.fp.seek(0)
        content = image.fp.read()
        image.fp.seek(position)  # so that Pillow can decode it too
        return decode_image(content, getattr(image, "filename", "") or "image", upright=False)
    if image.mode[0] in "IF":  # I;16 in each byte order, I, F
        pixels = to_8_bit(np.asarray(image), getattr(image, "filename", "") or "image")
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # without Pillow's warning
    return np.array(image.convert("RGB"))


def _holds_deep_colours(image) -> bool:
    """Return whether a PIL image is the first frame of an open file of 16-bit colours that is not decoded yet."""
    if image.mode[0] in "IF" or not getattr(image, "tile", None) or image.tell() or image.fp is None:
        return False
    arguments = image.tile[0][3]  # of the decoder: the layout of the pixels in the file, as "RGB;16B", comes first
    layout = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return isinstance(layout, str) and ";16" in layout


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
