"""Contact sheets: images in a grid, targets as the network is given them, predictions beside the ground truth."""

import numpy as np
import pytest

from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.defaults import TINY_MASK
from yolo3.models.yolov3.targets import preprocess_true_boxes
from yolo3.visualize.boxes import class_colour
from yolo3.visualize.sheets import contact_sheet, draw_examples, draw_predictions, draw_targets

NAMES = ["circle", "square", "triangle"]


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def test_a_contact_sheet_holds_every_image_undistorted():
    red, wide = np.full((100, 100, 3), (250, 0, 0), np.uint8), np.full((50, 100, 3), (0, 250, 0), np.uint8)
    sheet = contact_sheet([red, wide, red], columns=2, cell=80)
    # A gap of 2 around cells of 80: two columns 2 + 82 * 2 = 166; rows as high as their highest image.
    assert sheet.shape == (2 + 82 * 2, 2 + 82 * 2, 3)
    assert (sheet == (250, 0, 0)).all(axis=2).sum() == 2 * 80 * 80
    assert (sheet == (0, 250, 0)).all(axis=2).sum() == 80 * 40


def test_titles_stand_under_the_images_and_a_caption_above_them():
    plain = contact_sheet([grey(50, 50)], cell=100)
    titled = contact_sheet([grey(50, 50)], cell=100, titles=["a title that is much too long for the cell"])
    assert titled.shape[1] == plain.shape[1] and titled.shape[0] > plain.shape[0]
    assert (titled[-14:] > 150).any() and not (titled[:, -2:] > 150).any()
    captioned = contact_sheet([grey(50, 50)], cell=100, caption="what this is")
    assert captioned.shape[0] > plain.shape[0] and (captioned[:14] > 150).any()
    with pytest.raises(ValueError, match="expected 1 titles, got 2"):
        contact_sheet([grey(5, 5)], titles=["a", "b"])
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


def targets_of(*boxes):
    rows = np.zeros((1, max(len(boxes), 1), 5), np.float32)
    rows[0, : len(boxes)] = np.reshape(boxes, (-1, 5))
    return preprocess_true_boxes(rows, (128, 128), DEFAULT_TINY_ANCHORS, 3, TINY_MASK)


def sheet(*boxes):
    return draw_targets(np.full((1, 128, 128, 3), 0.5, np.float32), targets_of(*boxes), NAMES, (32, 16)).astype(int)


def pixels_of(image, class_id):
    return (np.abs(image - np.array(class_colour(class_id))).max(-1) <= 3).sum()


def test_targets_are_drawn_in_the_colour_of_their_class():
    image = sheet([20, 30, 90, 100, 1])
    assert image.shape[-1] == 3 and image.shape[0] >= 128
    assert pixels_of(image, 1) > 4 * 60 and pixels_of(image, 0) == 0  # four sides of 70 pixels, less the label
    assert pixels_of(sheet(), 1) == 0


def test_the_outline_of_a_target_is_where_its_box_is():
    with_box, without = sheet([20, 30, 90, 100, 1]), sheet()
    changed, coloured = (np.abs(with_box - other).max(-1) for other in (without, class_colour(1)))
    rows, columns = np.nonzero((changed > 0) & (coloured <= 3))
    gap = np.argmax((without != without[0, 0]).any(-1).any(1))  # the margin of the sheet
    assert abs(columns.min() - gap - 20) <= 2 and abs(columns.max() - gap - 90) <= 2
    assert abs(rows.max() - gap - 100) <= 2


def test_a_box_whose_slot_is_taken_by_another_is_not_drawn_because_it_is_not_learned():
    # The same centre and size: the last one gives the box, so one outline is drawn.
    one, both = sheet([20, 30, 90, 100, 1]), sheet([21, 31, 91, 101, 1], [20, 30, 90, 100, 1])
    np.testing.assert_array_equal(one, both)


def test_labels_of_targets_say_class_stride_and_anchor(monkeypatch):
    said = []
    monkeypatch.setattr(
        "yolo3.visualize.sheets.draw_boxes", lambda image, _, ids, names, colours: said.extend(names) or image
    )
    # 70 x 70: anchor 3 of the tiny ones, 81 x 82, is the first of stride 32. 30 x 30: anchor 1, 23 x 27, of stride 16.
    sheet([20, 30, 90, 100, 1], [50, 50, 80, 80, 2])
    assert said == ["square 32/0", "triangle 16/1"]


def test_examples_show_their_boxes_and_no_padding(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "yolo3.visualize.sheets.draw_boxes", lambda *arguments: drawn.append(arguments[1:]) or arguments[0]
    )
    boxes = np.array([[[0.5, 0.25, 0.5, 0.5, 2], [0, 0, 0, 0, 0]]], np.float32)  # of 128 wide and 64 high
    assert draw_examples(np.zeros((1, 64, 128, 3), np.float32), boxes, NAMES).dtype == np.uint8
    ((corners, ids, names),) = drawn
    assert corners.tolist() == [[32, 0, 96, 32]] and ids.tolist() == [2] and names == NAMES


def empty():
    return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0))


def test_predictions_below_the_shown_score_are_left_out(shapes_set):
    annotations = read_dataset(shapes_set, list_name="val").annotations
    none = draw_predictions(annotations, [empty() for _ in annotations], NAMES)
    sheets = [
        draw_predictions(annotations, [Detections([[5, 5, 60, 60]], [score], [2]) for _ in annotations], NAMES)
        for score in (0.2, 0.9)
    ]
    np.testing.assert_array_equal(sheets[0], none)
    assert sheets[1].shape == none.shape and not np.array_equal(sheets[1], none)


def test_at_most_the_given_number_of_images_is_drawn_from_first_to_last(shapes_set, monkeypatch):
    annotations = read_dataset(shapes_set, list_name="train").annotations
    seen = []
    monkeypatch.setattr(
        "yolo3.visualize.sheets.contact_sheet", lambda images, cell, titles, caption: seen.extend(titles)
    )
    draw_predictions(annotations, [empty() for _ in annotations], NAMES, most=3)
    # 0 to 11 in three: 0, 5.5 (to the even 6), 11.
    assert seen == ["000000.jpg", "000006.jpg", "000011.jpg"]
    seen.clear()
    draw_predictions(annotations[:2], [empty(), empty()], NAMES)
    assert seen == ["000000.jpg", "000001.jpg"]


def test_lines_and_text_on_a_sheet_have_one_size_whatever_the_size_of_the_images(tmp_path):
    sheets = []
    for factor in (1, 8):
        path = str(tmp_path / str(factor) / "a.png")
        write_image(path, grey(240 * factor, 320 * factor))
        box = tuple(side * factor for side in (40, 60, 200, 180))
        annotation = build_annotation(path, [Box(box, 0)], "a", (240 * factor, 320 * factor))
        sheets.append(draw_predictions([annotation], [Detections([box], [0.9], [1])], NAMES))
    np.testing.assert_array_equal(*sheets)
