"""Sizes from image headers are those of the decoded images."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from yolo3.datasets.image_size import image_size, size_findings
from yolo3.datasets.images import read_image


def write_image(path, height=20, width=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return str(path)


def with_exif(path, orientation, order="<"):
    """Put an EXIF segment behind the start of a JPEG."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = mark + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"
    content = path.read_bytes()
    body = b"Exif\0\0" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:])


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".webp", ".tif"])
def test_the_size_is_that_of_the_decoded_image(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, 21, 34)
    assert image_size(str(path)) == (21, 34) == read_image(path).shape[:2]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotates_the_size_like_the_image(tmp_path, orientation, order):
    path = tmp_path / "a.jpg"
    write_image(path, 20, 30)
    with_exif(path, orientation, order)
    # Orientations 5 to 8 are quarter turns: 30 rows of 20 pixels.
    assert image_size(str(path)) == ((30, 20) if orientation >= 5 else (20, 30))
    assert image_size(str(path)) == read_image(path).shape[:2]


@pytest.mark.parametrize("before_pixels", [True, False])
def test_exif_rotates_the_size_of_a_png_too(tmp_path, before_pixels):
    path = tmp_path / "a.png"
    write_image(path, 20, 30)
    content = path.read_bytes()
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0" * 4
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    at = 33 if before_pixels else len(content) - 12  # behind the 8 + 25 bytes of the header, or before IEND
    path.write_bytes(content[:at] + chunk + content[at:])
    assert image_size(str(path)) == (30, 20) == read_image(path).shape[:2]


def test_marks_that_the_decoder_ignores_do_not_rotate_the_size(tmp_path):
    write_image(tmp_path / "a.jpg", 20, 30)
    mark = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    body = b"http://ns.adobe.com/xap/1.0/\0" + mark
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:])
    assert image_size(str(tmp_path / "a.jpg")) == (20, 30) == read_image(tmp_path / "a.jpg").shape[:2]


def test_progressive_grey_and_four_channel_images_have_a_size(tmp_path):
    image = np.zeros((9, 7), np.uint8)
    cv2.imwrite(str(tmp_path / "p.jpg"), image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 7, 4), np.uint8))
    assert image_size(str(tmp_path / "p.jpg")) == image_size(str(tmp_path / "a.png")) == (9, 7)


def test_the_size_comes_from_the_content_not_from_the_suffix(tmp_path):
    write_image(tmp_path / "a.png", 11, 12)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert image_size(str(tmp_path / "a.jpg")) == (11, 12)


def test_the_size_of_a_file_that_is_not_an_image_is_an_error(tmp_path):
    for content in (b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(ValueError, match="a.jpg"):
            image_size(str(tmp_path / "a.jpg"))
    with pytest.raises(OSError):
        image_size(str(tmp_path / "absent.jpg"))


def test_sizes_that_disagree_are_a_warning():
    assert size_findings((20, 30), (20, 30), "a") == [] == size_findings(None, (20, 30), "a")
    assert size_findings((20, 30), (30, 20), "a")[0].kind == "exif-size"
    assert size_findings((20, 30), (40, 60), "a")[0].kind == "size-mismatch"
