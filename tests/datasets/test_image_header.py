"""Headers say the size and orientation of the decoded image, whatever the file says else."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.datasets.image_files import encoded, photo, with_orientation
from yolo3.datasets.image_header import exif_orientation, read_header
from yolo3.datasets.images import decode_image


def header_of(content):
    return read_header(io.BytesIO(content))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_turns_the_size_and_the_image_alike(format, orientation):
    content = with_orientation(format, orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))  # Pillow's own
    assert header_of(content).shape == expected.shape[:2] == ((36, 24) if orientation >= 5 else (24, 36))
    decoded = decode_image(content, "a").astype(int)
    assert decoded.shape == expected.shape and np.abs(decoded - expected).mean() < 3


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_damaged_file_is_decoded_to_the_size_of_its_header_or_refused(format):
    whole = with_orientation(format, 6)
    rng = random.Random(0)
    start = 8 if format == "TIFF" else max(whole.find(b"Exif"), whole.find(b"eXIf"), whole.find(b"EXIF"))
    end = len(whole) if format == "TIFF" else min(start + 40, len(whole))
    agreed = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(start, end)] = rng.choice([0, 1, 6, 8, 255, rng.randrange(256)])
        header = header_of(bytes(damaged))
        try:
            decoded = decode_image(bytes(damaged), "a")
        except ValueError:
            continue
        assert header is None or header.shape == decoded.shape[:2]
        agreed += header is not None
    assert agreed > 20


def test_a_damaged_exif_block_is_upright():
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    whole = b"II*\0" + struct.pack("<IH", 8, 1) + tag + b"\0" * 4
    assert exif_orientation(whole) == 6
    for damaged in (b"", b"II", whole[:12], whole.replace(b"II", b"XX"), whole.replace(b"\x08", b"\xff", 1)):
        assert exif_orientation(damaged) == 1
    assert exif_orientation(whole.replace(struct.pack("<H", 6), struct.pack("<H", 9))) == 1  # no such turn


@pytest.mark.parametrize("format", ["WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_known_from_the_header(format):
    frames = [Image.fromarray(np.roll(photo(), shift, 1)) for shift in range(3)]
    one, several = encoded(frames[0], format), encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert not header_of(one).several and header_of(several).several
    assert decode_image(several, "a").shape == (24, 36, 3)


def test_headers_of_old_bitmaps_and_big_tiffs_are_read():
    core = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 36, 24, 1, 24)
    assert header_of(core).shape == (24, 36)
    entries = struct.pack("<HHQQ", 0x0100, 4, 1, 36) + struct.pack("<HHQQ", 0x0101, 4, 1, 24)
    big = b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 2) + entries + struct.pack("<Q", 0)
    assert header_of(big).shape == (24, 36)


def test_a_header_that_ends_early_is_none():
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        content = encoded(photo(), format)
        for length in (0, 2, 8, 12, 20):
            assert header_of(content[:length]) is None, (format, length)


def test_chunks_that_claim_more_than_the_file_has_are_refused_before_memory_is_reserved():
    whole = with_orientation("PNG", 6)
    at = whole.index(b"IDAT") - 4
    damaged = whole[:at] + b"\xf0\0\0\0" + whole[at + 4 :]
    with pytest.raises(ValueError, match="a: expected an image, got a file that ends too early"):
        decode_image(damaged, "a")


def test_garbage_instead_of_segments_is_not_walked_byte_by_byte():
    assert header_of(b"\xff\xd8" + bytes(30_000_000)) is None
