"""Detections as a data set: what labelling tools look for, and what is read back."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.inference.writers.examples import FOUND, IMAGE, NAMES, SHOTS, files_below, write
from yolo3.datasets.formats.registry import detect_format, read_dataset
from yolo3.datasets.images import write_image
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.yolo_dataset import YoloDataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the images of the shots, which is the current one."""
    monkeypatch.chdir(tmp_path)
    write_image("in/a.png", IMAGE)
    write_image("in/b.png", IMAGE[::-1])
    return tmp_path


def test_the_files_lie_where_labelling_tools_look_for_them(folder):
    write(YoloDataset("set", NAMES))
    assert files_below(folder / "set") == sorted(
        ["classes.txt", "data.yaml", "labels/classes.txt", "train.txt"]  # Label Studio; all; labelImg; CVAT
        + ["images/a.png", "images/sub_b.png", "images/clip_000007.jpg"]
        + ["labels/a.txt", "labels/sub_b.txt", "labels/clip_000007.txt"]
    )
    assert Path("set/classes.txt").read_text() == Path("set/labels/classes.txt").read_text() == "dog\nžába/frog\n"
    assert Path("set/train.txt").read_text().split() == [
        "./images/a.png", "./images/sub_b.png", "./images/clip_000007.jpg"
    ]  # fmt: skip
    assert Path("set/images/a.png").read_bytes() == Path("in/a.png").read_bytes()


def test_what_is_written_is_read_back_to_rounding_with_nothing_to_say(folder):
    write(YoloDataset("set", NAMES))
    assert detect_format("set") == "yolo"
    for path in ("set", "set/data.yaml"):
        dataset = read_dataset(path, list_name="train")
        assert dataset.class_names == NAMES and dataset.findings == []
        first, nothing, frame = dataset.annotations
        assert [Path(item.image_path).name for item in dataset.annotations] == ["a.png", "sub_b.png", "clip_000007.jpg"]
        for found in (first, frame):
            # Six decimals of 80 pixels: half a millionth for the centre, and half of one for half of the width.
            np.testing.assert_allclose(found.boxes, FOUND.boxes, atol=80e-6)
            np.testing.assert_array_equal(found.class_ids, FOUND.class_ids)
        assert len(nothing.boxes) == 0


def test_names_that_become_the_same_get_numbers(folder):
    shots = [(Shot(Source("image", "in/a.png", name), name, "in/a.png"), FOUND) for name in ("x/y", "X_y", "classes")]
    write(YoloDataset("set", NAMES), shots=shots)
    assert sorted(path.name for path in Path("set/images").iterdir()) == ["X_y_2.png", "classes_2.png", "x_y.png"]
    assert len(read_dataset("set").annotations) == 3


def test_nothing_is_left_of_a_set_that_is_not_whole(folder):
    Path("in/b.png").unlink()
    with pytest.raises(OSError, match="b.png"):
        write(YoloDataset("set", NAMES))
    assert files_below(folder / "set") == []


def test_a_set_without_images_has_its_classes(folder):
    write(YoloDataset("set", NAMES), shots=[])
    assert Path("set/classes.txt").read_text().splitlines() == NAMES


def test_the_folder_of_the_set_may_be_moved(folder):
    write(YoloDataset("set", NAMES), shots=SHOTS[:2])
    shutil.move("set", "elsewhere")
    assert len(read_dataset("elsewhere/data.yaml").annotations) == 2
