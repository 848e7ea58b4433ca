"""Truncated, empty and unreadable images are reported."""

import cv2
import numpy as np
import pytest

from tests.datasets.checked import GOOD, annotate, check, dataset_of, kinds, write_image
from yolo3.datasets.check_images import check_complete, check_images
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
