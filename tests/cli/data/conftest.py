"""A data set with what formats differ in."""

import numpy as np
import pytest

from yolo3.datasets.annotation import Box, Dataset, build_annotation
from yolo3.datasets.images import write_image
from yolo3.datasets.write_lists import write_lists


@pytest.fixture
def small(tmp_path):
    """A VOC set of five images in two folders, one without objects, with lists, a difficult and a crowd mark."""
    annotations = []
    for number in range(5):
        folder = tmp_path / "photos" / ("day" if number % 2 else "night")
        image = str(folder / f"{number // 2}.png")
        write_image(image, np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8))
        boxes = [Box((3.25, 4, 20, 30.5), number % 2), Box((30, 5, 50, 35), 2, difficult=number == 1)]
        annotations.append(build_annotation(image, boxes if number < 4 else [], image, (40, 60)))
    whole = Dataset(annotations, ["zebra", "ant", "cat", "never seen"], "voc")
    write_lists(whole, {"train": annotations[:3], "val": annotations[3:]}, str(tmp_path / "from"), "voc")
    return tmp_path / "from"
