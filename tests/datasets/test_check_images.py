"""Truncated, empty and unreadable images are reported."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.datasets.checked import GOOD, annotate, check, dataset_of, kinds, write_image
from tests.datasets.image_files import encoded, photo, resized_header
from yolo3.datasets.check_images import check_complete, check_images
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.image_groups import THUMBNAIL_SIDE
from yolo3.datasets.images import ImageError
from yolo3.datasets.usable import usable_annotations


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("keep, kind", [(0, "empty-image"), (0.5, "truncated-image"), (0.995, "truncated-image")])
def test_images_that_end_too_early_are_errors(tmp_path, suffix, keep, kind):
    path = tmp_path / f"a{suffix}"
    write_image(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    dataset = dataset_of(annotate(path, GOOD))
    findings = check(dataset)
    assert kinds(findings) == [("error", kind)] and findings[0].where == "a.txt"
    assert usable_annotations(dataset, findings) == ([], {kind: 1})


def test_images_that_cannot_be_decoded_are_errors(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>not found</html>")
    findings = check(dataset_of(annotate(tmp_path / "a.jpg", GOOD), annotate(tmp_path / "absent.jpg", GOOD)))
    assert kinds(findings) == [("error", "unreadable-image")] * 2


def test_the_end_of_a_thumbnail_does_not_make_a_truncated_image_whole(tmp_path):
    write_image(tmp_path / "thumb.jpg", 16, 16)
    write_image(tmp_path / "a.jpg")
    thumb, content = (tmp_path / "thumb.jpg").read_bytes(), (tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb
    whole = content[:2] + segment + content[2:]
    check_complete(whole, "a.jpg")
    check_complete(whole + b"trailing bytes", "a.jpg")
    with pytest.raises(ImageError, match="^a.jpg: expected an image, got a file that ends too early") as raised:
        check_complete(whole[:-2], "a.jpg")
    assert raised.value.kind == "truncated-image"


@pytest.mark.parametrize("flags", [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]])
def test_progressive_and_restarted_images_are_whole(tmp_path, flags):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8), flags)
    check_complete((tmp_path / "a.jpg").read_bytes(), "a.jpg")


def test_progress_is_reported_for_every_image(tmp_path):
    paths = [write_image(tmp_path / f"{number}.jpg", 8, 8, number) for number in range(70)]
    calls = []
    assert len(list(check_images(paths, 2, lambda done, all: calls.append((done, all))))) == 70
    assert calls == [(number, 70) for number in range(1, 71)]


def test_the_check_keeps_a_thumbnail_of_good_images_alone(tmp_path):
    (good,) = check_images([write_image(tmp_path / "a.png")])
    (tmp_path / "b.png").write_bytes(b"")
    (bad,) = check_images([str(tmp_path / "b.png")])
    assert len(good.thumbnail) == THUMBNAIL_SIDE**2 and bad.thumbnail == b""


def bad_files(folder):
    """Write files that are no usable images, and return their names and the kinds of their findings."""
    huge = {name: resized_header(encoded(photo(), name), name, 60000, 60000) for name in ("PNG", "JPEG", "TIFF")}
    contents = {
        "empty.jpg": (b"", "empty-image"),
        "text.jpg": (b"<html>not found</html>", "unreadable-image"),
        "deflated.png": (huge["PNG"], "huge-image"),
        "huge.jpg": (huge["JPEG"], "huge-image"),
        "huge.tif": (huge["TIFF"], "huge-image"),
        "lying.png": (resized_header(encoded(photo(), "PNG"), "PNG", 9000, 9000), "truncated-image"),
        "lying.tif": (resized_header(encoded(photo(), "TIFF"), "TIFF", 900, 900), "unreadable-image"),
        "lying.webp": (resized_header(encoded(photo(), "WEBP"), "WEBP", 900, 900), "unreadable-image"),
        "12 bits.jpg": (
            encoded(photo(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
            "unreadable-image",
        ),
        "two\nlines.jpg": (b"x", "unreadable-image"),
        "red\x1b[31m.jpg": (b"x", "unreadable-image"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    others = dict.fromkeys(("pipe.jpg", "folder.jpg", "loop.jpg", "absent.jpg"), "unreadable-image")
    return {name: kind for name, (_, kind) in contents.items()} | others


def test_each_bad_file_is_one_line_with_its_name_and_is_left_out(tmp_path):
    expected = bad_files(tmp_path)
    good = annotate(write_image(tmp_path / "good.png"), GOOD)
    dataset = dataset_of(good, *(annotate(tmp_path / name, GOOD) for name in expected))
    found = [finding for finding in check(dataset) if finding.severity == "error"]
    assert [finding.kind for finding in found] == list(expected.values())
    for name, finding in zip(expected, found, strict=True):
        line = str(finding)
        assert (
            line.isprintable() and name.encode("unicode_escape").decode() in line and "expected an image, got" in line
        )
    assert usable_annotations(dataset, found)[0] == [good]


def test_a_folder_of_bad_images_is_read_and_only_they_are_left_out(tmp_path):
    expected = bad_files(tmp_path)
    write_image(tmp_path / "good.png")
    for name in [*expected, "good.png"]:
        (tmp_path / name).with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    dataset = read_dataset(str(tmp_path), "yolo")
    found = check(dataset)
    usable, left_out = usable_annotations(dataset, found)
    assert [item.image_path for item in usable] == [str(tmp_path / "good.png")]
    # The pipe, the folder and what is not there are no images; their labels are told of in one line.
    assert sum(left_out.values()) == len(expected) - 4
    assert all(str(finding).isprintable() for finding in found)


@pytest.mark.parametrize("format", ["WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_image_is_used_with_a_warning(tmp_path, format):
    frames = [Image.fromarray(np.roll(photo(), shift, 1)) for shift in range(3)]
    (tmp_path / "a.png").write_bytes(encoded(frames[0], format, save_all=True, append_images=frames[1:]))
    dataset = dataset_of(annotate(tmp_path / "a.png", (1, 1, 20, 20)))
    found = [finding for finding in check(dataset) if finding.kind == "several-images"]
    assert kinds(found) == [("warning", "several-images")] and "a.png" in str(found[0])
    assert len(usable_annotations(dataset, found)[0]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path):
    path = write_image(tmp_path / "a.png")
    os.chmod(path, 0)
    assert "a.png: expected an image, got 'Permission denied'" in str(check(dataset_of(annotate(path, GOOD)))[0])


def test_opencv_has_one_thread_while_images_are_checked_and_its_own_afterwards(tmp_path):
    path = write_image(tmp_path / "a.png", 8, 8)
    before = cv2.getNumThreads()
    checks = check_images([path] * 20)
    next(checks)
    assert cv2.getNumThreads() == 1
    checks.close()
    assert cv2.getNumThreads() == before
