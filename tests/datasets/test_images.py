"""Image files: all kinds are read in RGB with 8 bits, bad ones are one line; written whole or not at all."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.datasets.image_files import encoded, photo, resized_header
from yolo3.datasets import pixel_limit
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import ImageError, decode_image, pil_pixels, read_image, write_image
from yolo3.datasets.pixel_limit import limit_pixels


def read_rgb(path):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_images_are_written_as_rgb_even_under_a_name_that_is_not_ascii(tmp_path):
    image = np.zeros((8, 9, 3), np.uint8)
    image[..., 0] = 200
    path = tmp_path / "größe 図" / "bild.PNG"
    write_image(path, image)
    np.testing.assert_array_equal(read_rgb(path), image)
    write_image(tmp_path / "a.jpg", image)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - image).max() < 6


def test_a_failed_write_leaves_the_old_image_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, np.zeros((5, 5, 3), np.uint8))
    before = path.read_bytes()

    def refuse(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_image(path, np.zeros((9, 9, 3), np.uint8))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xyz: expected a name that ends in \.png"):
        write_image(tmp_path / "a.xyz", np.zeros((5, 5, 3), np.uint8))


DEEP = np.linspace(0, 1, 24 * 36).reshape(24, 36)


@pytest.mark.parametrize(
    "name, pixels",
    [
        ("16.png", DEEP * 65535),
        ("12.png", DEEP * 4095),
        ("16.tif", DEEP * 65535),
        ("12.tif", DEEP * 4095),
        ("rgb.png", np.dstack([DEEP * 65535] * 3)),
        ("rgb.tif", np.dstack([DEEP * 4095] * 3)),
    ],
)
def test_images_of_sixteen_bits_are_as_bright_as_those_of_eight(tmp_path, name, pixels):
    cv2.imwrite(str(tmp_path / name), pixels.astype(np.uint16))
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8 and np.abs(image[..., 1] - DEEP * 255).max() < 1.5


@pytest.mark.parametrize("type", [np.float32, np.int32, np.uint8])
def test_tiffs_of_any_number_type_are_read(tmp_path, type):
    pixels = DEEP if type is np.float32 else DEEP * (255 if type is np.uint8 else 65535)
    (tmp_path / "a.tif").write_bytes(encoded(pixels.astype(type), "TIFF"))
    assert np.abs(read_image(tmp_path / "a.tif")[..., 1] - DEEP * 255).max() < 1.5


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGBA", "PA"])
def test_every_mode_is_read_as_pillow_reads_it(format, mode):
    image = Image.fromarray(photo()).convert("P" if mode == "PA" else mode)
    options = {"transparency": 0} if mode == "PA" else {}
    try:
        content = encoded(image, format, **options)
    except OSError:
        pytest.skip(f"there is no {format} of mode {mode}")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert np.abs(decode_image(content, "a") - expected).mean() < (6 if mode == "CMYK" else 3)


def test_a_pil_image_of_any_mode_has_the_pixels_of_its_file(tmp_path):
    for name, pixels in {"16.png": DEEP * 65535, "12.png": DEEP * 4095, "12.tif": DEEP * 4095}.items():
        cv2.imwrite(str(tmp_path / name), pixels.astype(np.uint16))
        np.testing.assert_array_equal(pil_pixels(Image.open(tmp_path / name)), read_image(tmp_path / name))
    assert pil_pixels(Image.fromarray(DEEP.astype(np.float32))).max() == 255
    assert pil_pixels(Image.fromarray((DEEP * 65535).astype(np.int32)))[12, 18, 0] in (132, 133)  # 450 / 863 * 255
    assert pil_pixels(Image.fromarray(photo()).convert("P")).shape == (24, 36, 3)


@pytest.mark.parametrize("name", ["12.png", "12.tif", "alpha.png"])
def test_a_pil_image_of_sixteen_bit_colours_has_the_pixels_of_its_file(name, tmp_path):
    pixels = (np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]]) * 4095).astype(np.uint16)
    if name == "alpha.png":
        pixels = np.dstack([pixels, np.full(DEEP.shape, 4095, np.uint16)])
    cv2.imwrite(str(tmp_path / name), pixels)
    expected = read_image(tmp_path / name)

    with Image.open(tmp_path / name) as image:
        np.testing.assert_array_equal(pil_pixels(image), expected)
        np.testing.assert_array_equal(pil_pixels(image), expected)  # the first time left the file as it was
        assert image.convert("RGB").getextrema()[0][1] == 15  # 4095 / 256: what Pillow makes of it
    np.testing.assert_array_equal(pil_pixels(Image.open(io.BytesIO((tmp_path / name).read_bytes()))), expected)


def test_sixteen_bit_colours_that_pillow_is_to_turn_are_not_turned_yet(tmp_path):
    from PIL import PngImagePlugin

    pixels = (np.dstack([DEEP] * 3) * 4095).astype(np.uint16)
    content = cv2.imencode(".png", pixels)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    with open(tmp_path / "turned.png", "wb") as file:
        file.write(content[:33])  # the signature and the header chunk
        PngImagePlugin.putchunk(file, b"eXIf", exif.tobytes()[6:])
        file.write(content[33:])
    assert read_image(tmp_path / "turned.png").shape == (*DEEP.shape[::-1], 3)
    with Image.open(tmp_path / "turned.png") as image:
        assert pil_pixels(image).shape == (*DEEP.shape, 3)


def test_a_large_jpeg_is_decoded_smaller_as_far_as_it_may(tmp_path):
    write_image(tmp_path / "a.jpg", cv2.resize(photo(), (163, 121)))
    assert read_image(tmp_path / "a.jpg", 60).shape == (61, 82, 3)  # 121 // 2 = 60
    assert read_image(tmp_path / "a.jpg", 61).shape == (121, 163, 3)
    assert read_image(tmp_path / "a.jpg", 1).shape == (16, 21, 3)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "WEBP", "TIFF"])
def test_more_pixels_than_the_limit_are_refused_by_the_header_alone(format, monkeypatch):
    side = 16383 if format == "WEBP" else 60000  # 14 bits
    lying = resized_header(encoded(photo(), format), format, side, side)
    if format == "WEBP":
        monkeypatch.setattr(pixel_limit, "_max_pixels", 1 << 27)
    monkeypatch.setattr(cv2, "imdecode", None)  # is not called
    with pytest.raises(ImageError, match=f"^a: expected an image, got {side}x{side} pixels, more than .*--max-pixels"):
        decode_image(lying, "a")


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_more_pixels_than_the_bytes_can_hold_are_refused_by_the_header_alone(format, monkeypatch):
    lying = resized_header(encoded(photo(), format), format, 16000, 16000)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match="got a file of [0-9]+ bytes, too few for the 16000x16000 pixels"):
        decode_image(lying, "a")


def test_the_emptiest_images_are_not_taken_for_liars():
    flat = np.zeros((2000, 2000), np.uint8)
    for format, options in {"PNG": {"compress_level": 9}, "JPEG": {"progressive": True, "optimize": True}}.items():
        assert decode_image(encoded(flat, format, **options), "a").shape == (2000, 2000, 3)
    assert decode_image(encoded(Image.fromarray(flat).convert("1"), "PNG"), "a").shape == (2000, 2000, 3)


def test_the_limit_can_be_lifted(monkeypatch):
    monkeypatch.setattr(pixel_limit, "_max_pixels", pixel_limit.MAX_PIXELS)
    limit_pixels(100)
    with pytest.raises(ImageError, match="more than the 100 allowed") as raised:
        decode_image(encoded(photo(), "PNG"), "a")
    assert raised.value.kind == "huge-image"
    limit_pixels(24 * 36)
    assert decode_image(encoded(photo(), "PNG"), "a").shape == (24, 36, 3)
    for wrong in (0, 2**30 + 1):
        with pytest.raises(ValueError, match="^max_pixels: expected a whole number from 1 to 2.30, got"):
            limit_pixels(wrong)


def test_an_image_that_opencv_refuses_is_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise cv2.error("CV_IO_MAX_IMAGE_PIXELS")

    (tmp_path / "huge.png").write_bytes(b"image")
    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(ImageError, match="huge.png: expected an image, got one that OpenCV refuses"):
        read_image(tmp_path / "huge.png")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match="pipe.jpg: expected an image, got a pipe or a device"):
            read(tmp_path / "pipe.jpg")
        with pytest.raises(IsADirectoryError):
            read(tmp_path / "folder.jpg")
        with pytest.raises(OSError, match="symbolic links"):
            read(tmp_path / "loop.jpg")
