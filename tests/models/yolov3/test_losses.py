"""The loss: each term by hand, a slow loop in double precision, Darknet's own deltas, and what must not go wrong."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS as ANCHORS
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS as TINY_ANCHORS
from yolo3.models.yolov3.defaults import FULL_MASK, OFFICIAL_TINY_MASK, TINY_MASK
from yolo3.models.yolov3.losses import TERMS, loss_terms, yolo_loss
from yolo3.models.yolov3.scales import make_scales
from yolo3.models.yolov3.targets import preprocess_true_boxes

GOLDEN = Path(__file__).parents[4] / "shared" / "data" / "golden" / "loss_yolov3_c3.npz"
SHAPE = (64, 96)  # (height, width)
GRIDS = [(2, 3), (4, 6), (8, 12)]
CLASSES = 3


def random_outputs(images=2, scales=3, seed=0, spread=1.5):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, spread, (images, *grid, 3 * (5 + CLASSES))).astype(np.float32) for grid in GRIDS[:scales]]


def random_true_boxes(images=2, rows=6, seed=0):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 1, (images, rows, 2)) * [SHAPE[1], SHAPE[0]]
    size = np.exp(rng.uniform(np.log(6), np.log(120), (images, rows, 2)))
    low, high = np.maximum(centre - size / 2, 0), np.minimum(centre + size / 2, [SHAPE[1], SHAPE[0]])
    classes = rng.integers(0, CLASSES, (images, rows, 1))
    return np.concatenate([low, high, classes], -1).astype(np.float32)


def random_case(images=2, seed=0, anchors=ANCHORS, mask=FULL_MASK, rows=6):
    boxes = random_true_boxes(images, rows, seed)
    y_true = preprocess_true_boxes(boxes, SHAPE, anchors, CLASSES, mask)
    return random_outputs(images, len(mask), seed), y_true


def terms_of(outputs, y_true, anchors=ANCHORS, **options):
    outputs = [tf.convert_to_tensor(output) for output in outputs]
    true_boxes = options.pop("true_boxes", None)
    scales = make_scales(anchors, **options)
    terms = loss_terms(outputs, y_true, scales, CLASSES, true_boxes=true_boxes)
    return {name: float(value) for name, value in terms.items()}


def loss_and_gradients(outputs, y_true, anchors=ANCHORS, num_classes=CLASSES, **options):
    outputs = [tf.convert_to_tensor(output) for output in outputs]
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = yolo_loss([*outputs, *y_true], anchors, num_classes, **options)
    return loss, tape.gradient(loss, outputs)


# The slow loop, written without the package


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def cross_entropy(z, target):
    return max(z, 0) - z * target + math.log1p(math.exp(-abs(z)))


def overlap(a, b):
    """IoU of two boxes (x, y, w, h)."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def slow_terms(outputs, y_true, anchors, mask, ignore_thresh=0.5, scale_x_y=1.0):
    """The formula of the module, one slot at a time, in double precision; also how many slots were ignored."""
    sums, ignored = dict.fromkeys(TERMS, 0.0), 0
    images, stretch = len(outputs[0]), scale_x_y
    input_h, input_w = outputs[0].shape[1] * 32, outputs[0].shape[2] * 32
    for image in range(images):
        truths = [box for y in y_true for box in y[image][y[image, ..., 4] > 0][:, :4].astype(float)]
        for feats, y, indices in zip(outputs, y_true, mask, strict=True):
            grid_h, grid_w = feats.shape[1:3]
            for row, column, position in np.ndindex(grid_h, grid_w, len(indices)):
                z = feats[image, row, column].reshape(len(indices), -1)[position].astype(float)
                target = y[image, row, column, position].astype(float)
                anchor_w, anchor_h = map(float, anchors[indices[position]])
                if target[4]:
                    x, yy, w, h = target[:4]
                    weight = 2 - w * h
                    soft = [(value + (stretch - 1) / 2) / stretch for value in (x * grid_w - column, yy * grid_h - row)]
                    sums["xy"] += weight * stretch * sum(cross_entropy(z[i], soft[i]) for i in range(2))
                    wanted = math.log(w * input_w / anchor_w), math.log(h * input_h / anchor_h)
                    sums["wh"] += weight * 0.5 * sum((z[2 + i] - wanted[i]) ** 2 for i in range(2))
                    sums["objectness"] += cross_entropy(z[4], 1)
                    sums["class"] += sum(
                        cross_entropy(value, wish) for value, wish in zip(z[5:], target[5:], strict=True)
                    )
                    continue
                box = (
                    (column + stretch * sigmoid(z[0]) - (stretch - 1) / 2) / grid_w,
                    (row + stretch * sigmoid(z[1]) - (stretch - 1) / 2) / grid_h,
                    math.exp(z[2]) * anchor_w / input_w,
                    math.exp(z[3]) * anchor_h / input_h,
                )
                if max((overlap(box, truth) for truth in truths), default=0) > ignore_thresh:
                    ignored += 1
                else:
                    sums["no_object"] += cross_entropy(z[4], 0)
    return {name: value / images for name, value in sums.items()}, ignored


def assert_equals_slow_loop(outputs, y_true, anchors, mask, **options):
    expected, ignored = slow_terms(outputs, y_true, anchors, mask, **options)
    terms = terms_of(outputs, y_true, anchors, anchor_mask=mask, **options)
    for name in TERMS:
        assert terms[name] == pytest.approx(expected[name], rel=2e-5, abs=1e-5), name
    return ignored


@pytest.mark.parametrize("seed", range(3))
def test_the_terms_equal_the_slow_loop(seed):
    outputs, y_true = random_case(seed=seed)
    assert assert_equals_slow_loop(outputs, y_true, ANCHORS, FULL_MASK, ignore_thresh=0.4) > 0


@pytest.mark.parametrize("mask", [TINY_MASK, OFFICIAL_TINY_MASK], ids=["default", "official"])
def test_the_terms_of_two_scales_equal_the_slow_loop(mask):
    outputs, y_true = random_case(anchors=TINY_ANCHORS, mask=mask)
    assert assert_equals_slow_loop(outputs, y_true, TINY_ANCHORS, mask, ignore_thresh=0.3) > 0


def test_the_terms_with_a_stretched_sigmoid_equal_the_slow_loop():
    outputs, y_true = random_case(seed=4)
    assert_equals_slow_loop(outputs, y_true, ANCHORS, FULL_MASK, scale_x_y=1.2)


# By hand


def one_object():
    """Zeros everywhere, and one object in the first slot of the only cell (0, 0) of the coarsest grid of 32 x 32.

    Box (8, 8)..(24, 16) with anchors of 16 x 16: x = .5, y = 12/32 = .375, w = 1/2, h = 1/4. Class 1 of 2.
    """
    anchors = np.array([[16, 16], [30, 30]], np.float32)
    outputs, target = np.zeros((1, 1, 1, 14), np.float32), np.zeros((1, 1, 1, 2, 7), np.float32)
    target[0, 0, 0, 0] = [0.5, 0.375, 0.5, 0.25, 1, 0, 1]
    return anchors, outputs, target


def hand_terms(outputs, target, anchors, **options):
    terms = loss_terms([outputs], [target], make_scales(anchors, [[0, 1]], **options), 2)
    return {name: float(value) for name, value in terms.items()}


def test_each_term_by_hand():
    anchors, outputs, target = one_object()
    outputs[0, 0, 0, :7] = [0, math.log(3), 0.5, 0, math.log(4), -math.log(9), math.log(9)]
    terms = hand_terms(outputs, target, anchors)
    weight = 2 - 0.5 * 0.25  # 1.875
    # p_x = 1/2 at t = 1/2: ln 2. p_y = 3/4 at t = 3/8: -(3/8 ln 3/4 + 5/8 ln 1/4).
    y_part = -(3 / 8 * math.log(3 / 4) + 5 / 8 * math.log(1 / 4))
    assert terms["xy"] == pytest.approx(weight * (math.log(2) + y_part), rel=1e-6)
    # ln(16 / 16) = 0 against .5, ln(8 / 16) = -ln 2 against 0.
    assert terms["wh"] == pytest.approx(weight / 2 * (0.25 + math.log(2) ** 2), rel=1e-6)
    assert terms["objectness"] == pytest.approx(-math.log(4 / 5), rel=1e-6)
    assert terms["class"] == pytest.approx(-2 * math.log(9 / 10), rel=1e-6)
    # The other slot: logit 0 against 0. It decodes to 30 x 30 around (16, 16), overlap 128 / 900 with the object.
    assert terms["no_object"] == pytest.approx(math.log(2), rel=1e-6)
    # The least that cross-entropy with targets 1/2 and 3/8 can be.
    floor = math.log(2) - (3 / 8 * math.log(3 / 8) + 5 / 8 * math.log(5 / 8))
    assert terms["xy_floor"] == pytest.approx(weight * floor, rel=1e-6)


def test_a_prediction_that_overlaps_enough_is_left_out():
    anchors, outputs, target = one_object()
    # The second slot decodes to 30 x 30 at (16, 16): 128 of 900. Just below and just above that.
    assert hand_terms(outputs, target, anchors, ignore_thresh=0.141)["no_object"] == 0
    assert hand_terms(outputs, target, anchors, ignore_thresh=0.143)["no_object"] == pytest.approx(math.log(2))


def test_an_object_counts_although_another_one_overlaps_it():
    anchors, outputs, target = one_object()
    target[0, 0, 0, 1] = target[0, 0, 0, 0]
    assert hand_terms(outputs, target, anchors, ignore_thresh=0.1)["objectness"] == pytest.approx(2 * math.log(2))


def test_the_loss_is_the_sum_of_its_terms_and_the_mean_over_images():
    outputs, y_true = random_case()
    terms = terms_of(outputs, y_true)
    whole = float(yolo_loss([*outputs, *y_true], ANCHORS, CLASSES))
    assert whole == pytest.approx(sum(terms[name] for name in TERMS), rel=1e-6)
    parts = [float(yolo_loss([array[i : i + 1] for array in (*outputs, *y_true)], ANCHORS, CLASSES)) for i in range(2)]
    assert whole == pytest.approx(sum(parts) / 2, rel=1e-6)


def test_perfect_logits_leave_the_entropy_of_the_soft_targets():
    outputs, y_true = random_case()
    for feats, y in zip(outputs, y_true, strict=True):
        for slot in np.argwhere(y[..., 4] > 0):
            image, row, column, position = slot
            offset = y[tuple(slot)][:2] * feats.shape[2:0:-1] - [column, row]
            start = position * (5 + CLASSES)
            feats[image, row, column, start : start + 2] = np.log(offset / (1 - offset))
    terms = terms_of(outputs, y_true)
    assert terms["xy"] == pytest.approx(terms["xy_floor"], rel=1e-5)


# Gradients


def test_gradients_are_minus_darknets_deltas():
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN.name} is not beside this repository")
    golden = np.load(GOLDEN)
    outputs = [channels_last(golden[f"raw{scale}"]) for scale in range(3)]
    height, width = (int(side) for side in golden["input_hw"])
    centre, size, classes = np.split(golden["truth"], [2, 4], -1)
    corners = np.concatenate([centre - size / 2, centre + size / 2], -1) * [width, height, width, height]
    y_true = preprocess_true_boxes(np.concatenate([corners, classes], -1), (height, width), golden["anchors"], 3)
    _, gradients = loss_and_gradients(
        outputs, y_true, golden["anchors"], ignore_thresh=float(golden["ignore_thresh"]), anchor_mask=golden["masks"]
    )
    for scale, gradient in enumerate(gradients):
        delta = channels_last(golden[f"delta{scale}"])
        np.testing.assert_allclose(gradient.numpy() * len(delta), -delta, atol=2e-5)


def channels_last(array):
    """[B, A, D, H, W] as Darknet lays it out to [B, H, W, A * D]."""
    images, anchors, depth, height, width = array.shape
    return array.transpose(0, 3, 4, 1, 2).reshape(images, height, width, anchors * depth)


def test_gradients_equal_finite_differences():
    outputs, y_true = random_case(images=1, seed=2)
    _, gradients = loss_and_gradients(outputs, y_true, ignore_thresh=1.0)  # nothing flips between ignored and not
    rng = np.random.default_rng(0)
    for scale, gradient in enumerate(gradients):
        places = [tuple(place) for place in rng.integers(0, gradient.shape, (3, 4))]
        slot = np.argwhere(y_true[scale][..., 4] > 0)
        places += [(*slot[0, :3], slot[0, 3] * (5 + CLASSES) + channel) for channel in range(6)] if len(slot) else []
        for place in places:
            values = []
            for step in (1e-3, -1e-3):
                moved = [output.copy() for output in outputs]
                moved[scale][place] += step
                values.append(sum(slow_terms(moved, y_true, ANCHORS, FULL_MASK, 1.0)[0].values()))
            slope = (values[0] - values[1]) / (2 * (moved_by(outputs, scale, place, 1e-3)))
            assert gradient.numpy()[place] == pytest.approx(slope, rel=2e-3, abs=1e-4)


def moved_by(outputs, scale, place, step):
    """The step that float32 really took."""
    before = outputs[scale][place]
    return (float(np.float32(before + np.float32(step))) - float(np.float32(before - np.float32(step)))) / 2


def test_the_gradient_of_a_stretched_sigmoid_is_that_of_darknet():
    # AlexeyAB's delta: weight * (t - p') with p' = 1.2 p - .1.
    outputs, y_true = random_case(images=1, seed=1)
    _, gradients = loss_and_gradients(outputs, y_true, scale_x_y=1.2)
    for feats, y, gradient in zip(outputs, y_true, gradients, strict=True):
        for _, row, column, position in np.argwhere(y[..., 4] > 0):
            x, _, w, h = y[0, row, column, position, :4]
            channel = position * (5 + CLASSES)
            p = 1.2 * sigmoid(feats[0, row, column, channel]) - 0.1
            expected = (2 - w * h) * (p - (x * feats.shape[2] - column))
            assert gradient.numpy()[0, row, column, channel] == pytest.approx(expected, abs=1e-5)


def test_ignored_slots_have_no_gradient_and_none_flows_through_the_overlap():
    anchors, outputs, target = one_object()
    outputs[0, 0, 0, 7:] = 0.3  # 30 e^.3 on a side: 128 of 1640
    _, (gradient,) = loss_and_gradients([outputs], [target], anchors, 2, ignore_thresh=0.07, anchor_mask=[[0, 1]])
    assert not gradient.numpy()[0, 0, 0, 7:].any()
    _, (gradient,) = loss_and_gradients([outputs], [target], anchors, 2, ignore_thresh=0.9, anchor_mask=[[0, 1]])
    assert np.flatnonzero(gradient.numpy()[0, 0, 0, 7:]).tolist() == [4]


@pytest.mark.parametrize("logit", [1e4, -1e4, 88.0, -104.0, 0.0])
def test_extreme_logits_have_finite_loss_and_gradients(logit):
    _, y_true = random_case()
    outputs = [np.full((2, *grid, 24), logit, np.float32) for grid in GRIDS]
    loss, gradients = loss_and_gradients(outputs, y_true)
    assert np.isfinite(float(loss))
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


# What went wrong in keras-yolo3


def test_a_box_without_height_does_not_make_the_loss_infinite():
    # There it was stored, and its log(0) made the loss infinite.
    boxes = np.array([[[21, 12, 32, 12, 0], [10, 10, 60, 50, 1]]], np.float32)
    y_true = preprocess_true_boxes(boxes, SHAPE, ANCHORS, CLASSES)
    loss, _ = loss_and_gradients(random_outputs(1), y_true)
    assert np.isfinite(float(loss))


def test_a_target_without_size_has_a_finite_loss():
    # A target array that someone else built.
    y_true = [np.zeros((1, *grid, 3, 8), np.float32) for grid in GRIDS]
    y_true[0][0, 0, 0, 0, 4] = 1
    loss, gradients = loss_and_gradients(random_outputs(1), y_true)
    assert np.isfinite(float(loss)) and np.isfinite(gradients[0].numpy()).all()


def encode(outputs, scale, box, position, anchors=ANCHORS, mask=FULL_MASK, objectness=5.0):
    """Make the slot of ``scale`` in whose cell the box (x, y, w, h), relative, is centred predict that box."""
    feats = outputs[scale]
    _, rows, columns, _ = feats.shape
    row, column = int(box[1] * rows), int(box[0] * columns)
    offset = np.clip([box[0] * columns - column, box[1] * rows - row], 1e-4, 1 - 1e-4)
    anchor = anchors[mask[scale][position]]
    start = position * (5 + CLASSES)
    feats[0, row, column, start : start + 2] = np.log(offset / (1 - offset))
    feats[0, row, column, start + 2 : start + 4] = np.log(np.array(box[2:]) * [SHAPE[1], SHAPE[0]] / anchor)
    feats[0, row, column, start + 4] = objectness


def test_the_ignore_mask_sees_true_boxes_of_other_scales():
    boxes = np.array([[[40, 24, 52, 36, 0]]], np.float32)  # 12 x 12: learned at stride 8
    y_true = preprocess_true_boxes(boxes, SHAPE, ANCHORS, CLASSES)
    assert [y[..., 4].sum() for y in y_true] == [0, 0, 1]
    for scale in (0, 1):
        outputs = [np.full((1, *grid, 24), -30.0, np.float32) for grid in GRIDS]
        encode(outputs, scale, (46 / 96, 30 / 64, 12 / 96, 12 / 64), 1)
        assert terms_of(outputs, y_true)["no_object"] == pytest.approx(0, abs=1e-6)
        # The same prediction where no object is: -ln(1 - sigmoid(5)).
        empty = [np.zeros_like(y) for y in y_true]
        assert terms_of(outputs, empty)["no_object"] == pytest.approx(math.log1p(math.exp(5)), rel=1e-5)


@pytest.mark.parametrize("count", [32, 33, 40, 64, 70])
def test_the_ignore_mask_sees_every_true_box_of_an_image_with_many(count):
    rows = [(8 * column + 1, 8 * row, 8 * column + 9, 8 * row + 8, 0) for row in range(1, 8) for column in range(1, 11)]
    y_true = preprocess_true_boxes(np.array([rows[:count]], np.float32), SHAPE, ANCHORS, CLASSES)
    assert y_true[2][..., 4].sum() == count
    for x_min, y_min, x_max, y_max, _ in (rows[0], rows[count // 2], rows[count - 1]):
        outputs = [np.full((1, *grid, 24), -30.0, np.float32) for grid in GRIDS]
        encode(outputs, 1, ((x_min + x_max) / 192, (y_min + y_max) / 128, 8 / 96, 8 / 64), 0)
        assert terms_of(outputs, y_true)["no_object"] == pytest.approx(0, abs=1e-6)


def test_the_ignore_mask_does_not_see_boxes_of_other_images():
    boxes = np.zeros((2, 1, 5), np.float32)
    boxes[1, 0] = [40, 24, 52, 36, 0]
    y_true = preprocess_true_boxes(boxes, SHAPE, ANCHORS, CLASSES)
    outputs = [np.full((2, *grid, 24), -30.0, np.float32) for grid in GRIDS]
    encode(outputs, 0, (46 / 96, 30 / 64, 12 / 96, 12 / 64), 1)  # in image 0
    assert terms_of(outputs, y_true)["no_object"] == pytest.approx(math.log1p(math.exp(5)) / 2, rel=1e-5)


def test_true_boxes_may_be_given_when_targets_have_lost_some():
    # Two boxes in one slot: the targets hold the second; a prediction of the first is ignored if the boxes are given.
    rows = np.array([[[24, 16, 56, 48, 0], [28, 20, 60, 50, 1]]], np.float32)
    y_true = preprocess_true_boxes(rows, SHAPE, ANCHORS, CLASSES)
    assert sum(y[..., 4].sum() for y in y_true) == 1
    outputs = [np.full((1, *grid, 24), -30.0, np.float32) for grid in GRIDS]
    encode(outputs, 0, (40 / 96, 32 / 64, 32 / 96, 32 / 64), 0)
    xyxy = (rows[..., :4] / [96, 64, 96, 64]).astype(np.float32)
    options = {"ignore_thresh": 0.8}
    assert terms_of(outputs, y_true, **options)["no_object"] > 4
    given = (tf.constant(xyxy), tf.constant([2]))
    assert terms_of(outputs, y_true, true_boxes=given, **options)["no_object"] == pytest.approx(0, abs=1e-6)


def test_boxes_that_share_a_slot_count_once_with_the_classes_of_both():
    rows = np.array([[[24, 16, 56, 48, 0], [28, 20, 60, 50, 1]]], np.float32)
    y_true = preprocess_true_boxes(rows, SHAPE, ANCHORS, CLASSES)
    outputs = [np.zeros((1, *grid, 24), np.float32) for grid in GRIDS]
    terms = terms_of(outputs, y_true)
    assert terms["objectness"] == pytest.approx(math.log(2))
    assert terms["class"] == pytest.approx(3 * math.log(2))
    for feats in outputs:
        feats.reshape(*feats.shape[:3], 3, 8)[..., 5:7] = 30  # both classes, not the third
        feats.reshape(*feats.shape[:3], 3, 8)[..., 7] = -30
    assert terms_of(outputs, y_true)["class"] == pytest.approx(0, abs=1e-6)


def test_with_the_official_tiny_mask_a_shared_anchor_is_learned_on_both_scales():
    boxes = np.array([[[5, 0, 85, 64, 0]]], np.float32)  # 80 x 64: anchor 3, on both scales
    y_true = preprocess_true_boxes(boxes, SHAPE, TINY_ANCHORS, CLASSES, OFFICIAL_TINY_MASK)
    outputs = [np.zeros((1, *grid, 24), np.float32) for grid in GRIDS[:2]]
    terms = terms_of(outputs, y_true, TINY_ANCHORS, anchor_mask=OFFICIAL_TINY_MASK)
    assert terms["objectness"] == pytest.approx(2 * math.log(2))


# Shapes, precision, compilation


def test_images_without_objects_have_only_the_background_term():
    y_true = [np.zeros((2, *grid, 3, 8), np.float32) for grid in GRIDS]
    outputs = [np.zeros((2, *grid, 24), np.float32) for grid in GRIDS]
    terms = terms_of(outputs, y_true)
    # 3 * (6 + 24 + 96) slots with ln 2 each.
    assert terms.pop("no_object") == pytest.approx(378 * math.log(2), rel=1e-6)
    assert set(terms.values()) == {0.0}
    loss, gradients = loss_and_gradients(outputs, y_true)
    np.testing.assert_allclose(gradients[0].numpy().reshape(2, 2, 3, 3, 8)[..., 4], 0.25)  # (p - 0) / 2 images


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_outputs_are_computed_in_float32(dtype):
    outputs, y_true = random_case()
    halves = [tf.cast(output, dtype) for output in outputs]
    loss, gradients = loss_and_gradients(halves, y_true)
    assert loss.dtype == tf.float32
    expected = float(yolo_loss([*(tf.cast(half, "float32") for half in halves), *y_true], ANCHORS, CLASSES))
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert all(gradient.dtype == dtype and np.isfinite(gradient.numpy().astype("f")).all() for gradient in gradients)


@pytest.mark.slow
def test_compiled_with_xla_and_with_unknown_shapes_it_is_the_same():
    outputs, y_true = random_case(anchors=TINY_ANCHORS, mask=TINY_MASK)

    def function(outputs, y_true):
        return loss_and_gradients(outputs, y_true, TINY_ANCHORS, ignore_thresh=0.3)

    loss, gradients = function(outputs, y_true)
    compiled = tf.function(function, jit_compile=True)
    unknown = tf.function(
        function,
        input_signature=[[tf.TensorSpec((None, None, None, 24))] * 2, [tf.TensorSpec((None, None, None, 3, 8))] * 2],
    )
    for variant in (compiled, unknown):
        tensors = [[tf.constant(array) for array in part] for part in (outputs, y_true)]
        other_loss, other_gradients = variant(*tensors)
        assert float(other_loss) == pytest.approx(float(loss), rel=1e-5)
        for one, other in zip(gradients, other_gradients, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_two_halves_of_a_batch_give_the_loss_and_gradients_of_the_whole():
    outputs, y_true = random_case(images=4)
    loss, gradients = loss_and_gradients(outputs, y_true)
    halves = [loss_and_gradients([o[i : i + 2] for o in outputs], [y[i : i + 2] for y in y_true]) for i in (0, 2)]
    assert float(loss) == pytest.approx(sum(float(half) for half, _ in halves) / 2, rel=1e-6)
    for scale, gradient in enumerate(gradients):
        joined = np.concatenate([half[scale].numpy() / 2 for _, half in halves])
        np.testing.assert_allclose(joined, gradient.numpy(), atol=1e-6)


def test_arguments_are_left_unchanged():
    outputs, y_true = random_case()
    before = [array.copy() for array in (*outputs, *y_true)]
    args, anchors = [*outputs, *y_true], ANCHORS.copy()
    yolo_loss(args, anchors, CLASSES)
    assert len(args) == 6
    for one, other in zip(args, before, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(anchors, ANCHORS)


def test_anchors_may_be_a_list():
    outputs, y_true = random_case()
    of_list = float(yolo_loss([*outputs, *y_true], ANCHORS.tolist(), CLASSES))
    assert of_list == float(yolo_loss([*outputs, *y_true], ANCHORS, CLASSES))


@pytest.mark.parametrize("drop", [slice(0, 4), slice(0, 5), slice(1, 6)])
def test_outputs_that_do_not_fit_the_anchors_are_refused(drop):
    outputs, y_true = random_case()
    with pytest.raises(ValueError, match="outputs and targets of 3 scales, got"):
        yolo_loss([*outputs, *y_true][drop], ANCHORS, CLASSES)


def test_print_loss_prints_the_terms(capfd):
    outputs, y_true = random_case(images=1)
    loss = float(yolo_loss([*outputs, *y_true], ANCHORS, CLASSES, print_loss=True))
    printed = "".join(capfd.readouterr())
    assert all(name in printed for name in ("loss", *TERMS))
    assert f"{loss:.4g}"[:4] in printed
    yolo_loss([*outputs, *y_true], ANCHORS, CLASSES)
    assert "".join(capfd.readouterr()) == ""
