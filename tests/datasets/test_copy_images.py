"""Images of written data sets."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from yolo3.datasets.copy_images import ImageCopies
from yolo3.datasets.images import write_image


def test_a_copied_image_never_replaces_another(tmp_path):
    first, second = tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.png"
    write_image(first, np.zeros((4, 6, 3), np.uint8))
    write_image(second, np.zeros((5, 5, 3), np.uint8))
    folder = str(tmp_path / "out")
    copies = ImageCopies()
    assert copies.place(str(first), folder).endswith("out/a.jpg")
    assert copies.place(str(second), folder).endswith("out/a_2.png")
    twin = tmp_path / "z" / "a.jpg"  # the same bytes, but an image of its own, with boxes of its own
    twin.parent.mkdir()
    twin.write_bytes(first.read_bytes())
    assert copies.place(str(twin), folder).endswith("out/a_3.jpg")
    # An image of two lists, and data that is written again, are not copied a second time.
    assert copies.place(str(first), folder).endswith("out/a.jpg")
    assert ImageCopies().place(str(first), folder).endswith("out/a.jpg")


def test_images_can_be_linked(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    placed = ImageCopies(link=True).place(str(tmp_path / "a.png"), str(tmp_path / "out"))
    assert os.path.samefile(placed, tmp_path / "a.png") and not os.path.islink(placed)


def test_a_copy_that_the_disk_does_not_take_is_named_and_leaves_no_half_image(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    write = Path.write_bytes

    def half(path, content):
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match=r"No space left on device: '.*out/a\.png'"):
            ImageCopies().place(str(tmp_path / "a.png"), str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []
    assert ImageCopies().place(str(tmp_path / "a.png"), str(tmp_path / "out")).endswith("out/a.png")
