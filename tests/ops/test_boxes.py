"""Box geometry: hand-computed values, slow loops, and one result for NumPy and for tensors."""

import math

import numpy as np
import pytest
from keras import ops

from yolo3.ops import boxes as geometry


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 10, (count, 2)), rng.uniform(0.1, 6, (count, 2))
    return np.concatenate([corner, corner + size], -1).astype(np.float32)


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_centre_and_corner_formats_by_hand():
    # From (2, 3) to (8, 5): 6 wide, 2 high, centre (5, 4).
    assert geometry.xyxy_to_cxcywh(np.array([2.0, 3, 8, 5])).tolist() == [5, 4, 6, 2]
    assert geometry.cxcywh_to_xyxy(np.array([5.0, 4, 6, 2])).tolist() == [2, 3, 8, 5]
    assert geometry.xyxy_to_xywh(np.array([2.0, 3, 8, 5])).tolist() == [2, 3, 6, 2]


def test_formats_make_the_round_trip():
    boxes = random_boxes(50)
    np.testing.assert_allclose(geometry.cxcywh_to_xyxy(geometry.xyxy_to_cxcywh(boxes)), boxes, atol=1e-5)
    np.testing.assert_array_equal(geometry.swap_xy(geometry.swap_xy(boxes)), boxes)
    assert geometry.swap_xy(np.array([1.0, 2, 3, 4])).tolist() == [2, 1, 4, 3]


def test_centres_are_not_rounded_to_whole_pixels():
    # keras-yolo3 divided by two in whole numbers: 100..151 gave 125.
    assert geometry.xyxy_to_cxcywh(np.array([[100, 0, 151, 10]]))[0, 0] == 125.5


def test_area_of_boxes_turned_inside_out_is_zero():
    assert geometry.area(np.array([[0.0, 0, 4, 5], [4, 0, 0, 5], [4, 5, 0, 0]])).tolist() == [20, 0, 0]


def test_clip_takes_height_before_width():
    clipped = geometry.clip(np.array([[-1.0, -2, 30, 30]]), (10, 20))
    assert clipped.tolist() == [[0, 0, 20, 10]]


def test_iou_by_hand():
    # Two 2 x 2 squares share 1 of 4 + 4 - 1 = 7.
    assert geometry.iou(np.array([0.0, 0, 2, 2]), np.array([1.0, 1, 3, 3])) == pytest.approx(1 / 7)
    # Squares that touch share nothing.
    assert geometry.iou(np.array([0.0, 0, 2, 2]), np.array([2.0, 0, 4, 2])) == 0


def test_iou_of_boxes_without_area_is_zero_and_finite():
    point = np.zeros((1, 4))
    with np.errstate(all="raise"):
        assert geometry.iou(point, point) == 0
        assert np.isfinite(geometry.ciou(point, point)).all()


def test_pairwise_iou_equals_the_slow_loop():
    a, b = random_boxes(7), random_boxes(5, 1)
    expected = [[slow_iou(one, other) for other in b] for one in a]
    np.testing.assert_allclose(geometry.pairwise_iou(a, b), expected, atol=1e-6)


def test_box_iou_takes_centres_and_keeps_the_leading_axes():
    b1 = geometry.xyxy_to_cxcywh(random_boxes(12)).reshape(2, 3, 2, 4)
    b2 = geometry.xyxy_to_cxcywh(random_boxes(5, 1))
    overlaps = geometry.box_iou(b1, b2)
    assert overlaps.shape == (2, 3, 2, 5)
    expected = geometry.pairwise_iou(random_boxes(12), random_boxes(5, 1)).reshape(2, 3, 2, 5)
    np.testing.assert_allclose(overlaps, expected, atol=1e-5)


def test_shape_iou_by_hand():
    # 4 x 2 on 2 x 4: 2 x 2 of 8 + 8 - 4 = 12.
    assert geometry.shape_iou(np.array([[4.0, 2]]), np.array([[2.0, 4], [4, 2]]))[0].tolist() == pytest.approx(
        [1 / 3, 1]
    )


def test_giou_of_separate_unit_squares_by_hand():
    # Union 2 in a hull of 3 x 1: 0 - (3 - 2) / 3.
    assert geometry.giou(np.array([0.0, 0, 1, 1]), np.array([2.0, 0, 3, 1])) == pytest.approx(-1 / 3)


def test_coverage_is_of_the_first_box():
    # 10 x 10 and 20 x 20 share 5 x 5: a quarter of the first, a sixteenth of the second.
    small, large = np.array([0.0, 0, 10, 10]), np.array([5.0, 5, 25, 25])
    assert geometry.coverage(small, large) == 0.25 and geometry.coverage(large, small) == 1 / 16
    with np.errstate(all="raise"):
        assert geometry.coverage(np.zeros(4), large) == 0


def test_centre_distance_by_hand():
    # Centres (5, 5) and (15, 15), 10 apart in both directions; the box around both is 25 x 25: 200 / 1250.
    small, large = np.array([0.0, 0, 10, 10]), np.array([5.0, 5, 25, 25])
    assert geometry.centre_distance(small, large) == pytest.approx(200 / 1250)
    assert geometry.centre_distance(small, small) == 0
    with np.errstate(all="raise"):
        assert geometry.centre_distance(np.zeros(4), np.zeros(4)) == 0


def test_diou_of_separate_unit_squares_by_hand():
    # Centres 2 apart, hull 3 x 1 with squared diagonal 10: 0 - 4 / 10.
    assert geometry.diou(np.array([0.0, 0, 1, 1]), np.array([2.0, 0, 3, 1])) == pytest.approx(-0.4)


def test_ciou_by_hand():
    # 2 x 1 and 1 x 2 from one corner: IoU 1/3; centres (1, .5) and (.5, 1), squared distance .5, hull diagonal 8.
    v = 4 / math.pi**2 * (math.atan(0.5) - math.atan(2)) ** 2
    expected = 1 / 3 - 0.5 / 8 - v * v / (1 - 1 / 3 + v)
    assert geometry.ciou(np.array([0.0, 0, 2, 1]), np.array([0.0, 0, 1, 2])) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [geometry.iou, geometry.giou, geometry.diou, geometry.ciou])
def test_equal_boxes_overlap_by_one(measure):
    boxes = random_boxes(9)
    np.testing.assert_allclose(measure(boxes, boxes), 1, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        geometry.pairwise_iou,
        geometry.box_iou,
        geometry.giou,
        geometry.diou,
        geometry.ciou,
        geometry.intersection,
        geometry.coverage,
        geometry.centre_distance,
    ],
)
def test_tensors_give_what_numpy_gives(function):
    a, b = random_boxes(6), random_boxes(6, 1)
    of_tensors = function(ops.convert_to_tensor(a), ops.convert_to_tensor(b))
    assert not isinstance(of_tensors, np.ndarray)
    np.testing.assert_allclose(ops.convert_to_numpy(of_tensors), function(a, b), atol=1e-5)


def test_arguments_are_left_unchanged():
    boxes = random_boxes(4)
    before = boxes.copy()
    for function in (geometry.xyxy_to_cxcywh, geometry.cxcywh_to_xyxy, geometry.swap_xy, geometry.area):
        function(boxes)
    geometry.clip(boxes, (5, 5))
    np.testing.assert_array_equal(boxes, before)


def test_shape_iou_equals_the_slow_loop():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 99, (7, 2)), rng.uniform(1, 99, (5, 2))
    for i in range(7):
        for j in range(5):
            common = min(a[i, 0], b[j, 0]) * min(a[i, 1], b[j, 1])
            expected = common / (a[i].prod() + b[j].prod() - common)
            assert geometry.shape_iou(a, b)[i, j] == pytest.approx(expected)
