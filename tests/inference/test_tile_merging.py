"""yolo3.inference.tile_merging: one box for what several tiles show."""

import numpy as np

from yolo3.detections import Detections
from yolo3.inference.tile_merging import merge_tiles
from yolo3.inference.tiles import tile_boxes


def seen(*rows):
    """Detections from (x_min, y_min, x_max, y_max, score, class_id)."""
    array = np.array(rows, float).reshape(-1, 6)
    return Detections(array[:, :4], array[:, 4], array[:, 5])


FRAMES = tile_boxes((100, 180), 100, 0.2)  # the whole, x 0 to 100, x 80 to 180
WHOLE, LEFT, RIGHT = range(3)


def merged(threshold=0.45, **parts):
    found = [seen(*parts.get(name, ())) for name in ("whole", "left", "right")]
    return merge_tiles(found, FRAMES, (100, 180), threshold)


def test_an_object_complete_in_two_tiles_is_kept_once_at_its_place_in_the_image():
    found = merged(left=[(84, 10, 96, 30, 0.8, 0)], right=[(4, 10, 16, 30, 0.9, 0)])  # 80 + 4 = 84
    assert found.boxes.tolist() == [[84, 10, 96, 30]] and found.scores.tolist() == [np.float32(0.9)]


def test_a_piece_gives_way_to_the_whole_box_even_if_its_score_is_higher():
    # The left tile ends at 100, so its box 60 to 100 is cut; the whole image shows 60 to 140.
    found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], left=[(60, 10, 100, 50, 0.9, 0)])
    assert found.boxes.tolist() == [[60, 10, 140, 50]] and found.scores.tolist() == [0.5]


def test_a_small_piece_inside_the_whole_box_is_dropped_too():
    # What both show is 80 to 140; the piece there is 80 to 100 of it: an IoU of 1/3, but it lies within.
    found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], right=[(0, 10, 20, 50, 0.9, 0)])
    assert found.boxes.tolist() == [[60, 10, 140, 50]]


def test_pieces_of_an_object_complete_in_no_tile_become_the_box_around_them():
    # 60 to 100 from the left, 80 to 130 from the right: in 80 to 100, which both show, they are the same.
    found = merged(left=[(60, 10, 100, 50, 0.6, 0)], right=[(0, 12, 50, 50, 0.7, 0)])
    assert found.boxes.tolist() == [[60, 10, 130, 50]] and found.scores.tolist() == [np.float32(0.7)]


def test_a_chain_of_pieces_is_one_object():
    frames = tile_boxes((100, 260), 100, 0.2, whole=False)  # from 0, 80 and 160
    pieces = [seen((30, 10, 100, 50, 0.6, 0)), seen((0, 10, 100, 50, 0.9, 0)), seen((0, 10, 70, 50, 0.7, 0))]
    assert merge_tiles(pieces, frames, (100, 260), 0.45).boxes.tolist() == [[30, 10, 230, 50]]


def test_a_box_that_nearly_reaches_the_edge_of_its_tile_is_cut():
    # Of 100 pixels the margin is 1: a box to 99.5 is a piece, one to 98.5 is not, and has the better score.
    for end, kept in ((99.5, [60, 10, 140, 50]), (98.5, [60, 10, 98.5, 50])):
        found = merged(whole=[(60, 10, 140, 50, 0.5, 0)], left=[(60, 10, end, 50, 0.9, 0)])
        assert found.boxes.tolist() == [kept]


def test_whole_boxes_form_no_chain():
    # Each agrees with the next, in the part that both tiles show, but the first and the last do not.
    frames = tile_boxes((100, 260), 100, 0.8, whole=False)[:3]  # from 0, 20 and 40
    found = merge_tiles(
        [seen((50, 10, 70, 50, 0.9, 0)), seen((36, 10, 56, 50, 0.8, 0)), seen((22, 10, 42, 50, 0.7, 0))],
        frames, (100, 260), 0.45,
    )  # fmt: skip
    # 50 to 70 and 56 to 76: IoU 14 / 26; 56 to 76 and 62 to 82: the same; 50 to 70 and 62 to 82: 8 / 32
    assert found.boxes[:, 0].tolist() == [50, 62]


def test_a_small_object_in_front_of_a_large_one_of_its_class_stays():
    # In the tile's part of the image the large box is 80 to 140, 10 to 90; the small one lies within it.
    found = merged(whole=[(60, 10, 140, 90, 0.9, 0)], right=[(20, 30, 30, 45, 0.6, 0)])
    assert sorted(found.boxes.tolist()) == [[60, 10, 140, 90], [100, 30, 110, 45]]


def test_neighbours_in_one_tile_and_other_classes_are_left_alone():
    overlapping = [(10, 10, 50, 50, 0.9, 0), (12, 10, 52, 50, 0.8, 0)]  # the detector let both stand
    assert len(merged(left=overlapping)) == 2
    assert len(merged(left=[(84, 10, 96, 30, 0.8, 0)], right=[(4, 10, 16, 30, 0.9, 1)])) == 2


def test_neighbours_on_both_sides_of_a_seam_stay_two():
    found = merged(left=[(70, 10, 90, 30, 0.8, 0)], right=[(12, 10, 32, 30, 0.9, 0)])  # 92 to 112
    assert sorted(found.boxes.tolist()) == [[70, 10, 90, 30], [92, 10, 112, 30]]


def test_a_box_at_the_border_of_the_image_is_whole():
    found = merged(whole=[(0, 10, 40, 50, 0.5, 0)], left=[(0, 10, 40, 50, 0.9, 0)])
    assert found.scores.tolist() == [np.float32(0.9)]


def test_the_best_scores_come_first_whatever_the_class_and_no_detections_give_none():
    found = merged(left=[(10, 10, 20, 20, 0.3, 0), (40, 40, 60, 60, 0.7, 2)], right=[(50, 50, 60, 60, 0.5, 1)])
    assert found.class_ids.tolist() == [2, 1, 0]
    assert len(merged()) == 0


def test_the_threshold_is_the_overlap_from_which_boxes_are_one_object():
    # 84 to 96 and 88 to 100 (cut neither: the right tile begins at 80, the left one is 1 pixel wider): IoU 8 / 16
    boxes = {"left": [(84, 10, 96, 30, 0.8, 0)], "right": [(8, 10, 20, 30, 0.9, 0)]}
    assert len(merged(0.45, **boxes)) == 1 and len(merged(0.55, **boxes)) == 2
