"""yolo3.inference.tiles: tiles that cover the image, and small objects that are found in them."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.inference.test_tile_merging import seen
from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.inference.tiles import TiledDetector, check_tiling, tile_boxes

RED = (255, 0, 0)


class ShortSighted:
    """A detector that brings images to 64 x 64 pixels and finds red rectangles that are at least 4 wide there.

    Their score is the part of the pixels of their box that is red. ``seen`` holds the shapes it was given.
    """

    class_names = ["red"]
    iou_threshold = 0.45
    max_boxes = 300

    def __init__(self):
        self.seen = []

    def detect_each(self, photos, on_error=None):
        for index, image in enumerate(photos):
            self.seen.append(image.shape[:2])
            yield index, image, self._find(image)

    def _find(self, image):
        small = cv2.resize(np.ascontiguousarray(image[..., 0]), (64, 64), interpolation=cv2.INTER_AREA)
        _, _, stats, _ = cv2.connectedComponentsWithStats((small > 127).astype(np.uint8))
        found = [(x, y, x + w, y + h, count / (w * h)) for x, y, w, h, count in stats[1:] if w >= 4]
        found = np.array(found).reshape(-1, 5)
        scale = np.tile(image.shape[1::-1], 2) / 64
        return Detections(found[:, :4] * scale, found[:, 4], np.zeros(len(found)))


def canvas(height, width, *boxes):
    image = np.zeros((height, width, 3), np.uint8)
    for x_min, y_min, x_max, y_max in boxes:
        image[y_min:y_max, x_min:x_max] = RED
    return image


def found_in(image, *options):
    ((index, photo, found),) = TiledDetector(ShortSighted(), *options).detect_each([image])
    assert index == 0 and photo is image
    return sorted(found.boxes.tolist())


def test_tiles_advance_by_their_size_minus_the_overlap_and_the_last_is_flush_with_the_border():
    # Width 200: tiles of 100 begin at 0, 80 and, flush, at 100. Height 100: one row.
    assert tile_boxes((100, 200), 100, 0.2, whole=False).tolist() == [
        [0, 0, 100, 100], [80, 0, 180, 100], [100, 0, 200, 100],
    ]  # fmt: skip
    assert tile_boxes((100, 180), 100, 0.2, whole=False).tolist() == [[0, 0, 100, 100], [80, 0, 180, 100]]
    assert tile_boxes((100, 160), 100, 0.8, whole=False)[:, 0].tolist() == [0, 20, 40, 60]
    assert tile_boxes((100, 200), 100, 0.0, whole=False).tolist() == [[0, 0, 100, 100], [100, 0, 200, 100]]


def test_the_whole_image_comes_first_and_only_once():
    assert tile_boxes((150, 90), 100, 0.5).tolist() == [[0, 0, 90, 150], [0, 0, 90, 100], [0, 50, 90, 150]]
    for whole in (True, False):
        assert tile_boxes((100, 64), 100, 0.2, whole).tolist() == [[0, 0, 64, 100]]


@pytest.mark.parametrize("size", [(1, 1), (33, 500), (180, 241), (600, 77)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.9])
def test_every_pixel_is_in_a_tile_of_the_full_size(size, overlap):
    covered = np.zeros(size, int)
    for left, top, right, bottom in tile_boxes(size, 64, overlap, whole=False):
        covered[top:bottom, left:right] += 1
        assert (bottom - top, right - left) == (min(64, size[0]), min(64, size[1]))
    assert covered.min() >= 1


def test_tiles_out_of_range_are_refused():
    for tile, overlap, message in ((31, 0.2, "tile: expected at least 32 pixels, got 31"), (64, 1.0, "got 1$")):
        with pytest.raises(ValueError, match=message):
            check_tiling(tile, overlap)
        with pytest.raises(ValueError, match=message):
            TiledDetector(ShortSighted(), tile, overlap)
    check_tiling(32, 0.9)


SMALL = [(x, y, x + 40, y + 40) for y in range(80, 1000, 250) for x in range(100, 1600, 300)]


def test_small_objects_missed_in_the_whole_image_are_found():
    image = canvas(1000, 1600, *SMALL)  # 40 of 1600 pixels are 1.6 of 64; of a tile of 400 they are 6.4
    assert len(ShortSighted()._find(image)) == 0
    found = found_in(image, 400)
    assert len(found) == len(SMALL)
    np.testing.assert_allclose(found, sorted(SMALL), atol=7)  # a pixel of 64 is 6.25


def test_an_object_larger_than_a_tile_is_one_box():
    for whole in (True, False):
        found = found_in(canvas(640, 640, (60, 60, 580, 580)), 160, 0.2, whole)
        assert len(found) == 1, whole
        np.testing.assert_allclose(found[0], [60, 60, 580, 580], atol=10)


def test_of_the_whole_image_only_what_is_longer_than_half_a_tile_counts():
    class OnlyTheWhole(ShortSighted):
        def _find(self, image):
            return super()._find(image) if image.shape == (200, 320, 3) else seen()

    image = canvas(200, 320, (20, 20, 60, 60), (100, 20, 180, 160))  # 40 and 140 long
    ((_, _, found),) = TiledDetector(OnlyTheWhole(), 160).detect_each([image])
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [100, 20, 180, 160], atol=6)


def test_a_small_image_is_detected_once_without_tiles():
    detector = ShortSighted()
    image = canvas(64, 100, (10, 10, 40, 40))
    ((_, _, found),) = TiledDetector(detector, 100).detect_each([image])
    assert detector.seen == [(64, 100)]
    np.testing.assert_array_equal(found.boxes, ShortSighted()._find(image).boxes)


def test_images_keep_their_order_and_unreadable_ones_are_named(tmp_path):
    write_image(tmp_path / "a.png", canvas(64, 200, (10, 10, 40, 40)))
    (tmp_path / "bad.jpg").write_text("no image")
    photos = [tmp_path / "a.png", tmp_path / "bad.jpg", canvas(32, 32), str(tmp_path / "absent.png"), canvas(300, 90)]
    errors = []
    tiled = TiledDetector(ShortSighted(), 64)
    found = list(tiled.detect_each(photos, lambda photo, error: errors.append(str(error))))
    assert [(index, image.shape[:2], len(boxes)) for index, image, boxes in found] == [
        (0, (64, 200), 1), (2, (32, 32), 0), (4, (300, 90), 0),
    ]  # fmt: skip
    assert len(errors) == 2 and "bad.jpg" in errors[0] and "absent.png" in errors[1]
    with pytest.raises(ValueError, match="bad.jpg"):
        list(tiled.detect_each(photos))


def test_max_boxes_applies_to_the_whole_image():
    detector = ShortSighted()
    detector.max_boxes = 3
    ((_, _, found),) = TiledDetector(detector, 400).detect_each([canvas(1000, 1600, *SMALL)])
    assert len(found) == 3


class Answers:
    """A detector that gives these answers to the tiles, one after the other."""

    class_names, iou_threshold, max_boxes = ["a"], 0.45, 300

    def __init__(self, *answers):
        self.answers = answers

    def detect_each(self, photos, on_error=None):
        for index, (image, found) in enumerate(zip(photos, self.answers, strict=True)):
            yield index, image, found


@pytest.mark.parametrize(
    ("weak", "together"),
    [
        ((2, 10, 20, 50, 0.2, 0), [82, 10, 100, 50]),  # whole in its tile, so that it would stand for both
        ((0, 10, 50, 50, 0.1, 0), [60, 10, 130, 50]),  # cut, so that both would be pieces of one
    ],
)
def test_a_weak_box_neither_replaces_nor_lengthens_a_strong_one(weak, together):
    # Tiles from 0 and 80; the strong box of the first is cut at its edge, 100.
    answers = seen((60, 10, 100, 50, 0.9, 0)), seen(weak)
    for strong, expected in ((0.3, [60, 10, 100, 50]), (0.0, together)):
        detector = TiledDetector(Answers(*answers), 100, 0.2, False, strong)
        ((_, _, found),) = detector.detect_each([canvas(100, 180)])
        assert found.boxes[0].tolist() == expected, strong


def test_of_the_weak_boxes_of_all_tiles_the_fifty_best_are_kept():
    apart = [(x, y, x + 1, y + 1, 0.001 * (x + y), 0) for y in range(2, 90, 4) for x in range(2, 70, 4)]
    detector = TiledDetector(Answers(seen(*apart), seen((50, 20, 60, 30, 0.8, 0))), 100, 0.2, False, strong=0.5)
    ((_, _, found),) = detector.detect_each([canvas(100, 180)])
    assert len(apart) > 300 and 51 <= len(found) < 70  # a few have the score of the fiftieth
    assert found.scores[0] == np.float32(0.8) and found.scores[1:].min() > 0.1


def test_attributes_of_the_detector_are_passed_on():
    detector = SimpleNamespace(class_names=["a", "b"], iou_threshold=0.5, max_boxes=3)
    assert TiledDetector(detector, 64).class_names == ["a", "b"]
