"""Lists that are drawn: what belongs together, and what is said about it."""

import cv2
import numpy as np

from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.check_images import check_images
from yolo3.datasets.draw_lists import draw_lists
from yolo3.datasets.split_settings import SplitSettings


def film(folder, count):
    """Frames of a camera that moves over one image."""
    noise = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    wide = np.clip(cv2.resize(noise, (480, 120), interpolation=cv2.INTER_CUBIC) * 40 + 120, 0, 255).astype(np.uint8)
    annotations = []
    for number in range(count):
        path = str(folder / f"frame_{number}.png")
        cv2.imwrite(path, wide[:, 4 * number : 4 * number + 240])
        annotations.append(build_annotation(path, [Box((5, 5, 50, 50), 0)], path, (120, 240)))
    return annotations, list(check_images([item.image_path for item in annotations]))


def test_one_film_is_cut_at_its_end_and_that_is_told(tmp_path):
    annotations, checks = film(tmp_path, 20)
    lists, notes = draw_lists(annotations, checks, 1, SplitSettings(val_split=0.2))
    assert [item.image_path for item in lists["val"]] == [str(tmp_path / f"frame_{n}.png") for n in range(16, 20)]
    assert notes[0].startswith("Kept in one list each: 1 group") and notes[1].startswith(
        "Cut in two: 1 of these groups"
    )


def test_images_of_their_own_need_no_note(tmp_path):
    annotations, checks = film(tmp_path, 4)
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
        cv2.imwrite(annotations[number].image_path, image)
    checks = list(check_images([item.image_path for item in annotations]))
    lists, notes = draw_lists(annotations, checks, 1, SplitSettings(val_split=0.25, test_split=0.25))
    assert notes == [] and {name: len(part) for name, part in lists.items()} == {"train": 2, "val": 1, "test": 1}
