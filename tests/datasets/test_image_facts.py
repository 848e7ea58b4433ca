"""What decoding showed is kept beside the data, and is never relied on once a file has changed."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.datasets.checked import write_image
from yolo3.datasets import cache, check_images, image_facts, pixel_limit
from yolo3.datasets.image_facts import known_checks


@pytest.fixture
def decoded(monkeypatch, tmp_path):
    """Names of the images of this test that are decoded from here on; threads of others may still be at work."""
    names = []
    check_image = check_images.check_image

    def noted(path):
        if path.startswith(str(tmp_path)):
            names.append(os.path.basename(path))
        return check_image(path)

    monkeypatch.setattr(check_images, "check_image", noted)
    return names


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Three images that were written long ago, and the cache switched on."""
    monkeypatch.delenv("YOLO3_DATA_CACHE")
    monkeypatch.setattr(image_facts, "FRESH_NS", -1)
    folder = tmp_path / "set"
    folder.mkdir()
    return [write_image(folder / f"{name}.png", 8, 8, seed) for seed, name in enumerate("abc")]


def checked(images, **options):
    return known_checks(images, os.path.dirname(images[0]), **options)


def test_a_second_look_decodes_nothing_and_tells_the_same(images, decoded):
    first = checked(images)
    assert sorted(decoded) == ["a.png", "b.png", "c.png"]
    decoded.clear()
    assert checked(images) == first == list(check_images.check_images(images))
    assert decoded == ["a.png", "b.png", "c.png"]  # by the line above alone


@pytest.mark.parametrize("change", ["content", "touch", "times put back"])
def test_a_changed_image_is_decoded_again(images, decoded, change):
    checked(images)
    decoded.clear()
    times = os.stat(images[1])
    if change == "touch":
        os.utime(images[1], (5, 5))
    else:
        write_image(images[1], 8, 8 if change == "times put back" else 9, 7)
    if change == "times put back":
        os.utime(images[1], ns=(times.st_atime_ns, times.st_mtime_ns))
    found = checked(images)
    assert decoded == ["b.png"]
    assert found == list(check_images.check_images(images))


def test_an_image_that_has_too_many_pixels_now_is_refused_though_it_is_known(images, monkeypatch):
    assert [check.fault for check in checked(images)] == [None] * 3
    monkeypatch.setattr(pixel_limit, "_max_pixels", 63)
    assert [check.fault[0] for check in checked(images)] == ["huge-image"] * 3


def test_added_and_removed_images_are_noticed(images, decoded):
    checked(images[:2])
    decoded.clear()
    assert len(checked(images)) == 3 and decoded == ["c.png"]
    os.remove(images[0])
    assert checked(images)[0].fault[0] == "unreadable-image"


def test_an_image_that_was_written_a_moment_ago_is_not_relied_on(images, decoded, monkeypatch):
    monkeypatch.setattr(image_facts, "FRESH_NS", 2_000_000_000)
    checked(images)
    checked(images)
    assert len(decoded) == 6


def test_an_image_that_changes_while_it_is_decoded_is_not_relied_on(images, decoded, monkeypatch):
    check_image = check_images.check_image

    def changed_meanwhile(path):
        check = check_image(path)
        os.utime(path, (5, 5))
        return check

    monkeypatch.setattr(check_images, "check_image", changed_meanwhile)
    checked(images)
    checked(images)
    assert len(decoded) == 6


def test_images_with_a_fault_are_looked_at_each_time(images, decoded):
    with open(images[1], "wb"):
        pass
    assert [check.fault is None for check in checked(images)] == [True, False, True]
    decoded.clear()
    assert checked(images)[1].fault[0] == "empty-image" and decoded == ["b.png"]


def test_a_data_set_that_was_moved_keeps_its_facts(images, decoded, tmp_path):
    checked(images)
    os.rename(tmp_path / "set", tmp_path / "moved")
    decoded.clear()
    checked([path.replace("/set/", "/moved/") for path in images])
    assert decoded == []


@pytest.mark.parametrize("damage", ["cut", "flipped bytes", "another file", "pickled objects", "another version"])
def test_a_damaged_or_foreign_cache_is_ignored_and_replaced(images, decoded, damage, tmp_path, monkeypatch):
    first = checked(images)
    file = tmp_path / "set" / cache.FOLDER / "images.npz"
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped bytes":
        file.write_bytes(content.replace(b"a.png", b"x.png"))
    elif damage == "another file":
        file.write_bytes(b"\xff\xd8 no archive")
    elif damage == "pickled objects":
        np.savez(file, header=np.array([{"version": cache.code_version()}], object))
    else:
        monkeypatch.setattr(cache, "code_version", lambda: "another")
    decoded.clear()
    assert checked(images) == first and len(decoded) == 3
    assert checked(images) == first and len(decoded) == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that the user cannot write to")
def test_facts_of_a_read_only_folder_are_kept_in_the_users_cache(images, decoded, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    os.chmod(tmp_path / "set", 0o555)
    try:
        checked(images)
        checked(images)
    finally:
        os.chmod(tmp_path / "set", 0o755)
    assert len(decoded) == 3
    assert len(list((tmp_path / "cache" / "yolo3").glob("data-*/images.npz"))) == 1


def test_a_folder_that_refuses_writing_leads_to_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("YOLO3_DATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    assert cache.cache_folder(str(tmp_path)).startswith(str(tmp_path / "cache" / "yolo3" / "data-"))


def test_a_variable_names_another_place_or_none(images, decoded, tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO3_DATA_CACHE", str(tmp_path / "elsewhere"))
    checked(images)
    assert len(list((tmp_path / "elsewhere").rglob("images.npz"))) == 1
    assert sorted(os.listdir(tmp_path / "set")) == ["a.png", "b.png", "c.png"]
    monkeypatch.setenv("YOLO3_DATA_CACHE", "off")
    checked(images)
    assert len(decoded) == 6


def test_a_full_disk_costs_the_cache_and_nothing_else(images, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_arrays", full)
    assert len(checked(images)) == 3


def test_several_processes_leave_one_whole_cache(images, decoded, tmp_path):
    code = (
        "import sys; from yolo3.datasets import image_facts; image_facts.FRESH_NS = -1;"
        "[image_facts.known_checks(sys.argv[2:], sys.argv[1]) for _ in range(20)]"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "set"), *images]
    for process in [subprocess.Popen(command) for _ in range(2)]:
        assert process.wait() == 0
    assert [path.name for path in (tmp_path / "set" / cache.FOLDER).iterdir()] == ["images.npz"]
    checked(images)
    assert decoded == []


def test_no_more_than_a_number_of_files_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_MAX_FILES", 3)
    for number in range(5):
        cache.write_cache(str(tmp_path / f"{number}.npz"), None, {})
        os.utime(tmp_path / f"{number}.npz", (time.time() + number - 10,) * 2)
    assert sorted(os.listdir(tmp_path)) == ["2.npz", "3.npz", "4.npz"]


def test_groups_of_many_images_are_found_once(images, tmp_path, monkeypatch):
    monkeypatch.setattr(image_facts, "_GROUPS_WORTH", 0)
    checks = checked(images)
    first = image_facts.known_groups(images, checks, str(tmp_path / "set"))
    assert first.tolist() == image_facts.group_images(images, checks).tolist()
    monkeypatch.setattr(image_facts, "group_images", None)
    assert image_facts.known_groups(images, checks, str(tmp_path / "set")).tolist() == first.tolist()
    with pytest.raises(TypeError):
        image_facts.known_groups(images[:2], checks[:2], str(tmp_path / "set"))
