"""yolo3.inference.tiles: windows that cover the image, and one box for what several of them saw."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.inference.tiles import TiledDetector, check_tiling, merge_windows, windows

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


def seen(*rows):
    """Detections from (x_min, y_min, x_max, y_max, score, class_id)."""
    array = np.array(rows, float).reshape(-1, 6)
    return Detections(array[:, :4], array[:, 4], array[:, 5])


# Windows


def test_windows_go_by_their_size_less_the_overlap_and_the_last_is_flush_with_the_border():
    # Width 200: windows of 100 begin at 0, 80 and, flush, at 100. Height 100: one row.
    assert windows((100, 200), 100, 0.2, whole=False).tolist() == [
        [0, 0, 100, 100], [80, 0, 180, 100], [100, 0, 200, 100],
    ]  # fmt: skip
    assert windows((100, 180), 100, 0.2, whole=False).tolist() == [[0, 0, 100, 100], [80, 0, 180, 100]]
    assert windows((100, 160), 100, 0.8, whole=False)[:, 0].tolist() == [0, 20, 40, 60]
    assert windows((100, 200), 100, 0.0, whole=False).tolist() == [[0, 0, 100, 100], [100, 0, 200, 100]]


def test_the_whole_image_comes_first_and_only_once():
    assert windows((150, 90), 100, 0.5).tolist() == [[0, 0, 90, 150], [0, 0, 90, 100], [0, 50, 90, 150]]
    for whole in (True, False):
        assert windows((100, 64), 100, 0.2, whole).tolist() == [[0, 0, 64, 100]]


@pytest.mark.parametrize("size", [(1, 1), (33, 500), (180, 241), (600, 77)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.9])
def test_every_pixel_is_in_a_window_of_the_full_size(size, overlap):
    covered = np.zeros(size, int)
    for left, top, right, bottom in windows(size, 64, overlap, whole=False):
        covered[top:bottom, left:right] += 1
        assert (bottom - top, right - left) == (min(64, size[0]), min(64, size[1]))
    assert covered.min() >= 1


def test_windows_out_of_range_are_refused():
    for tile, overlap, message in ((31, 0.2, "tile: expected at least 32 pixels, got 31"), (64, 1.0, "got 1$")):
        with pytest.raises(ValueError, match=message):
            check_tiling(tile, overlap)
        with pytest.raises(ValueError, match=message):
            TiledDetector(ShortSighted(), tile, overlap)
    check_tiling(32, 0.9)


# Merging


FRAMES = windows((100, 180), 100, 0.2)  # the whole, x 0 to 100, x 80 to 180
WHOLE, LEFT, RIGHT = range(3)


def merged(threshold=0.45, **parts):
    found = [seen(*parts.get(name, ())) for name in ("whole", "left", "right")]
    return merge_windows(found, FRAMES, (100, 180), threshold)


def test_what_two_windows_saw_whole_is_kept_once_where_it_lies_in_the_image():
    found = merged(left=[(84, 10, 96, 30, 0.8, 0)], right=[(4, 10, 16, 30, 0.9, 0)])  # 80 + 4 = 84
    assert found.boxes.tolist() == [[84, 10, 96, 30]] and found.scores.tolist() == [np.float32(0.9)]


def test_a_piece_gives_way_to_the_whole_box_even_if_its_score_is_higher():
    # The left window ends at 100, so its box 60 to 100 is cut; the whole image shows 60 to 140.
    found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], left=[(60, 10, 100, 50, 0.9, 0)])
    assert found.boxes.tolist() == [[60, 10, 140, 50]] and found.scores.tolist() == [0.5]


def test_a_small_piece_within_the_whole_box_goes_too():
    # What both show is 80 to 140; the piece there is 80 to 100 of it: an IoU of 1/3, but it lies within.
    found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], right=[(0, 10, 20, 50, 0.9, 0)])
    assert found.boxes.tolist() == [[60, 10, 140, 50]]


def test_pieces_of_what_no_window_shows_whole_become_the_box_around_them():
    # 60 to 100 from the left, 80 to 130 from the right: in 80 to 100, which both show, they are the same.
    found = merged(left=[(60, 10, 100, 50, 0.6, 0)], right=[(0, 12, 50, 50, 0.7, 0)])
    assert found.boxes.tolist() == [[60, 10, 130, 50]] and found.scores.tolist() == [np.float32(0.7)]


def test_a_chain_of_pieces_is_one_object():
    frames = windows((100, 260), 100, 0.2, whole=False)  # from 0, 80 and 160
    pieces = [seen((30, 10, 100, 50, 0.6, 0)), seen((0, 10, 100, 50, 0.9, 0)), seen((0, 10, 70, 50, 0.7, 0))]
    assert merge_windows(pieces, frames, (100, 260), 0.45).boxes.tolist() == [[30, 10, 230, 50]]


def test_a_box_that_nearly_reaches_the_edge_of_its_window_is_cut():
    # Of 100 pixels the margin is 1: a box to 99.5 is a piece, one to 98.5 is not, and has the better score.
    for end, kept in ((99.5, [60, 10, 140, 50]), (98.5, [60, 10, 98.5, 50])):
        found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], left=[(60, 10, end, 50, 0.9, 0)])
        assert found.boxes.tolist() == [kept]


def test_whole_boxes_form_no_chain():
    # Each agrees with the next, in the part that both windows show, but the first and the last do not.
    frames = windows((100, 260), 100, 0.8, whole=False)[:3]  # from 0, 20 and 40
    found = merge_windows(
        [seen((50, 10, 70, 50, 0.9, 0)), seen((36, 10, 56, 50, 0.8, 0)), seen((22, 10, 42, 50, 0.7, 0))],
        frames, (100, 260), 0.45,
    )  # fmt: skip
    # 50 to 70 and 56 to 76: IoU 14 / 26; 56 to 76 and 62 to 82: the same; 50 to 70 and 62 to 82: 8 / 32
    assert found.boxes[:, 0].tolist() == [50, 62]


def test_a_small_object_before_a_large_one_of_its_class_stays():
    # In the window's part of the image the large box is 80 to 140, 10 to 90; the small one lies within it.
    found = merged(whole=[(60, 10, 140, 90, 0.9, 0)], right=[(20, 30, 30, 45, 0.6, 0)])
    assert sorted(found.boxes.tolist()) == [[60, 10, 140, 90], [100, 30, 110, 45]]


def test_neighbours_in_one_window_and_other_classes_are_left_alone():
    overlapping = [(10, 10, 50, 50, 0.9, 0), (12, 10, 52, 50, 0.8, 0)]  # the detector let both stand
    assert len(merged(left=overlapping)) == 2
    assert len(merged(left=[(84, 10, 96, 30, 0.8, 0)], right=[(4, 10, 16, 30, 0.9, 1)])) == 2


def test_neighbours_on_both_sides_of_a_seam_stay_two():
    found = merged(left=[(70, 10, 90, 30, 0.8, 0)], right=[(12, 10, 32, 30, 0.9, 0)])  # 92 to 112
    assert sorted(found.boxes.tolist()) == [[70, 10, 90, 30], [92, 10, 112, 30]]


def test_a_box_at_the_border_of_the_image_is_whole():
    found = merged(whole=[(0, 10, 40, 50, 0.5, 0)], left=[(0, 10, 40, 50, 0.9, 0)])
    assert found.scores.tolist() == [np.float32(0.9)]


def test_the_best_scores_come_first_whatever_the_class_and_nothing_gives_nothing():
    found = merged(left=[(10, 10, 20, 20, 0.3, 0), (40, 40, 60, 60, 0.7, 2)], right=[(50, 50, 60, 60, 0.5, 1)])
    assert found.class_ids.tolist() == [2, 1, 0]
    assert len(merged()) == 0


def test_the_threshold_is_the_overlap_from_which_boxes_are_one_object():
    # 84 to 96 and 88 to 100 (cut neither: the right window begins at 80, the left one is 1 pixel wider): IoU 8 / 16
    boxes = {"left": [(84, 10, 96, 30, 0.8, 0)], "right": [(8, 10, 20, 30, 0.9, 0)]}
    assert len(merged(0.45, **boxes)) == 1 and len(merged(0.55, **boxes)) == 2


# The detector


SMALL = [(x, y, x + 40, y + 40) for y in range(80, 1000, 250) for x in range(100, 1600, 300)]


def test_small_objects_that_the_whole_image_loses_are_found():
    image = canvas(1000, 1600, *SMALL)  # 40 of 1600 pixels are 1.6 of 64; of a window of 400 they are 6.4
    assert len(ShortSighted()._find(image)) == 0
    found = found_in(image, 400)
    assert len(found) == len(SMALL)
    np.testing.assert_allclose(found, sorted(SMALL), atol=7)  # a pixel of 64 is 6.25


def test_an_object_larger_than_a_window_is_one_box():
    for whole in (True, False):
        found = found_in(canvas(640, 640, (60, 60, 580, 580)), 160, 0.2, whole)
        assert len(found) == 1, whole
        np.testing.assert_allclose(found[0], [60, 60, 580, 580], atol=10)


def test_of_the_whole_image_only_what_is_longer_than_half_a_window_counts():
    class OnlyTheWhole(ShortSighted):
        def _find(self, image):
            return super()._find(image) if image.shape == (200, 320, 3) else seen()

    image = canvas(200, 320, (20, 20, 60, 60), (100, 20, 180, 160))  # 40 and 140 long
    ((_, _, found),) = TiledDetector(OnlyTheWhole(), 160).detect_each([image])
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [100, 20, 180, 160], atol=6)


def test_a_small_image_is_looked_at_once_and_as_ever():
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


def test_the_most_boxes_count_for_the_image():
    detector = ShortSighted()
    detector.max_boxes = 3
    ((_, _, found),) = TiledDetector(detector, 400).detect_each([canvas(1000, 1600, *SMALL)])
    assert len(found) == 3


class Answers:
    """A detector that gives these answers to the windows, one after the other."""

    class_names, iou_threshold, max_boxes = ["a"], 0.45, 300

    def __init__(self, *answers):
        self.answers = answers

    def detect_each(self, photos, on_error=None):
        for index, (image, found) in enumerate(zip(photos, self.answers, strict=True)):
            yield index, image, found


@pytest.mark.parametrize(
    ("weak", "together"),
    [
        ((2, 10, 20, 50, 0.2, 0), [82, 10, 100, 50]),  # whole in its window, so that it would stand for both
        ((0, 10, 50, 50, 0.1, 0), [60, 10, 130, 50]),  # cut, so that both would be pieces of one
    ],
)
def test_a_weak_box_takes_the_place_of_no_strong_one_and_lengthens_none(weak, together):
    # Windows from 0 and 80; the strong box of the first is cut at its edge, 100.
    answers = seen((60, 10, 100, 50, 0.9, 0)), seen(weak)
    for strong, expected in ((0.3, [60, 10, 100, 50]), (0.0, together)):
        detector = TiledDetector(Answers(*answers), 100, 0.2, False, strong)
        ((_, _, found),) = detector.detect_each([canvas(100, 180)])
        assert found.boxes[0].tolist() == expected, strong


def test_of_the_weak_boxes_of_all_windows_the_fifty_best_are_kept():
    apart = [(x, y, x + 1, y + 1, 0.001 * (x + y), 0) for y in range(2, 90, 4) for x in range(2, 70, 4)]
    detector = TiledDetector(Answers(seen(*apart), seen((50, 20, 60, 30, 0.8, 0))), 100, 0.2, False, strong=0.5)
    ((_, _, found),) = detector.detect_each([canvas(100, 180)])
    assert len(apart) > 300 and 51 <= len(found) < 70  # a few have the score of the fiftieth
    assert found.scores[0] == np.float32(0.8) and found.scores[1:].min() > 0.1


def test_what_the_detector_says_of_itself_is_handed_on():
    detector = SimpleNamespace(class_names=["a", "b"], iou_threshold=0.5, max_boxes=3)
    assert TiledDetector(detector, 64).class_names == ["a", "b"]
