"""Each ground-truth box to its slot, on the host and on the device."""

import numpy as np
import pytest
from keras import ops

from yolo3.models.yolov3 import targets
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS as ANCHORS
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS as TINY_ANCHORS
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK
from yolo3.models.yolov3.scales import make_scales

SHAPE = (64, 96)  # (height, width): grids of 2 x 3, 4 x 6 and 8 x 12


def one_image(*rows):
    return np.array([rows], np.float32).reshape(1, -1, 5)


def centred(x, y, w, h, class_id=0):
    """A row (x_min, y_min, x_max, y_max, class id) from centre and size in pixels."""
    return (x - w / 2, y - h / 2, x + w / 2, y + h / 2, class_id)


def filled_slots(y_true):
    return [tuple(map(int, (scale, *slot))) for scale, y in enumerate(y_true) for slot in np.argwhere(y[..., 4] > 0)]


def device_boxes(true_boxes, input_shape):
    """What preprocess_true_boxes takes, as build_targets takes it: centres and sizes relative to the input."""
    size = np.array([input_shape[1], input_shape[0]], np.float32)
    low, high = true_boxes[..., 0:2], true_boxes[..., 2:4]
    return np.concatenate([(low + high) / 2 / size, (high - low) / size, true_boxes[..., 4:]], -1).astype(np.float32)


def slow_targets(true_boxes, input_shape, anchors, num_classes, mask):
    """The rule, one box at a time, written without the package."""
    used = sorted({index for scale in mask for index in scale})
    grids = [(input_shape[0] // stride, input_shape[1] // stride) for stride in (32, 16, 8)][: len(mask)]
    y_true = [np.zeros((len(true_boxes), *grid, len(mask[0]), 5 + num_classes)) for grid in grids]
    for image, rows in enumerate(true_boxes):
        for x_min, y_min, x_max, y_max, class_id in rows.astype(np.float64):
            x_min, x_max = np.clip([x_min, x_max], 0, input_shape[1])
            y_min, y_max = np.clip([y_min, y_max], 0, input_shape[0])
            w, h = x_max - x_min, y_max - y_min
            if w <= 0 or h <= 0:
                continue
            overlaps = []
            for index in used:
                common = min(w, anchors[index][0]) * min(h, anchors[index][1])
                overlaps.append(common / (w * h + anchors[index][0] * anchors[index][1] - common))
            best = used[int(np.argmax(overlaps))]
            x, y = (x_min + x_max) / 2 / input_shape[1], (y_min + y_max) / 2 / input_shape[0]
            for scale, indices in enumerate(mask):
                if best in indices:
                    row = min(int(y * grids[scale][0]), grids[scale][0] - 1)
                    column = min(int(x * grids[scale][1]), grids[scale][1] - 1)
                    slot = y_true[scale][image, row, column, indices.index(best)]
                    slot[:5] = x, y, w / input_shape[1], h / input_shape[0], 1
                    slot[5 + int(class_id)] = 1
    return y_true


def random_true_boxes(rng, images=3, rows=12, input_shape=SHAPE, num_classes=4):
    """Boxes of all sizes, several in a cell, some over the border, some rows empty."""
    height, width = input_shape
    centre = rng.uniform(-0.05, 1.05, (images, rows, 2)) * [width, height]
    size = np.exp(rng.uniform(np.log(4), np.log(150), (images, rows, 2)))
    centre[:, 1::3], size[:, 1::3] = centre[:, ::3], size[:, ::3] * 1.05  # neighbours that share a slot
    classes = rng.integers(0, num_classes, (images, rows, 1))
    boxes = np.concatenate([centre - size / 2, centre + size / 2, classes], -1)
    boxes[rng.random((images, rows)) < 0.2] = 0
    return boxes.astype(np.float32)


def test_one_box_by_hand():
    # 90 x 60 at (48, 32): anchor 6 (116 x 90) fits with 5400 / 10440, the others worse. On the 2 x 3 grid the centre
    # lies at column 48 / 32 = 1.5, row 1.0.
    y_true = targets.preprocess_true_boxes(one_image(centred(48, 32, 90, 60, 1)), SHAPE, ANCHORS, 3)
    assert [y.shape for y in y_true] == [(1, 2, 3, 3, 8), (1, 4, 6, 3, 8), (1, 8, 12, 3, 8)]
    assert {y.dtype for y in y_true} == {np.dtype(np.float32)}
    assert filled_slots(y_true) == [(0, 0, 1, 1, 0)]
    np.testing.assert_allclose(y_true[0][0, 1, 1, 0], [0.5, 0.5, 90 / 96, 60 / 64, 1, 0, 1, 0])


def test_targets_equal_the_slow_loop():
    rng = np.random.default_rng(0)
    for anchors, mask in ((ANCHORS, ((6, 7, 8), (3, 4, 5), (0, 1, 2))), (TINY_ANCHORS, ((3, 4, 5), (0, 1, 2)))):
        boxes = random_true_boxes(rng, images=20)
        fast = targets.preprocess_true_boxes(boxes, SHAPE, anchors, 4)
        for one, other in zip(fast, slow_targets(boxes, SHAPE, anchors, 4, mask), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_each_size_goes_to_its_scale():
    boxes = one_image(centred(20, 20, 11, 13), centred(20, 20, 33, 62), centred(20, 30, 40, 60))
    wide = (416, 416)
    assert filled_slots(targets.preprocess_true_boxes(boxes, wide, ANCHORS, 1))[-1][0] == 2
    boxes = one_image(centred(200, 200, 12, 14), centred(200, 200, 60, 50), centred(200, 200, 300, 300))
    assert [slot[0] for slot in filled_slots(targets.preprocess_true_boxes(boxes, wide, ANCHORS, 1))] == [0, 1, 2]


# What went wrong in keras-yolo3


def test_the_tiny_network_learns_small_boxes_and_learns_medium_ones_only_once():
    # There a 10 x 14 box was written nowhere, an 81 x 82 box on both scales.
    boxes = one_image(centred(100, 100, 10, 14), centred(200, 200, 81, 82))
    slots = filled_slots(targets.preprocess_true_boxes(boxes, (416, 416), TINY_ANCHORS, 1))
    assert slots == [(0, 0, 6, 6, 0), (1, 0, 6, 6, 0)]


def test_the_official_tiny_mask_is_there_on_request_and_loses_no_box():
    boxes = one_image(centred(100, 100, 10, 14), centred(200, 200, 81, 82))
    y_true = targets.preprocess_true_boxes(boxes, (416, 416), TINY_ANCHORS, 1, OFFICIAL_TINY_MASK)
    # Anchor 3 is the first of scale 0 and the third of scale 1; anchor 0 is no candidate: the small box takes 1.
    assert filled_slots(y_true) == [(0, 0, 6, 6, 0), (1, 0, 6, 6, 0), (1, 0, 12, 12, 2)]


def test_an_empty_row_before_a_box_does_not_move_it():
    with_gap = one_image((0, 0, 0, 0, 0), centred(48, 32, 90, 60, 2), (0, 0, 0, 0, 0))
    without = one_image(centred(48, 32, 90, 60, 2))
    for one, other in zip(
        *(targets.preprocess_true_boxes(b, SHAPE, ANCHORS, 3) for b in (with_gap, without)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("row", [(10, 10, 20, 10, 0), (10, 10, 10, 20, 0), (20, 20, 10, 10, 0), (100, 10, 130, 20, 0)])
def test_boxes_without_height_or_width_or_outside_make_no_targets(row):
    assert filled_slots(targets.preprocess_true_boxes(one_image(row), SHAPE, ANCHORS, 1)) == []


@pytest.mark.parametrize(
    "row, cell",
    [((92, 60, 100, 68, 0), (7, 11)), ((95.999, 63.999, 96, 64, 0), (7, 11)), ((-4, -4, 4, 4, 0), (0, 0))],
    ids=["over the far corner", "at the far corner", "over the near corner"],
)
def test_centres_at_the_border_stay_in_the_grid(row, cell):
    # There a centre at 416 raised IndexError, and a negative one landed in the last cell.
    ((scale, _, *place),) = filled_slots(targets.preprocess_true_boxes(one_image(row), SHAPE, ANCHORS, 1))
    assert (scale, *place[:2]) == (2, *cell)


def test_a_box_of_one_pixel_is_learned():
    y_true = targets.preprocess_true_boxes(one_image((40, 40, 41, 41, 0)), SHAPE, ANCHORS, 1)
    assert filled_slots(y_true) == [(2, 0, 5, 5, 0)]


@pytest.mark.parametrize("class_id", [-1, 3, 80])
def test_class_ids_out_of_range_raise_what_old_code_caught_and_a_value_error(class_id):
    # There -1 wrote into the objectness, and python -O took the check away.
    boxes = one_image(centred(48, 32, 90, 60, class_id))
    for kind in (ValueError, AssertionError):
        with pytest.raises(kind, match=rf"class id must be less than num_classes.*got {class_id}"):
            targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 3)


def test_boxes_that_share_a_slot_leave_the_last_box_and_all_classes():
    # Darknet's rule: src/yolo_layer.c, delta_yolo_class.
    boxes = one_image(centred(48, 32, 90, 60, 0), centred(50, 33, 92, 62, 2))
    y_true = targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 3)
    assert filled_slots(y_true) == [(0, 0, 1, 1, 0)]
    np.testing.assert_allclose(y_true[0][0, 1, 1, 0], [50 / 96, 33 / 64, 92 / 96, 62 / 64, 1, 1, 0, 1], atol=1e-6)


def test_centres_keep_their_half_pixel():
    y_true = targets.preprocess_true_boxes(one_image((10, 20, 31, 41, 0)), SHAPE, ANCHORS, 1)
    ((scale, *slot),) = filled_slots(y_true)
    np.testing.assert_allclose(y_true[scale][tuple(slot)][:2], [20.5 / 96, 30.5 / 64])


def test_more_boxes_than_twenty_are_learned():
    rows = [centred(8 * column + 4, 8 * row + 4, 10, 13) for row in range(1, 7) for column in range(1, 11)]
    assert len(filled_slots(targets.preprocess_true_boxes(one_image(*rows), SHAPE, ANCHORS, 1))) == 60


@pytest.mark.parametrize("num_anchors", [3, 12])
def test_other_numbers_of_anchors_need_a_mask(num_anchors):
    anchors = np.arange(1, num_anchors + 1)[:, None] * np.array([[10.0, 12.0]])
    with pytest.raises(ValueError, match="anchor_mask"):
        targets.preprocess_true_boxes(one_image(), SHAPE, anchors, 1)
    mask = np.arange(num_anchors).reshape(3, -1)[::-1]
    y_true = targets.preprocess_true_boxes(one_image(centred(48, 32, 11, 12)), SHAPE, anchors, 1, mask)
    assert filled_slots(y_true) == [(2, 0, 4, 6, 0)]


# Everything else


def test_no_boxes_give_empty_targets():
    for boxes in (np.zeros((2, 0, 5)), np.zeros((2, 4, 5))):
        y_true = targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 2)
        assert [y.shape[0] for y in y_true] == [2, 2, 2] and not any(y.any() for y in y_true)


def test_sizes_that_are_not_multiples_of_32_are_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        targets.preprocess_true_boxes(one_image(), (60, 96), ANCHORS, 1)


def test_arguments_are_left_unchanged():
    boxes, anchors = random_true_boxes(np.random.default_rng(0)), ANCHORS.copy()
    before = boxes.copy()
    targets.preprocess_true_boxes(boxes, SHAPE, anchors, 4)
    np.testing.assert_array_equal(boxes, before)
    np.testing.assert_array_equal(anchors, ANCHORS)


def test_slots_are_those_of_the_targets():
    boxes = random_true_boxes(np.random.default_rng(3), images=1)
    boxes[..., :4] = np.clip(boxes[..., :4], 0, [96, 64, 96, 64])
    boxes = boxes[:, (boxes[0, :, 2] > boxes[0, :, 0]) & (boxes[0, :, 3] > boxes[0, :, 1])]
    slots = targets.assign_slots(device_boxes(boxes, SHAPE)[0, :, :4], SHAPE, make_scales(ANCHORS))
    y_true = targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 4)
    assert len(slots) == boxes.shape[1]
    assert sorted(set(map(tuple, slots.tolist()))) == [(scale, *slot) for scale, _, *slot in filled_slots(y_true)]


# On the device


@pytest.mark.parametrize(
    "anchors, mask",
    [(ANCHORS, None), (TINY_ANCHORS, None), (TINY_ANCHORS, OFFICIAL_TINY_MASK)],
    ids=["9", "6", "official"],
)
def test_the_device_builds_the_same_targets(anchors, mask):
    rng = np.random.default_rng(7)
    for _ in range(4):
        boxes = random_true_boxes(rng, images=8, rows=15)
        boxes[..., :4] = np.clip(boxes[..., :4], 0, [96, 64, 96, 64])  # the pipeline clips
        on_host = targets.preprocess_true_boxes(boxes, SHAPE, anchors, 4, mask)
        tensor = ops.convert_to_tensor(device_boxes(boxes, SHAPE))
        on_device = targets.build_targets(tensor, SHAPE, make_scales(anchors, mask), 4)
        for one, other in zip(on_host, on_device, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(other), one, atol=1e-6)


def test_the_device_handles_shared_slots_borders_and_empty_images():
    boxes = one_image(centred(48, 32, 90, 60, 0), centred(50, 33, 92, 62, 2), (88, 56, 96, 64, 1), (94, 62, 96, 64, 1))
    boxes = np.concatenate([boxes, np.zeros_like(boxes)])
    on_device = targets.build_targets(ops.convert_to_tensor(device_boxes(boxes, SHAPE)), SHAPE, make_scales(ANCHORS), 3)
    for one, other in zip(targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 3), on_device, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(other), one, atol=1e-6)


def test_the_device_puts_a_centre_on_the_far_border_into_the_last_cell():
    boxes = np.array([[[1, 1, 0.1, 0.2, 0], [0, 0, 0.1, 0.2, 0]]], np.float32)
    on_device = targets.build_targets(ops.convert_to_tensor(boxes), SHAPE, make_scales(ANCHORS), 1)
    fine = ops.convert_to_numpy(on_device[2])
    assert np.argwhere(fine[..., 4] > 0)[:, 1:3].tolist() == [[0, 0], [7, 11]]


@pytest.mark.slow
def test_the_device_builds_the_same_targets_when_compiled():
    import tensorflow as tf

    boxes = random_true_boxes(np.random.default_rng(9), images=4)
    boxes[..., :4] = np.clip(boxes[..., :4], 0, [96, 64, 96, 64])
    compiled = tf.function(lambda b: targets.build_targets(b, SHAPE, make_scales(ANCHORS), 4), jit_compile=True)
    on_device = compiled(tf.constant(device_boxes(boxes, SHAPE)))
    for one, other in zip(targets.preprocess_true_boxes(boxes, SHAPE, ANCHORS, 4), on_device, strict=True):
        np.testing.assert_allclose(other.numpy(), one, atol=1e-6)
