"""Images that belong together, and images that only look as if they did."""

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from yolo3.datasets.check_images import check_images
from yolo3.datasets.image_groups import describe_groups, group_images

BCCD = Path(__file__).parents[3] / "shared/data/bccd/JPEGImages"


def scene(seed, side=96):
    """An image of soft shapes, as photographs are."""
    noise = np.random.default_rng(seed).normal(size=(8, 8, 3)).astype(np.float32)
    soft = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft * 40 + 120, 0, 255).astype(np.uint8)


def groups_of(folder, images, files=()):
    """Write images by name, and return the names in each group of several."""
    paths = [str(folder / name) for name in [*images, *dict(files)]]
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    for name, image in images.items():
        assert cv2.imwrite(str(folder / name), image)
    for name, content in dict(files).items():
        (folder / name).write_bytes(content)
    groups = group_images(paths, list(check_images(paths)))
    names = [os.path.relpath(path, folder) for path in paths]
    together = [{name for name, own in zip(names, groups) if own == group} for group in dict.fromkeys(groups.tolist())]
    return [group for group in together if len(group) > 1]


def test_equal_files_belong_together_whatever_their_names(tmp_path):
    encoded = cv2.imencode(".jpg", scene(0))[1].tobytes()
    found = groups_of(tmp_path, {"b.png": scene(1)}, {"a.jpg": encoded, "elsewhere/x.jpg": encoded})
    assert found == [{"a.jpg", "elsewhere/x.jpg"}]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1),
        lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda image: cv2.resize(image, (120, 80)),
        lambda image: np.clip(image * 1.1 + 8, 0, 255).astype(np.uint8),
        lambda image: np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8),
    ],
    ids=["saved again", "half the size", "stretched", "brighter", "noisy"],
)
def test_nearly_equal_images_belong_together(tmp_path, change):
    others = {f"{number}.png": scene(number) for number in range(2, 12)}
    assert groups_of(tmp_path, {"one.png": scene(1), "again.png": change(scene(1)), **others}) == [
        {"one.png", "again.png"}
    ]


def test_one_object_that_moved_makes_another_image(tmp_path):
    """A camera on a tripod: the background is the same, what is to be found is not."""
    boards = {}
    for number in range(4):
        boards[f"{'abcd'[number]}.png"] = board = scene(0, side=320)
        board[40:80, 40 + 70 * number : 60 + 70 * number] = 255
    assert groups_of(tmp_path, boards) == []


def test_frames_of_a_film_belong_together_also_across_the_folders_of_lists(tmp_path):
    wide = scene(0, side=400)
    frames = {f"{'train' if n % 2 else 'valid'}/f_{n:04d}.png": wide[:, 12 * n : 12 * n + 240] for n in range(10)}
    ends = cv2.resize(frames["valid/f_0000.png"], (16, 16)), cv2.resize(frames["train/f_0009.png"], (16, 16))
    assert np.corrcoef(*(end.ravel() for end in ends))[0, 1] < 0.8  # the first and the last are far apart
    assert groups_of(tmp_path, frames) == [set(frames)]


def test_running_numbers_alone_make_no_film(tmp_path):
    assert groups_of(tmp_path, {f"photo_{number:05d}.png": scene(number) for number in range(10)}) == []


def test_two_films_with_the_same_numbers_in_two_folders_stay_two(tmp_path):
    films = {}
    for name, wide in (("night", scene(0, side=400)), ("day", scene(1, side=400))):
        films |= {f"{name}/{number}.png": wide[:, 12 * number : 12 * number + 240] for number in range(4)}
    assert groups_of(tmp_path, films) == [{f"{name}/{n}.png" for n in range(4)} for name in ("night", "day")]


def test_plain_images_are_not_taken_for_copies_of_each_other(tmp_path):
    plain = {f"{'abc'[n]}.png": np.full((32, 32, 3), (0, 120, 255)[n], np.uint8) for n in range(3)}
    assert groups_of(tmp_path, plain) == []


def test_roboflows_copies_of_an_image_belong_together(tmp_path):
    copies = {"cat_jpg.rf.0a1b2c.png": scene(0), "cat_jpg.rf.9f8e7d.png": scene(0)[:, ::-1]}
    assert groups_of(tmp_path, {**copies, "cat_2_jpg.rf.11aa22.png": scene(5)}) == [set(copies)]


def test_images_that_cannot_be_used_belong_to_none(tmp_path):
    assert groups_of(tmp_path, {"a.png": scene(0)}, {"b.jpg": b"", "c.jpg": b""}) == []
    assert group_images([], []).tolist() == []


def test_groups_are_described_in_words():
    assert describe_groups(np.arange(5)) == ""
    assert describe_groups(np.array([0, 1, 1, 3])).startswith("1 group of ")
    assert describe_groups(np.array([0, 0, 2, 3, 3, 3])).endswith("(5 images)")


@pytest.mark.skipif(not BCCD.is_dir(), reason="needs ../shared/data")
def test_the_same_cells_twice_are_found_in_bccd():
    names = [f"BloodImage_{number:05d}.jpg" for number in (35, 36, 37, 38, 39)]
    paths = [str(BCCD / name) for name in names]
    assert group_images(paths, list(check_images(paths))).tolist() == [0, 1, 2, 2, 4]


def test_progress_is_told_while_images_are_compared():
    random = np.random.default_rng(0)
    looks = random.integers(0, 256, (9, 256), np.uint8)
    images = [SimpleNamespace(digest=str(n), thumbnail=look.tobytes()) for n, look in enumerate(looks)]
    told = []
    group_images([f"{n}.jpg" for n in range(9)], images, lambda done, total: told.append((done, total)))
    assert told and told == sorted(told) and {total for _, total in told} == {9} and max(told)[0] <= 9
