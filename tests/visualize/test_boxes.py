"""yolo3.visualize.boxes: what is drawn where, at any image size, and files that appear whole or not at all."""

import itertools
import os

import cv2
import numpy as np
import pytest

from yolo3.datasets.images import write_image
from yolo3.visualize import boxes as draw
from yolo3.visualize.sheets import contact_sheet

NAMES = ("cat", "a class with a rather long name", "Žluťoučký")


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def changed(image, before):
    return (image != before).any(axis=2)


def labels_of(size, boxes, names, scores=None):
    """Where each label lies: (left, top, right, bottom), the best score first."""
    ids = np.arange(len(boxes))
    boxes, _, scores = draw._checked_boxes(boxes, ids, scores)
    texts = draw._texts(ids, names, scores)
    return [label.corners for label in draw._place_labels(size, boxes, texts, [(0, 0, 0)] * len(ids), scores)]


def read_rgb(path):
    data = np.frombuffer(open(path, "rb").read(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


# ----------------------------------------------------------------------------------------------- colours


def test_colours_are_fixed_and_far_apart():
    first = [draw.class_colour(k) for k in range(12)]
    assert first == [draw.class_colour(k) for k in range(12)]
    lab = cv2.cvtColor(np.float32([first]) / 255, cv2.COLOR_RGB2LAB)[0]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 30  # 2.3 is just noticeable
    assert len({draw.class_colour(k) for k in range(80)}) == 80
    assert all(0 <= channel <= 255 for k in range(80) for channel in draw.class_colour(k))


def test_text_is_black_on_light_and_white_on_dark():
    assert draw.text_colour((255, 255, 0)) == draw.BLACK
    assert draw.text_colour((0, 0, 200)) == draw.WHITE


# ------------------------------------------------------------------------------------------------- boxes


def test_a_box_is_drawn_on_its_own_pixels():
    image = grey(100, 120)
    drawn = draw.draw_boxes(image, [[20, 40, 60, 90]], [0], [""])
    colour = draw.class_colour(0)
    # Edges 20 to 60 are the pixels 20 to 59; the line is one pixel wide on a small image.
    assert tuple(drawn[70, 20]) == tuple(drawn[70, 59]) == tuple(drawn[89, 40]) == colour
    assert not changed(drawn, image)[60:89, 21:59].any()
    assert not changed(drawn, image)[60:, 60:].any() and not changed(drawn, image)[90:].any()


@pytest.mark.parametrize(("size", "width"), [((120, 160), 1), ((480, 640), 2), ((1500, 2000), 5)])
def test_lines_grow_with_the_image(size, width):
    image = grey(*size)
    h, w = size
    drawn = draw.draw_boxes(image, [[w * 0.1, h * 0.3, w * 0.9, h * 0.9]], [0], [""])
    assert changed(drawn, image)[int(h * 0.7)].sum() == 2 * width


def test_a_thick_line_has_a_seam_of_ink_on_its_inner_side():
    image = grey(1500, 2000)  # lines of 5, of which 5 // 3 is the seam
    for colour, ink in (((0, 0, 90), draw.WHITE), ((240, 240, 0), draw.BLACK)):
        drawn = draw.draw_boxes(image, [[200, 300, 1800, 1300]], [0], [""], colours=[colour])
        line = drawn[800, 200:205].tolist()
        assert line[:4] == [list(colour)] * 4
        # the seam is 45 parts ink, 55 parts colour
        assert line[4] == [round(0.45 * a + 0.55 * b) for a, b in zip(ink, colour)]
        np.testing.assert_array_equal(drawn[800, 1795:1800], drawn[800, 200:205][::-1])


def test_a_thick_line_does_not_fill_a_small_box():
    image = grey(1500, 2000)  # lines of 5
    drawn = draw.draw_boxes(image, [[200, 300, 212, 312]], [0], [""])  # 11 // 4 is 2 on either side
    assert changed(drawn, image)[306, 200:212].sum() == 4


def test_inputs_stay_unchanged():
    image, boxes = grey(60, 80), np.array([[5.0, 5, 50, 50]])
    draw.draw_boxes(image, boxes, [0], NAMES, [0.5])
    draw.draw_comparison(image, boxes, [0], boxes, [1], [0.5], NAMES)
    contact_sheet([image])
    assert (image == 128).all()
    assert boxes.tolist() == [[5.0, 5, 50, 50]]


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (40, 30), (120, 160), (700, 500)])
def test_any_box_on_any_image_is_drawn_without_error(size):
    h, w = size
    boxes = [[0, 0, w, h], [-50, -50, w + 50, h + 50], [w - 1, h - 1, w, h], [w / 2, h / 2, w / 2, h / 2]]
    boxes += [[w + 5, 0, w + 9, 5], [np.nan, 0, 5, 5], [-9, -9, -3, -3]]
    drawn = draw.draw_boxes(grey(h, w), boxes, [0, 1, 2, 0, 1, 2, 99], NAMES, np.linspace(0, 1, 7))
    assert drawn.shape == (h, w, 3) and drawn.dtype == np.uint8


def test_no_boxes_leave_the_image_as_it_is():
    image = grey(40, 50)
    np.testing.assert_array_equal(draw.draw_boxes(image, [], [], NAMES, []), image)
    np.testing.assert_array_equal(draw.draw_comparison(image, [], [], [], [], [], NAMES), image)


def label_of(size, box, name="cat"):
    """Pixels that a label adds to a box: (top, bottom, left, right), the last ones included."""
    image = grey(*size)
    with_label, without = (draw.draw_boxes(image, [box], [0], [text]) for text in (name, ""))
    rows, columns = np.nonzero(changed(with_label, without))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_label_lies_on_its_box_where_there_is_room_and_stays_inside_the_image():
    top, bottom, left, _ = label_of((200, 300), [100, 100, 200, 150])
    assert bottom <= 100 and top >= 80 and left >= 100
    top, bottom, left, _ = label_of((200, 300), [100, 0, 200, 150])  # no room above: inside
    assert top < 12 and bottom < 30 and left >= 100
    (label,) = labels_of((200, 300), [[290, 100, 300, 150]], ["a long name"])
    assert label[2] == 300 and label[2] - label[0] == draw._text_mask("a long name", 10).shape[1]


def test_a_label_lies_inside_a_large_box_but_not_on_a_small_object():
    for bottom, inside in ((150, True), (20, False)):  # at the upper border: there is no room above
        (label,) = labels_of((200, 300), [[100, 0, 200, bottom]], ["cat"])
        assert (label[1] < bottom) == inside


def test_where_labels_overlap_the_first_is_on_top():
    canvas, mask = grey(20, 40), np.zeros((10, 20), np.float32)
    draw._paint_labels(canvas, [draw._Label(0, 0, mask, (250, 0, 0)), draw._Label(15, 0, mask, (0, 0, 250))])
    assert canvas[5, 17, 0] > 200 > canvas[5, 17, 2] and canvas[5, 25, 2] > 200


def test_a_label_that_is_too_long_is_shortened_to_the_image():
    ((left, top, right, bottom),) = labels_of((200, 100), [[10, 100, 60, 150]], ["x" * 100])
    assert 0 <= left and right <= 100 and 80 < right - left and bottom - top < 20
    whole_letters = [draw._text_mask("x" * count + "…", 10).shape[1] for count in range(1, 20)]
    assert right - left in whole_letters


def test_labels_of_neighbours_do_not_cover_each_other():
    image = grey(300, 300)
    boxes = [[100, 100, 200, 200], [102, 100, 202, 200]]
    names = ["first", "second"]
    both = draw.draw_boxes(image, boxes, [0, 1], names, [0.9, 0.8])
    alone = draw.draw_boxes(image, boxes[:1], [0], names, [0.9])
    mask = changed(alone, image)
    mask[100:] = False  # the label of the best one, above its box
    assert mask.any()
    np.testing.assert_array_equal(both[mask], alone[mask])


def overlapping(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_sixty_labels_fit_beside_each_other_and_stay_inside():
    rng = np.random.default_rng(0)
    corners = np.round(rng.uniform(0, 0.8, (60, 2)) * [1600, 1200])
    boxes = np.concatenate([corners, corners + np.round(rng.uniform(40, 300, (60, 2)))], 1)
    labels = labels_of((1200, 1600), boxes, [f"class {k}" for k in range(60)], rng.uniform(0.3, 1, 60))
    pairs = [pair for pair in itertools.combinations(labels, 2) if overlapping(*pair)]
    assert len(labels) == 60 and len(pairs) <= 2
    assert all(left >= 0 and top >= 0 and right <= 1600 and bottom <= 1200 for left, top, right, bottom in labels)


def test_text_shrinks_in_steps_where_labels_would_cover_the_image_but_stays_legible():
    usual = draw.font_size((960, 1280))
    assert usual == 30  # a 32nd of 960
    sizes = [draw.crowded_font_size((960, 1280), ["some class 0.50"] * count) for count in (0, 1, 10, 20, 40, 80, 2000)]
    assert sizes[:3] == [30, 30, 30] and sizes == sorted(sizes, reverse=True)
    assert set(sizes) <= {30, 22, 16, 12, 11} and sizes[-1] == 11  # steps of 30, and a 90th of 960
    assert draw.crowded_font_size((75, 100), ["some class 0.50"] * 50) == 10


def test_a_label_leaves_its_score_out_where_only_the_name_has_room(monkeypatch):
    monkeypatch.setattr(draw, "_LABELS_PART", 2.0)  # no limit
    # One row of text, 90 wide: with the score a label takes more than half of it.
    name, full = (draw._text_mask(text, 10).shape[1] for text in ("birds", "birds 0.80"))
    assert 2 * full > 90 >= full + name
    first, second = labels_of((13, 90), [[0, 0, 40, 13], [50, 0, 90, 13]], ["birds", "birds"], [0.9, 0.8])
    assert (first[0], first[2], second[0], second[2]) == (0, full, 90 - name, 90)


def test_a_label_does_not_hide_a_small_box_where_it_has_another_place():
    large, small = [100, 100, 200, 200], [104, 84, 124, 98]  # the small one lies where the label would
    (alone,) = labels_of((300, 300), [large], ["large object"], [0.9])
    assert overlapping(alone, small)
    (label,) = labels_of((300, 300), [large, small], ["large object", ""])
    assert not overlapping(label, small)


def test_a_name_that_no_font_here_can_write_becomes_a_number():
    names = ["Žluťoučký", "собака", "\U0010fffd"]
    texts = draw._texts([0, 1, 2], names, [0.5, 0.5, 0.5])
    assert texts == [("Žluťoučký 0.50", "Žluťoučký"), ("собака 0.50", "собака"), ("class 2 0.50", "class 2")]


def test_letters_that_the_usual_font_lacks_come_from_another_one(monkeypatch):
    from matplotlib.font_manager import fontManager

    usual = draw._usual_font()
    stix = next(font.fname for font in fontManager.ttflist if font.name == "STIXGeneral")
    letter = chr(min(number for number in draw._letters_of(stix) - draw._letters_of(usual) if number > 0x2000))
    path = draw._font_path(f"a{letter} 0.5")
    assert path not in (None, usual) and {ord(letter), *map(ord, "a .0123456789")} <= draw._letters_of(path)
    assert draw._text_mask(f"a{letter}", 20).max() > 0.5


def covered_part(labels, size):
    return sum((right - left) * (bottom - top) for left, top, right, bottom in labels) / np.prod(size)


def test_labels_leave_most_of_a_small_image_to_be_seen():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.8, (16, 2)) * [120, 90]
    boxes, scores = np.concatenate([corners, corners + 20], 1), np.linspace(0.9, 0.3, 16)
    labels = labels_of((90, 120), boxes, ["cell"] * 16, scores)
    name = draw._text_mask("cell", 10).shape
    assert {(bottom - top, right - left) for left, top, right, bottom in labels} == {name}  # no scores
    assert 5 <= len(labels) <= 0.3 * 90 * 120 / np.prod(name)
    assert covered_part(labels_of((900, 1200), boxes * 10, ["cell"] * 16, scores), (900, 1200)) < 0.1
    assert len(labels_of((900, 1200), boxes * 10, ["cell"] * 16, scores)) == 16


def test_where_there_is_no_room_the_best_one_is_named_and_no_label_hides_another():
    boxes, names = [[0, 0, 60, 40]] * 6, ["best"] + ["other"] * 5
    for height in (15, 40):  # in the first even one label is more than there is room for
        labels = labels_of((height, 60), boxes, names, [0.9, 0.5, 0.5, 0.5, 0.5, 0.5])
        assert (labels[0][3] - labels[0][1], labels[0][2] - labels[0][0]) == draw._text_mask("best", 10).shape
        assert len(labels) == 1 or covered_part(labels, (height, 60)) <= 0.3
    same = labels_of((600, 600), [[300, 300, 320, 320]] * 40, ["some object"] * 40, np.linspace(0.9, 0.3, 40))
    assert 5 < len(same) < 40
    for first, second in itertools.combinations(same, 2):
        width = min(first[2], second[2]) - max(first[0], second[0])
        height = min(first[3], second[3]) - max(first[1], second[1])
        assert min(width, height) <= 0 or width * height <= (second[2] - second[0]) * (second[3] - second[1]) / 4


def test_text_is_anti_aliased():
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw.draw_boxes(image, [[50, 100, 250, 180]], [0], ["wave"], colours=[(0, 0, 0)])
    levels = np.unique(drawn)
    assert len(levels) > 20  # more than ink and plate


def test_own_colours_are_taken_by_class_id():
    drawn = draw.draw_boxes(grey(60, 60), [[10, 10, 50, 50]], [1], ["", ""], colours={1: (1, 2, 3)})
    assert tuple(drawn[30, 10]) == (1, 2, 3)


def test_truth_is_dashed_and_labelled_only_where_it_is_missed():
    image = grey(200, 200)
    hit, missed = [20, 40, 80, 120], [110, 40, 180, 120]
    drawn = draw.draw_comparison(image, [hit, missed], [0, 0], [hit], [0], [0.9], ["cat"])
    edge = {tuple(pixel) for pixel in drawn[60:120, 110].tolist()}
    assert edge == {draw.WHITE, draw.TRUTH_COLOUR}
    assert np.mean(draw.TRUTH_COLOUR) < 60  # where white cannot be seen it can
    below = changed(drawn, image)[121:]
    assert below[:, 110:].any()  # the label of the missed one
    assert not below[:, :100].any()


def test_wrong_images_and_lengths_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        draw.draw_boxes(np.zeros((5, 5, 3), np.float32), [], [], NAMES)
    with pytest.raises(ValueError, match="uint8"):
        draw.draw_boxes(np.zeros((5, 5), np.uint8), [], [], NAMES)
    with pytest.raises(ValueError, match="as many class ids"):
        draw.draw_boxes(grey(9, 9), [[0, 0, 5, 5]], [0, 1], NAMES)


# ------------------------------------------------------------------------------------------------ sheets


def test_a_contact_sheet_holds_every_image_undistorted():
    red, wide = np.full((100, 100, 3), (250, 0, 0), np.uint8), np.full((50, 100, 3), (0, 250, 0), np.uint8)
    sheet = contact_sheet([red, wide, red], columns=2, cell=80)
    # A gap of 2 around cells of 80: two columns 2 + 82 * 2 = 166; rows as high as their highest image.
    assert sheet.shape == (2 + 82 * 2, 2 + 82 * 2, 3)
    assert (sheet == (250, 0, 0)).all(axis=2).sum() == 2 * 80 * 80
    assert (sheet == (0, 250, 0)).all(axis=2).sum() == 80 * 40


def test_titles_stand_under_the_images():
    plain = contact_sheet([grey(50, 50)], cell=100)
    titled = contact_sheet([grey(50, 50)], cell=100, titles=["a title that is much too long for the cell"])
    assert titled.shape[1] == plain.shape[1] and titled.shape[0] > plain.shape[0]
    assert (titled[-20:] > 200).any()
    with pytest.raises(ValueError, match="expected 1 titles, got 2"):
        contact_sheet([grey(5, 5)], titles=["a", "b"])
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


# ------------------------------------------------------------------------------------------------- files


def test_images_are_written_as_rgb_also_under_a_name_that_is_not_ascii(tmp_path):
    image = np.zeros((8, 9, 3), np.uint8)
    image[..., 0] = 200
    path = tmp_path / "größe 図" / "bild.PNG"
    write_image(path, image)
    np.testing.assert_array_equal(read_rgb(path), image)
    write_image(tmp_path / "a.jpg", image)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - image).max() < 6


def test_a_failed_write_leaves_the_old_image_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, grey(5, 5))
    before = path.read_bytes()

    def refuse(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_image(path, grey(9, 9))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xyz: expected a name that ends in \.png"):
        write_image(tmp_path / "a.xyz", grey(5, 5))
