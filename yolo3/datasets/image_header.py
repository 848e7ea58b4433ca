"""Read the header of an image file: its size and orientation, before anything is decoded.

It is the only reader of orientations: :func:`yolo3.datasets.images.decode_image` turns images by what stands here, not
as the decoder would. So the size from the header and that of the decoded image agree for damaged EXIF blocks too.

Headers are parsed here and not by Pillow: on the 364 JPEGs of BCCD this takes 15 us of the processor a file, Pillow 13
(`Image.open`, `Exif.load`) 72 us, which is 1.8 s against 8.5 s for COCO's 118,000 images at every start
(benchmarks/bench_headers.py). Besides, Pillow finds an eXIf chunk behind a PNG's pixels only by decoding them, and it
turns images by XMP marks, which no other reader of training data does.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

# JPEG's start-of-frame markers; C4, C8 and CC are tables and extensions.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_FILLING = 1 << 16  # bytes between two JPEG segments; behind more of them no header is looked for

# TIFF 6.0 and EXIF 2.3.
_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SUBFILE = 0x0100, 0x0101, 0x0102, 0x0112, 0x00FE
_VALUES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of tags that hold whole numbers
_REDUCED = 1  # bit of _SUBFILE: a smaller version of another image in the file


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        format: "jpeg", "png", "bmp", "webp" or "tiff".
        stored_shape: (height, width) in pixels as they are stored.
        orientation: Of EXIF: 1 is upright, 5 to 8 are quarter turns.
        several: Whether the file holds an animation or several pages.
        grey_bits: Bits of a pixel of a TIFF with one channel; 0 for anything else.
        ends: Whether the chunks of a PNG lead to its end, within the file.
    """

    format: str
    stored_shape: tuple[int, int]
    orientation: int = 1
    several: bool = False
    grey_bits: int = 0
    ends: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        height, width = self.stored_shape
        return (width, height) if self.orientation >= 5 else (height, width)


def read_header(file: BinaryIO) -> ImageHeader | None:
    """Read the header of an image.

    JPEG: ISO/IEC 10918-1 B.2.2; PNG: ISO/IEC 15948 11.2.2; BMP: BITMAPCOREHEADER and later; WebP: RFC 9649; TIFF 6.0
    and BigTIFF; orientations: EXIF 2.3.

    Args:
        file: The file, at its beginning.

    Returns:
        The header; None for another format, and for a header that is damaged.
    """
    head = file.read(32)
    try:
        header = None
        if head[:2] == b"\xff\xd8":
            header = _jpeg_header(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            header = _png_header(file)
        elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            header = _webp_header(file)
        elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            header = _tiff_header(file)
        elif head[:2] == b"BM":
            size_of_header = struct.unpack_from("<I", head, 14)[0]
            width, height = struct.unpack_from("<HH" if size_of_header == 12 else "<ii", head, 18)
            header = ImageHeader("bmp", (abs(height), width))  # a negative height: rows run from the top down
    except (struct.error, IndexError, OverflowError):
        return None  # it ends too early
    return header if header is not None and min(header.stored_shape) > 0 else None


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF block.

    Args:
        tiff: The block, from its byte order on ("II" or "MM").

    Returns:
        1 to 8; 1 where the block is damaged or says nothing.
    """
    try:
        tags, _ = _tiff_tags(io.BytesIO(tiff))
    except (struct.error, OverflowError, KeyError):
        return 1
    return _valid_orientation(tags)


def _valid_orientation(tags: dict[int, int]) -> int:
    value = tags.get(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def _jpeg_header(file: BinaryIO) -> ImageHeader | None:
    """Walk the segments up to the frame header."""
    file.seek(2)
    orientation = 1
    while True:
        # A marker: FF, possibly repeated as filling, and its number.
        byte, filling = file.read(1), 0
        while byte and byte != b"\xff" and filling < _MOST_FILLING:
            byte, filling = file.read(1), filling + 1
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or filling == _MOST_FILLING or byte in (b"\xd9", b"\xda"):
            return None
        if byte[0] in (0x00, 0x01) or 0xD0 <= byte[0] <= 0xD8:  # markers without a body
            continue

        (length,) = struct.unpack(">H", file.read(2))
        if length < 2:
            return None
        if byte[0] in _START_OF_FRAME:
            shape = struct.unpack(">xHH", file.read(5))
            return ImageHeader("jpeg", shape, orientation)
        if byte[0] != 0xE1:
            file.seek(length - 2, io.SEEK_CUR)
            continue
        body = file.read(length - 2)
        if body[:6] == b"Exif\0\0":
            orientation = exif_orientation(body[6:])


def _png_header(file: BinaryIO) -> ImageHeader | None:
    """Read the header chunk, which comes first; an eXIf chunk, before or after the pixels, may turn the image."""
    file.seek(8)
    shape, orientation, several, ends = None, 1, False, False
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        after = file.tell() + length + 4
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            shape = height, width
        elif kind == b"eXIf":
            orientation = exif_orientation(file.read(length))
        elif kind == b"acTL":
            several = struct.unpack(">I", file.read(4))[0] > 1

        ends = kind == b"IEND"
        if shape is None or ends:
            break
        file.seek(after)
    return None if shape is None else ImageHeader("png", shape, orientation, several, ends=ends)


def _webp_header(file: BinaryIO) -> ImageHeader | None:
    """Read the first chunk, which has the size, and for the extended format those up to the EXIF chunk."""
    file.seek(12)
    shape, orientation, several = None, 1, False
    while len(header := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", header)
        after = file.tell() + length + length % 2
        if shape is None:
            body = file.read(10)
            if kind == b"VP8X":
                width, height = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
                several = bool(body[0] & 0x02)
            elif kind == b"VP8L" and body[:1] == b"\x2f":
                bits = int.from_bytes(body[1:5], "little")
                width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
                width, height = (side & 0x3FFF for side in struct.unpack("<HH", body[6:]))
            else:
                return None
            shape = height, width
            if kind != b"VP8X":
                break
        elif kind == b"EXIF":
            orientation = exif_orientation(file.read(length).removeprefix(b"Exif\0\0"))
        file.seek(after)
    return None if shape is None else ImageHeader("webp", shape, orientation, several)


def _tiff_header(file: BinaryIO) -> ImageHeader | None:
    """Read the first directory; a second one is another page unless it says that it is a smaller version."""
    tags, following = _tiff_tags(file)
    several = False
    if following:
        try:
            several = not _tiff_tags(file, following)[0].get(_SUBFILE, 0) & _REDUCED
        except (struct.error, OverflowError):
            pass
    if _WIDTH not in tags or _HEIGHT not in tags:
        return None
    shape = tags[_HEIGHT], tags[_WIDTH]
    return ImageHeader("tiff", shape, _valid_orientation(tags), several, tags.get(_BITS, 0))


def _tiff_tags(file: BinaryIO, offset: int | None = None) -> tuple[dict[int, int], int]:
    """Return the whole numbers in a directory, the first one of each tag, and the offset of the next directory.

    Args:
        file: From the byte order on.
        offset: Of the directory; None for the first.

    Raises:
        struct.error: Where the file ends too early, or is none.
    """
    file.seek(0)
    mark = file.read(4)
    order = {b"II": "<", b"MM": ">"}.get(mark[:2])
    if order is None:
        raise struct.error("no byte order")
    is_big = mark[2:] in (b"+\0", b"\0+")
    size_of = 8 if is_big else 4  # bytes of an offset, and of a value within its entry
    pointer = order + ("Q" if is_big else "I")
    if offset is None:
        file.seek(8 if is_big else 4)
        (offset,) = struct.unpack(pointer, file.read(size_of))

    file.seek(offset)
    (count,) = struct.unpack(order + ("Q" if is_big else "H"), file.read(8 if is_big else 2))
    size_of_entry = 20 if is_big else 12
    entries = file.read(min(count, 0xFFFF) * size_of_entry)
    following = file.read(size_of)
    tags: dict[int, int] = {}
    for at in range(0, len(entries) - size_of_entry + 1, size_of_entry):
        tag, kind = struct.unpack_from(order + "HH", entries, at)
        (number,) = struct.unpack_from(pointer, entries, at + 4)
        if kind in _VALUES and number == 1 and struct.calcsize(_VALUES[kind]) <= size_of:
            tags.setdefault(tag, struct.unpack_from(order + _VALUES[kind], entries, at + 4 + size_of)[0])
    return tags, struct.unpack(pointer, following)[0] if len(following) == size_of else 0
