"""Crops of detections, and folder names for classes."""

import numpy as np

from tests.inference.writers.examples import NAMES, SHOTS, files_below, write
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.inference.writers.crops import CropsFolder, folder_names


def test_crops_are_the_parts_of_the_image_in_folders_by_class(tmp_path):
    write(CropsFolder(tmp_path, NAMES))
    assert files_below(tmp_path) == [
        "dog/a_2.jpg", "dog/clip/000007_2.jpg", "žába_frog/a_1.jpg", "žába_frog/clip/000007_1.jpg",
    ]  # fmt: skip
    assert read_image(tmp_path / "žába_frog" / "a_1.jpg").shape == (20, 16, 3)
    assert read_image(tmp_path / "dog" / "a_2.jpg").shape == (40, 80, 3)


def test_crops_hold_every_pixel_that_a_box_touches_and_none_outside_the_image(tmp_path):
    image = np.zeros((40, 80, 3), np.uint8)
    image[9:12, 7:10] = 255  # pixels 7 to 9 and 9 to 11
    crops = CropsFolder(tmp_path, NAMES)
    boxes = [[7.4, 9.4, 9.6, 11.6], [-5, -5, 3, 3], [80, 10, 90, 20]]
    crops.add(SHOTS[0][0], image, Detections(boxes, [0.9, 0.8, 0.7], [0, 0, 0]))
    assert files_below(tmp_path) == ["dog/a_1.jpg", "dog/a_2.jpg"]  # nothing is left of the third
    assert read_image(tmp_path / "dog" / "a_1.jpg").shape == (3, 3, 3)
    assert read_image(tmp_path / "dog" / "a_1.jpg").min() > 240
    assert read_image(tmp_path / "dog" / "a_2.jpg").shape == (3, 3, 3)


def test_class_names_become_folder_names_that_every_system_takes():
    names = ["traffic light", "and/or", "and\\or", "AND_OR", "..", " x. ", "con", "犬", "a:b?", ""]
    assert folder_names(names) == [
        "traffic light", "and_or", "and_or_2", "AND_OR_3", "class", "x", "con_", "犬", "a_b_", "class_2",
    ]  # fmt: skip
