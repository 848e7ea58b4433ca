"""Images of written data sets."""

import numpy as np

from yolo3.datasets.copy_images import copy_image
from yolo3.datasets.images import write_image


def test_a_copied_image_never_replaces_another(tmp_path):
    first, second = tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.png"
    write_image(first, np.zeros((4, 6, 3), np.uint8))
    write_image(second, np.zeros((5, 5, 3), np.uint8))
    folder = str(tmp_path / "out")
    taken = set()
    assert copy_image(str(first), folder, taken).endswith("out/a.jpg")
    assert copy_image(str(second), folder, taken).endswith("out/a_2.png")
    assert copy_image(str(first), folder, taken).endswith("out/a_3.jpg")
    assert taken == {f"{folder}/a.jpg", f"{folder}/a_2.png", f"{folder}/a_3.jpg"}
    # Written again, nothing is copied a second time.
    assert copy_image(str(first), folder, set()).endswith("out/a.jpg")
