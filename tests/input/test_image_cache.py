"""Images of all kinds as they are read and kept: upright, in three channels, reduced; room for decoded ones."""

import errno
import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.datasets.image_files import encoded, photo, with_orientation
from tests.input.images import (
    BLUE,
    GREEN,
    RECTANGLE,
    RED,
    annotated,
    opened,
    write_cmyk,
    write_rgb,
    write_rgba,
    write_rotated,
)
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image
from yolo3.input import image_cache
from yolo3.input.image_boxes import relative_boxes
from yolo3.input.image_cache import file_reader, pixel_bytes


@pytest.fixture(scope="module")
def annotations(shapes_set):
    return read_dataset(shapes_set, list_name="train").annotations


# Room


def test_disk_space_is_computed_for_the_images_as_they_will_be_stored(tmp_path):
    cv2.imwrite(str(tmp_path / "large.jpg"), np.zeros((900, 1003, 3), np.uint8))
    items = [annotated(tmp_path / "large.jpg", RECTANGLE)]
    assert pixel_bytes(items, 64) == 3 * 113 * 126  # an eighth: 900 // 8 is above 1.5 x 64
    store = opened(items, "disk", tmp_path / "raw")
    assert (tmp_path / "raw" / "0.raw").stat().st_size == store.image_bytes == 3 * 57 * 64 and store.resized
    assert pixel_bytes(items, 64, resized=True) == 3 * 57 * 64


def test_images_that_memory_cannot_hold_are_kept_at_network_size(tmp_path, monkeypatch):
    write_rgb(tmp_path / "a.png")  # 80 x 60 pixels
    items = [annotated(tmp_path / "a.png", RECTANGLE)]
    for spare, expected in (
        (3 * 80 * 60, ("memory", False)),
        (14_000, ("memory", True)),
        (3 * 40 * 30, ("none", False)),
    ):
        monkeypatch.setattr(image_cache, "spare_memory", lambda spare=spare: spare)
        store = opened(items, "auto")
        assert (store.kept, store.resized) == expected
    assert opened(items, "memory").resized  # as asked for, and as small as it goes

    image, _ = opened(items, "disk", tmp_path / "raw", side=40).loader()(0)
    assert image.shape == (30, 40, 3)
    whole = cv2.resize(read_image(str(tmp_path / "a.png")), (40, 30), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(image, whole)
    image, _ = opened(items, "disk", tmp_path / "raw", side=96).loader()(0)
    assert image.shape == (60, 80, 3)  # never larger


@pytest.mark.parametrize("cache, folder", [("Disk", "raw"), ("disk", None), ("disk", "")])
def test_unknown_caches_and_a_disk_without_a_folder_are_refused(annotations, cache, folder):
    with pytest.raises(ValueError, match="cache: expected one of auto, memory, disk, none"):
        opened(annotations, cache, folder)


def test_a_disk_that_fills_up_is_reported(annotations, tmp_path, monkeypatch):
    def full(path, pixels):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image_cache.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device.*0.raw"):
        opened(annotations, "disk", tmp_path / "raw")


def test_too_little_disk_space_is_reported_before_any_image_is_written(annotations, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ValueError, match=r"raw: expected room for .* MB of decoded images, got 0 MB; keep"):
        opened(annotations, "disk", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


# Kinds of images

KINDS = {
    "a.jpg": write_rgb,
    "b.png": write_rgb,
    "alpha.png": write_rgba,
    "c.bmp": write_rgb,
    "cmyk.jpg": write_cmyk,
    "rotated.jpg": write_rotated,
}


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_images_of_all_kinds_are_read_upright_in_three_channels(tmp_path, cache):
    for name, write in KINDS.items():
        write(tmp_path / name)
    store = opened([annotated(tmp_path / name, RECTANGLE) for name in KINDS], cache, tmp_path / "raw", side=640)
    dataset = tf.data.Dataset.range(len(KINDS)).map(store.loader())
    for name, (image, boxes) in zip(KINDS, dataset.as_numpy_iterator()):
        assert image.shape == (60, 80, 3) and image.dtype == np.uint8, name
        np.testing.assert_allclose(boxes, [[0.5, 20 / 60, 70 / 80, 50 / 60, 1]], atol=1e-6)
        for window, colour in (((slice(25, 45), slice(45, 65)), RED), ((slice(3, 12), slice(3, 12)), GREEN)):
            np.testing.assert_allclose(image[window].mean((0, 1)), colour, atol=12, err_msg=name)
        np.testing.assert_allclose(image[25:, :30].mean((0, 1)), BLUE, atol=12, err_msg=name)


@pytest.mark.parametrize("name", ["grey.jpg", "grey.png", "deep.png"])
def test_grey_images_have_their_channel_three_times(tmp_path, name):
    grey = np.full((40, 60), 90, np.uint8)
    grey[10:30, 20:50] = 200
    path = str(tmp_path / name)
    cv2.imwrite(path, grey.astype(np.uint16) * 257 if name == "deep.png" else grey)
    store = opened([annotated(path, (20, 10, 50, 30, 0))])
    image, _ = next(tf.data.Dataset.range(1).map(store.loader()).as_numpy_iterator())
    assert image.shape == (40, 60, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    np.testing.assert_allclose(image[12:28, 22:48].mean(), 200, atol=2)


def test_images_are_read_as_the_one_reader_of_images_reads_them(tmp_path):
    kinds = {
        "adobe.jpg": ("JPEG", "CMYK"),
        "grey.jpg": ("JPEG", "L"),
        "palette.png": ("PNG", "P"),
        "a.tif": ("TIFF", "RGB"),
    }
    for name, (format, mode) in kinds.items():
        (tmp_path / name).write_bytes(encoded(Image.fromarray(photo()).convert(mode), format))
    (tmp_path / "turned.jpg").write_bytes(with_orientation("JPEG", 6))
    cv2.imwrite(str(tmp_path / "deep.png"), photo().astype(np.uint16) * 16)
    # Chroma in other factors than half: TensorFlow's decoder gave other colours than OpenCV's.
    odd, at = bytearray(encoded(photo(), "JPEG")), encoded(photo(), "JPEG").index(b"\xff\xc0")
    odd[at + 14] = 0x21
    (tmp_path / "odd.jpg").write_bytes(odd)
    paths = sorted(map(str, tmp_path.iterdir()))
    store = opened([annotated(path) for path in paths])
    for path, image in zip(paths, tf.data.Dataset.range(len(paths)).map(store.read).as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(image, read_image(path))


def test_a_name_that_is_no_utf_8_is_read(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xe4\xf6.png")  # Latin-1
    with open(path, "wb") as file:
        file.write(encoded(photo(), "PNG"))
    image = next(tf.data.Dataset.range(1).map(opened([annotated(path)]).read).as_numpy_iterator())
    np.testing.assert_array_equal(image, photo())


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("least_side, side", [(700, 800), (400, 400), (399, 400), (200, 200), (100, 100), (10, 100)])
def test_a_large_image_is_reduced_while_its_smaller_side_stays_above_the_least(tmp_path, least_side, side, suffix):
    path = str(tmp_path / f"large.{suffix}")
    cv2.imwrite(path, np.zeros((800, 1000, 3), np.uint8))
    read = file_reader([path], least_side)
    image = next(tf.data.Dataset.range(1).map(read).as_numpy_iterator())
    assert image.shape == (side, side * 1000 // 800, 3)


def test_boxes_are_clipped_to_the_image_and_empty_ones_and_crowd_regions_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 100, 3), np.uint8))
    item = annotated(tmp_path / "a.png", (-30, 10, 50, 70, 2), (110, 10, 120, 20, 1), (0, 0, 50, 50, 0, "crowd"))
    # The first reaches out on the left and below; the second lies outside. 10 of 50 rows: .2.
    boxes, first = relative_boxes([item, item])
    np.testing.assert_allclose(boxes, [[0, 0.2, 0.5, 1, 2]] * 2, rtol=1e-6)
    assert first.tolist() == [0, 1, 2]
