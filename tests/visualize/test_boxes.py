"""Boxes and labels on images: what is drawn where, at any image size."""

import itertools

import cv2
import numpy as np
import pytest

from yolo3.visualize import boxes as draw
from yolo3.visualize.boxes import BLACK, GROUND_TRUTH_COLOUR, WHITE, class_colour, draw_boxes, draw_comparison

NAMES = ("cat", "a class with a rather long name", "Žluťoučký")


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def changed(image, before):
    return (image != before).any(axis=2)


def labels_of(size, boxes, names, monkeypatch, scores=None):
    """(text, left, top, right, bottom) of each label, the best score first."""
    labels = []

    class Pen(draw.ImageDraw.ImageDraw):
        def rectangle(self, xy, fill=None, outline=None, width=1):
            if fill is not None:
                labels.append([*xy[:2], xy[2] + 1, xy[3] + 1])
            super().rectangle(xy, fill, outline, width)

        def text(self, xy, text, **options):
            labels[-1].insert(0, text)
            super().text(xy, text, **options)

    monkeypatch.setattr(draw.ImageDraw, "Draw", Pen)
    draw_boxes(grey(*size), boxes, np.arange(len(boxes)), names, scores)
    monkeypatch.undo()
    return [tuple(label) for label in labels]


def overlapping(a, b):
    return a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]


def test_colours_are_fixed_and_far_apart():
    first = [class_colour(k) for k in range(12)]
    assert first == [class_colour(k) for k in range(12)]
    lab = cv2.cvtColor(np.float32([first]) / 255, cv2.COLOR_RGB2LAB)[0]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 30  # 2.3 is just noticeable
    assert len({class_colour(k) for k in range(80)}) == 80
    assert all(0 <= channel <= 255 for k in range(80) for channel in class_colour(k))


def test_text_is_black_on_light_and_white_on_dark():
    assert draw.text_colour((255, 255, 0)) == BLACK
    assert draw.text_colour((0, 0, 200)) == WHITE


def test_a_box_is_drawn_on_its_own_pixels():
    image = grey(100, 120)
    drawn = draw_boxes(image, [[20, 40, 60, 90]], [0], [""])
    # Edges 20 to 60 are the pixels 20 to 59; the line is one pixel wide on a small image.
    assert tuple(drawn[70, 20]) == tuple(drawn[70, 59]) == tuple(drawn[89, 40]) == class_colour(0)
    assert not changed(drawn, image)[60:89, 21:59].any()
    assert not changed(drawn, image)[60:, 60:].any() and not changed(drawn, image)[90:].any()


@pytest.mark.parametrize(("size", "width"), [((120, 160), 1), ((480, 640), 2), ((1500, 2000), 6)])
def test_lines_grow_with_the_image_but_do_not_fill_a_small_box(size, width):
    image, (height, width_of_image) = grey(*size), size
    box = [width_of_image * 0.1, height * 0.3, width_of_image * 0.9, height * 0.9]
    assert changed(draw_boxes(image, [box], [0], [""]), image)[int(height * 0.7)].sum() == 2 * width
    small = changed(draw_boxes(image, [[40, 40, 52, 52]], [0], [""]), image)
    assert small[46, 40:52].sum() == 2 * min(width, 2)  # 11 // 4 is 2 on either side


def test_inputs_stay_unchanged():
    image, boxes = grey(60, 80), np.array([[5.0, 5, 50, 50]])
    draw_boxes(image, boxes, [0], NAMES, [0.5])
    draw_comparison(image, boxes, [0], boxes, [1], [0.5], NAMES)
    assert (image == 128).all()
    assert boxes.tolist() == [[5.0, 5, 50, 50]]


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (40, 30), (120, 160), (700, 500)])
def test_any_box_on_any_image_is_drawn_without_error(size):
    h, w = size
    boxes = [[0, 0, w, h], [-50, -50, w + 50, h + 50], [w - 1, h - 1, w, h], [w / 2, h / 2, w / 2, h / 2]]
    boxes += [[w + 5, 0, w + 9, 5], [np.nan, 0, 5, 5], [-9, -9, -3, -3]]
    ids, scores = [0, 1, 2, 0, 1, 2, 99], np.linspace(0, 1, 7)
    for drawn in (
        draw_boxes(grey(h, w), boxes, ids, NAMES, scores),
        draw_comparison(grey(h, w), boxes, ids, boxes, ids, scores, NAMES),
    ):
        assert drawn.shape == (h, w, 3) and drawn.dtype == np.uint8


def test_without_boxes_the_image_is_unchanged():
    image = grey(40, 50)
    np.testing.assert_array_equal(draw_boxes(image, [], [], NAMES, []), image)
    np.testing.assert_array_equal(draw_comparison(image, [], [], [], [], [], NAMES), image)


def test_a_label_lies_on_its_box_where_there_is_room_and_stays_inside_the_image(monkeypatch):
    ((_, left, top, _, bottom),) = labels_of((200, 300), [[100, 100, 200, 150]], ["cat"], monkeypatch)
    assert (left, bottom) == (100, 100) and top > 80
    ((_, left, top, right, bottom),) = labels_of((200, 300), [[290, 100, 300, 150]], ["a long name"], monkeypatch)
    assert right == 300


def test_a_label_lies_inside_a_large_box_but_not_on_a_small_object(monkeypatch):
    for bottom, inside in ((150, True), (20, False)):  # at the upper border: there is no room above
        ((_, _, top, _, _),) = labels_of((200, 300), [[100, 0, 200, bottom]], ["cat"], monkeypatch)
        assert (top < bottom) == inside


def test_a_label_that_is_too_long_is_shortened_to_the_image(monkeypatch):
    ((text, left, _, right, _),) = labels_of((200, 100), [[10, 100, 60, 150]], ["x" * 100], monkeypatch)
    assert text.endswith("…") and set(text[:-1]) == {"x"} and 0 <= left and 80 < right - left <= 100


def test_sixty_labels_fit_beside_each_other_and_stay_inside(monkeypatch):
    rng = np.random.default_rng(0)
    corners = np.round(rng.uniform(0, 0.8, (60, 2)) * [1600, 1200])
    boxes = np.concatenate([corners, corners + np.round(rng.uniform(40, 300, (60, 2)))], 1)
    scores = rng.uniform(0.3, 1, 60)
    labels = labels_of((1200, 1600), boxes, [f"class {k}" for k in range(60)], monkeypatch, scores)
    assert len(labels) == 60 and labels[0][0] == f"class {scores.argmax()} {scores.max():.2f}"
    assert not any(overlapping(*pair) for pair in itertools.combinations(labels, 2))
    assert all(left >= 0 and top >= 0 and right <= 1600 and bottom <= 1200 for _, left, top, right, bottom in labels)


def test_text_grows_with_the_image_and_shrinks_in_steps_where_labels_would_cover_it():
    assert draw.font_size((960, 1280)) == 30  # a 32nd of 960
    sizes = [draw._text_size_for((1280, 960), ["some class 0.50"] * count) for count in (0, 1, 10, 20, 40, 2000)]
    assert sizes[:3] == [30, 30, 30] and sizes == sorted(sizes, reverse=True) and set(sizes) <= {30, 22, 16}
    assert draw._text_size_for((100, 75), ["some class 0.50"] * 50) == 10


def test_a_label_leaves_its_score_out_where_only_the_name_has_room_and_is_left_out_where_nothing_has(monkeypatch):
    # One row of text, 100 wide: "birds 0.90" takes more than half of it, "birds" does not.
    boxes, names = [[0, 0, 100, 13], [0, 0, 40, 13], [0, 0, 40, 13]], ["birds"] * 3
    labels = labels_of((13, 100), boxes, names, monkeypatch, [0.9, 0.8, 0.7])
    assert [label[0] for label in labels] == ["birds 0.90", "birds"]
    assert not overlapping(*labels)


def test_a_name_that_no_font_here_can_write_becomes_a_number():
    assert draw._texts([0, 1], ["собака", "\U0010fffd"], [0.5, 0.5]) == [
        ("собака 0.50", "собака"),
        ("class 1 0.50", "class 1"),
    ]


def test_given_colours_are_used_by_class_id():
    drawn = draw_boxes(grey(60, 60), [[10, 10, 50, 50]], [1], ["", ""], colours={1: (1, 2, 3)})
    assert tuple(drawn[30, 10]) == (1, 2, 3)


def test_ground_truth_is_dashed_and_labelled_only_where_it_is_missed():
    image = grey(200, 200)
    hit, missed = [20, 40, 80, 120], [110, 40, 180, 120]
    drawn = draw_comparison(image, [hit, missed], [0, 0], [hit], [0], [0.9], ["cat"])
    assert {tuple(pixel) for pixel in drawn[60:120, 110].tolist()} == {WHITE, GROUND_TRUTH_COLOUR}
    assert np.mean(GROUND_TRUTH_COLOUR) < 60  # where white cannot be seen it can
    white = (drawn[:40] == WHITE).all(axis=2)  # above the boxes: the label of the missed one
    assert white[:, 110:].sum() > 100 and not white[:, :100].any()


def test_a_prediction_can_be_seen_under_the_ground_truth_on_it():
    box = [20, 40, 80, 120]
    drawn = draw_comparison(grey(200, 200), [box], [0], [box], [0], [0.9], ["cat"])
    assert tuple(drawn[80, 21]) == class_colour(0) and tuple(drawn[80, 20]) in (WHITE, GROUND_TRUTH_COLOUR)


def test_wrong_images_and_lengths_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        draw_boxes(np.zeros((5, 5, 3), np.float32), [], [], NAMES)
    with pytest.raises(ValueError, match="uint8"):
        draw_boxes(np.zeros((5, 5), np.uint8), [], [], NAMES)
    with pytest.raises(ValueError, match="as many class ids"):
        draw_boxes(grey(9, 9), [[0, 0, 5, 5]], [0, 1], NAMES)
