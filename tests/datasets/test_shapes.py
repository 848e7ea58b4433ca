"""The embedded data set."""

import os

import cv2
import numpy as np
import pytest

from yolo3.datasets import shapes
from yolo3.datasets.formats import pascal_voc


def scene(number, size=128):
    return shapes.render_scene(np.random.default_rng([7, number]), size)


def test_the_same_seed_renders_the_same_images():
    first, again, other = scene(1), scene(1), scene(2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.image, other.image)


def test_boxes_lie_inside_the_image_with_the_documented_sizes():
    for number in range(40):
        found = scene(number)
        assert 1 <= len(found.boxes) <= 6 and found.image.dtype == np.uint8
        assert found.boxes.min() >= 0 and found.boxes.max() <= 128
        longest = (found.boxes[:, 2:] - found.boxes[:, :2]).max(1)
        # 12% to 50% of 128 is 15.36 to 64; the border pixels that are covered by less than half are not counted.
        assert longest.min() >= 15.36 - 2 and longest.max() <= 64 + 1


@pytest.mark.parametrize("class_id, filled", [(0, np.pi / 4), (1, 1.0), (2, 0.5)])
def test_each_shape_fills_its_box_as_geometry_demands(class_id, filled):
    class Upright:
        """Draws an angle of 0 degrees."""

        def uniform(self, low, high):
            return 0.0

    mask = shapes._draw_mask(Upright(), 200, class_id, np.array([100.0, 90.0]), 80.0)
    x_min, y_min, x_max, y_max = shapes.tight_box(mask)
    # A circle fills pi/4 of its box, a square all, a triangle half.
    assert mask.sum() / ((x_max - x_min) * (y_max - y_min)) == pytest.approx(filled, abs=0.04)
    assert abs((x_min + x_max) / 2 - 100) <= 1 and abs((y_min + y_max) / 2 - 90) <= 1
    assert abs(x_max - x_min - 80) <= 1


def test_a_tight_box_counts_pixels_covered_by_half():
    mask = np.zeros((10, 12), np.float32)
    mask[3:5, 2:7] = 1
    mask[2, 2:7] = 0.4
    assert shapes.tight_box(mask) == (2, 3, 7, 5)


def test_a_later_shape_leaves_most_of_an_earlier_one(monkeypatch):
    painted = []
    monkeypatch.setattr(shapes, "_paint", lambda rng, image, mask: painted.append(mask >= 0.5))
    for number in range(40):
        painted.clear()
        scene(number)
        for index, whole in enumerate(painted):
            left = whole & ~np.any([np.zeros_like(whole), *painted[index + 1 :]], axis=0)
            assert left.sum() >= 0.6 * whole.sum()


def test_shapes_stand_out_from_what_lies_under_them():
    rng = np.random.default_rng(0)
    for under in np.random.default_rng(1).uniform(0, 255, (50, 3)):
        assert np.linalg.norm(shapes._contrasting_colour(rng, under) - under) >= shapes.MIN_CONTRAST


def test_a_written_set_is_read_with_exactly_the_boxes_rendered(tmp_path):
    folder = shapes.write_shapes(tmp_path / "set", num_train=3, num_val=2, image_size=96, seed=5)
    assert pascal_voc.list_names(folder) == ["train", "val"]
    dataset = pascal_voc.read(folder, class_names=shapes.CLASS_NAMES)
    assert len(dataset.annotations) == 5 and not dataset.findings
    for number, item in enumerate(dataset.annotations):
        expected = shapes.render_scene(np.random.default_rng([5, number]), 96)
        np.testing.assert_array_equal(item.boxes, expected.boxes)
        np.testing.assert_array_equal(item.class_ids, expected.class_ids)
        assert cv2.imread(item.image_path).shape == (96, 96, 3)


def test_an_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(shapes, "_write_scene", stop)
    with pytest.raises(KeyboardInterrupt):
        shapes.write_shapes(tmp_path / "set", num_train=2, num_val=1, image_size=64)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_never_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="choose another"):
        shapes.write_shapes(tmp_path, num_train=1, num_val=1, image_size=64)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("numbers", [(-1, 2, 64), (0, 0, 64), (1, 1, 8)])
def test_invalid_set_sizes_are_an_error(tmp_path, numbers):
    with pytest.raises(ValueError, match="shapes: expected"):
        shapes.write_shapes(tmp_path / "set", num_train=numbers[0], num_val=numbers[1], image_size=numbers[2])


def test_the_cache_is_filled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = shapes.shapes_folder(2, 1, 64, seed=3)
    assert folder == str(tmp_path / "yolo3" / f"shapes-{shapes.VERSION}-2-1-64-3")
    before = os.stat(os.path.join(folder, "JPEGImages", "000000.jpg")).st_mtime_ns
    assert shapes.shapes_folder(2, 1, 64, seed=3) == folder
    assert os.stat(os.path.join(folder, "JPEGImages", "000000.jpg")).st_mtime_ns == before
    assert shapes.shapes_folder(2, 1, 64, seed=4) != folder
    assert sorted(path.name for path in (tmp_path / "yolo3").iterdir()) == [
        f"shapes-{shapes.VERSION}-2-1-64-3",
        f"shapes-{shapes.VERSION}-2-1-64-4",
    ]


def test_a_faster_process_wins(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    write_set = shapes._write_set

    def write_and_be_late(temporary, **sizes):
        write_set(temporary, **sizes)
        (folder / "ImageSets").mkdir(parents=True)

    monkeypatch.setattr(shapes, "_write_set", write_and_be_late)
    assert shapes.write_shapes(folder, num_train=1, num_val=1, image_size=64) == str(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_home_that_cannot_be_written_names_the_variable_that_moves_the_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match="'Not a directory'; set XDG_CACHE_HOME to another folder, or .* --data"):
        shapes.shapes_folder(num_train=1, num_val=1, image_size=32)
