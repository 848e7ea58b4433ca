"""Image files: RGB under any name, and written whole or not at all."""

import os

import cv2
import numpy as np
import pytest

from yolo3.datasets.images import write_image


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
