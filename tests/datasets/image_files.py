"""Image files of all kinds for tests, whole and damaged."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def photo(height=24, width=36):
    """Return uint8 RGB [H, W, 3]: smooth, and different under each turn."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 90)], -1).astype(np.uint8)


def encoded(image, format, **options):
    """Return the bytes of an image (a PIL image or an array) in a format of Pillow."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()


def with_orientation(format, orientation):
    """Return the bytes of `photo` with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(format, {})
    return encoded(photo(), format, exif=exif, **options)


def png_of(width, height, rows=b"", bits=8, colour=0):
    """Return the bytes of a PNG whose header may not be that of its rows (filter byte and pixels each)."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def resized_header(content, format, width, height):
    """Return the bytes of an image whose header says another size than its pixels have."""
    changed = bytearray(content)
    if format == "PNG":
        changed[16:24] = struct.pack(">II", width, height)
        changed[29:33] = struct.pack(">I", zlib.crc32(bytes(changed[12:29])))
    elif format == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        changed[at : at + 4] = struct.pack(">HH", height, width)
    elif format == "BMP":
        changed[18:26] = struct.pack("<ii", width, height)
    elif format == "WEBP":  # lossy, 14 bits a side
        at = content.index(b"\x9d\x01\x2a") + 3
        changed[at : at + 4] = struct.pack("<HH", width, height)
    elif format == "TIFF":
        (offset,) = struct.unpack_from("<I", content, 4)
        (count,) = struct.unpack_from("<H", content, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from("<H", content, entry)
            if tag in (0x0100, 0x0101):
                changed[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, width if tag == 0x0100 else height)
    return bytes(changed)
