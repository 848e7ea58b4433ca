"""YOLOv1: networks against Darknet's cfg, layouts, codec, targets, each term by hand, Darknet's deltas, the architecture."""

import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import load_weights, save_weights
from yolo3.models import yolov1
from yolo3.models.yolov1 import SIZE_FORMS, YoloV1
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import non_max_suppression

CFGS = Path(__file__).parents[3] / "shared" / "data" / "darknet" / "cfg"
needs_cfgs = pytest.mark.skipif(not CFGS.is_dir(), reason="needs ../shared/data")
SHAPE = (128, 192)  # (height, width)
GRID, CLASSES, BOXES = 3, 4, 2
FLAT = YoloV1(num_classes=CLASSES, grid_size=GRID, num_boxes=BOXES, layout="darknet")
SCALES = {"coord_scale": 5.0, "object_scale": 1.5, "noobject_scale": 0.5, "class_scale": 0.75}

SMALL_CFG = """[net]
height=128
width=128
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=8
stride=8
padding=0
[local]
filters=4
size=3
pad=1
activation=leaky
[dropout]
probability=.5
[connected]
output= 48
activation=linear
[detection]
classes=2
coords=4
side=2
num=2
sqrt=1
rescore=1
object_scale=1
noobject_scale=.5
class_scale=1
coord_scale=5
"""


@pytest.fixture
def slim(monkeypatch):
    """Both designs with a sixteenth of their filters: all layers and names."""

    def thin(design):
        body = tuple((filters // 16, *rest) for filters, *rest in design.body)
        return dataclasses.replace(design, body=body, dense_width=design.dense_width and 32)

    monkeypatch.setattr(yolov1, "DESIGNS", {name: thin(design) for name, design in yolov1.DESIGNS.items()})


def random_boxes(images=2, rows=5, seed=0):
    """Return true boxes [B, T, 5] within the image; two rows of the first image share a cell, one is padding."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.02, 0.98, (images, rows, 2))
    size = rng.uniform(0.05, 0.6, (images, rows, 2))
    boxes = np.concatenate([centre, size, rng.integers(0, CLASSES, (images, rows, 1))], -1).astype(np.float32)
    boxes[0, 1, :2] = boxes[0, 0, :2] + [0.001, -0.001]
    boxes[0, 3] = 0
    return boxes


def random_flat(images=2, seed=0):
    """Return random vectors in Darknet's order, [B, 126]: x, y in the cell, roots of sizes, some boxes far away."""
    rng = np.random.default_rng(seed)
    flat = rng.uniform(-0.2, 1.1, (images, GRID**2 * (CLASSES + 5 * BOXES)))
    flat[:, GRID**2 * (CLASSES + BOXES) :] += rng.choice([0, 4], (images, 1)) * 1.0
    return flat.astype(np.float32)


def terms_of(architecture, feats, boxes, shape=SHAPE):
    terms = architecture.loss_terms([tf.constant(feats)], architecture.build_targets(tf.constant(boxes), shape), shape)
    return {name: float(value) for name, value in terms.items()}


def loss_and_gradient(architecture, feats, boxes, shape=SHAPE):
    feats = tf.convert_to_tensor(feats)
    with tf.GradientTape() as tape:
        tape.watch(feats)
        terms = architecture.loss_terms([feats], architecture.build_targets(tf.convert_to_tensor(boxes), shape), shape)
        loss = sum(terms[name] for name in architecture.terms)
    return loss, tape.gradient(loss, feats)


# Darknet's detection layer, one cell at a time, in double precision and written without the package


def slow_targets(boxes):
    """The first box of each cell, by (row, column), of one image [T, 5]."""
    cells = {}
    for x, y, w, h, class_id in boxes.astype(float):
        cell = min(int(y * GRID), GRID - 1), min(int(x * GRID), GRID - 1)
        if w > 0 and h > 0 and cell not in cells:
            cells[cell] = (x * GRID - cell[1], y * GRID - cell[0], w, h, int(class_id))
    return cells


def overlap(a, b):
    """IoU of two boxes (x, y, w, h)."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    common = width * height if width > 0 and height > 0 else 0.0
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def choose(predicted, truth):
    """Return (index, IoU, how) of the responsible one of a cell's boxes (x, y, w, h)."""
    ious = [overlap(box, truth) for box in predicted]
    if max(ious) > 0:
        return int(np.argmax(ious)), max(ious), "iou"
    distances = [sum((p - t) ** 2 for p, t in zip(box, truth, strict=True)) for box in predicted]
    return int(np.argmin(distances)), 0.0, "rmse"


def darknet_deltas(output, boxes, root, rescore, scales):
    """Return the deltas of one image's vector, and by which rule boxes were chosen."""
    p, delta, how = output.astype(float), np.zeros(len(output)), []
    cells, targets = GRID * GRID, slow_targets(boxes)
    for i in range(cells):
        confidences = [cells * CLASSES + i * BOXES + j for j in range(BOXES)]
        for index in confidences:
            delta[index] = scales["noobject_scale"] * (0 - p[index])
        cell = divmod(i, GRID)
        if cell not in targets:
            continue
        x, y, w, h, class_id = targets[cell]
        for c in range(CLASSES):
            delta[i * CLASSES + c] = scales["class_scale"] * ((c == class_id) - p[i * CLASSES + c])
        places = [cells * (CLASSES + BOXES) + (i * BOXES + j) * 4 for j in range(BOXES)]
        predicted = [
            (p[k] / GRID, p[k + 1] / GRID, p[k + 2] ** (2 if root else 1), p[k + 3] ** (2 if root else 1))
            for k in places
        ]
        j, iou, rule = choose(predicted, (x / GRID, y / GRID, w, h))
        how.append(rule)
        delta[confidences[j]] = scales["object_scale"] * ((iou if rescore else 1) - p[confidences[j]])
        wanted = (x, y, math.sqrt(w), math.sqrt(h)) if root else (x, y, w, h)
        for k in range(4):
            delta[places[j] + k] = scales["coord_scale"] * (wanted[k] - p[places[j] + k])
    return delta, how


@pytest.mark.parametrize("rescore", [True, False])
@pytest.mark.parametrize("root", [True, False])
def test_the_gradient_is_minus_darknets_deltas(root, rescore):
    architecture = dataclasses.replace(FLAT, size_form="root" if root else "size", rescore=rescore, **SCALES)
    rules = []
    for seed in range(4):
        flat, boxes = random_flat(2, seed), random_boxes(2, 5, seed)
        _, gradient = loss_and_gradient(architecture, flat, boxes)
        for image in range(2):
            deltas, how = darknet_deltas(flat[image], boxes[image], root, rescore, SCALES)
            rules += how
            # The loss is the mean over two images, so is its gradient.
            np.testing.assert_allclose(-2 * gradient[image], deltas, rtol=1e-5, atol=2e-6)
    assert {"iou", "rmse"} <= set(rules)


# By hand


def one_object():
    """Feats [1, 2, 2, 12] of two classes and two boxes, and one object of class 1 in row 0, column 1.

    Object: x = .875, y = .25, w = h = .25; within its cell at (.875 * 2 - 1, .25 * 2) = (.75, .5); roots .5.
    """
    feats = np.zeros((1, 2, 2, 12), np.float32)
    feats[0, 0, 1] = [0.75, 0.5, 0.5, 0.75, 0.5, 0.5, 0.1, 0.25, 0.5, 0.5, 0.5, 0.4]
    feats[0, 1, 0, 2] = 0.1  # a confidence in an empty cell
    return feats, np.array([[[0.875, 0.25, 0.25, 0.25, 1]]], np.float32)


TWO = YoloV1(num_classes=2, grid_size=2)


def test_each_term_by_hand():
    terms = terms_of(TWO, *one_object())
    # Box 0 is .25 x .01 at the object's centre: IoU .0025 / .0625 = .04. Box 1 is .25 x .16, a quarter of a cell, .125
    # of the image, to the left: common .125 * .16 = .02, IoU .02 / (.0625 + .04 - .02) = 8 / 33. Box 1 answers.
    assert terms["xy"] == pytest.approx(5 / 2 * 0.25**2)
    assert terms["wh"] == pytest.approx(5 / 2 * (0.5 - 0.4) ** 2)
    assert terms["objectness"] == pytest.approx(1 / 2 * (8 / 33 - 0.25) ** 2, rel=1e-4)
    assert terms["no_object"] == pytest.approx(0.5 / 2 * (0.5**2 + 0.1**2))
    assert terms["class"] == pytest.approx(1 / 2 * (0.75**2 + 0.5**2))
    assert tuple(terms) == TWO.terms


def test_without_rescore_the_confidence_learns_one():
    architecture = dataclasses.replace(TWO, rescore=False)
    assert terms_of(architecture, *one_object())["objectness"] == pytest.approx(1 / 2 * 0.75**2)


def test_each_scale_weighs_its_terms():
    plain = terms_of(dataclasses.replace(TWO, **dict.fromkeys(SCALES, 1.0)), *one_object())
    weighed = terms_of(dataclasses.replace(TWO, **SCALES), *one_object())
    weights = {"xy": 5, "wh": 5, "objectness": 1.5, "no_object": 0.5, "class": 0.75}
    assert weighed == pytest.approx({name: weights[name] * value for name, value in plain.items()})


def test_the_three_size_forms_by_hand():
    # True size .25. A raw .4 means .16 and is compared as .5 - .4; a raw .16 that is the size itself as .25 - .16, or,
    # root against root, as .5 - .4 again.
    raw, true = np.float32([[0.4], [0.16], [0.16]]), np.float32([0.25])
    means = [float(yolov1.decode_sizes(raw[i], form)[0]) for i, form in enumerate(SIZE_FORMS)]
    errors = [float(yolov1.size_errors(raw[i], true, form)[0]) for i, form in enumerate(SIZE_FORMS)]
    assert SIZE_FORMS == ("root", "size", "root-of-size")
    assert means == pytest.approx([0.16, 0.16, 0.16])
    assert errors == pytest.approx([0.1, 0.09, 0.1])


def test_the_root_of_small_and_negative_sizes_goes_on_as_a_tangent():
    sizes = tf.constant([0.25, 1e-3 + 1e-7, 1e-3, 0.0, -1.0])
    with tf.GradientTape() as tape:
        tape.watch(sizes)
        roots = yolov1.bounded_root(sizes)
    # At 1e-3 the root is .0316228, its slope 1 / (2 * .0316228) = 15.8114: half of it at 0, .0158 - 15.8114 at -1.
    np.testing.assert_allclose(roots, [0.5, 0.0316228, 0.0316228, 0.0158114, -15.795578], rtol=1e-4)
    np.testing.assert_allclose(tape.gradient(roots, sizes), [1, 15.8114, 15.8114, 15.8114, 15.8114], rtol=1e-3)


def test_without_objects_only_confidences_count():
    feats, _ = one_object()
    expected = dict.fromkeys(TWO.terms, 0.0) | {"no_object": 0.5 / 2 * (0.5**2 + 0.25**2 + 0.1**2)}
    assert terms_of(TWO, feats, np.zeros((1, 3, 5), np.float32)) == pytest.approx(expected)
    assert terms_of(TWO, feats, np.zeros((1, 0, 5), np.float32)) == pytest.approx(expected)


def test_the_loss_of_a_batch_is_the_mean_over_its_images():
    flat, boxes = random_flat(), random_boxes()
    single = [terms_of(FLAT, flat[i : i + 1], boxes[i : i + 1]) for i in range(2)]
    both = terms_of(FLAT, flat, boxes)
    assert both == pytest.approx({name: (single[0][name] + single[1][name]) / 2 for name in both}, rel=1e-5)


def test_with_sigmoid_confidence_and_classes_are_squeezed_and_boxes_are_not():
    feats, boxes = one_object()
    logits = feats.copy()
    squeezed = [0, 1, 2, 7]
    logits[..., squeezed] = np.log(np.maximum(feats[..., squeezed], 1e-6)) - np.log1p(-feats[..., squeezed])
    architecture = dataclasses.replace(TWO, activation="sigmoid")
    assert terms_of(architecture, logits, boxes) == pytest.approx(terms_of(TWO, feats, boxes), rel=1e-4)


# Responsibility


def responsible(raw_boxes, box):
    """Return the responsible box of the single cell of an image with the true box (x, y, w, h)."""
    raw = np.float32(raw_boxes).reshape(1, 1, 1, -1, 4)
    y_true = np.float32([*box, 1, 1]).reshape(1, 1, 1, 6)
    chosen, overlaps = yolov1.responsible_boxes(raw, y_true, "size")
    assert float(tf.reduce_sum(chosen)) == 1
    return int(np.argmax(chosen)), np.array(overlaps).ravel()


def test_the_box_that_overlaps_answers_even_where_another_is_closer():
    # The second lies nearer in x, y, w, h but does not touch; the first touches with its far edge.
    index, overlaps = responsible([[0.5, 0.1, 0.9, 0.9], [0.5, 0.6, 0.1, 0.1]], (0.5, 0.5, 0.02, 0.02))
    assert index == 0 and overlaps[0] > 0 and overlaps[1] == 0
    assert responsible([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.3, 0.3]], (0.5, 0.5, 0.3, 0.3))[0] == 1


def test_where_none_overlaps_the_closest_answers():
    # Squared distances: .4^2 = .16 against .3^2 + .1^2 = .10.
    index, overlaps = responsible([[0.1, 0.5, 0.1, 0.1], [0.8, 0.5, 0.2, 0.1]], (0.5, 0.5, 0.1, 0.1))
    assert index == 1 and not overlaps.any()


def test_of_equal_boxes_the_first_answers():
    assert responsible([[0.5, 0.5, 0.2, 0.2]] * 3, (0.5, 0.5, 0.3, 0.3))[0] == 0


# Extremes and compilation


@pytest.mark.parametrize("size_form", SIZE_FORMS)
def test_extreme_outputs_have_finite_loss_and_gradients(size_form):
    architecture = dataclasses.replace(FLAT, size_form=size_form)
    for raw in (0.0, -1.0, 1e-30, 65504.0, -65504.0, 1e15, -1e15):
        flat = np.full_like(random_flat(), raw)
        loss, gradient = loss_and_gradient(architecture, flat, random_boxes())
        assert np.isfinite(float(loss)) and np.isfinite(gradient).all(), raw
        found, scores = architecture.decode([flat], SHAPE)
        assert np.isfinite(geometry.area(np.array(found))).all() and np.isfinite(scores).all(), raw


def test_xla_equals_eager():
    architecture = dataclasses.replace(FLAT, activation="sigmoid")
    flat, boxes = random_flat(), random_boxes()
    compiled = tf.function(lambda a, b: loss_and_gradient(architecture, a, b), jit_compile=True, autograph=False)
    for own, expected in zip(compiled(flat, boxes), loss_and_gradient(architecture, flat, boxes), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


def test_a_graph_of_open_batch_equals_eager():
    flat, boxes = random_flat(), random_boxes()
    signature = [tf.TensorSpec([None, flat.shape[1]]), tf.TensorSpec([None, None, 5])]

    def everything(flat, boxes):
        return FLAT.loss_terms([flat], FLAT.build_targets(boxes, SHAPE), SHAPE), FLAT.decode([flat], SHAPE)

    terms, found = tf.function(everything, input_signature=signature, autograph=False)(flat, boxes)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(terms_of(FLAT, flat, boxes))
    for own, expected in zip(found, FLAT.decode([flat], SHAPE), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_terms_are_float32_for_outputs_of_half_precision(dtype):
    feats, boxes = one_object()
    terms = TWO.loss_terms([tf.cast(feats, dtype)], TWO.build_targets(boxes, SHAPE), SHAPE)
    assert {value.dtype.name for value in terms.values()} == {"float32"}
    assert float(terms["class"]) == pytest.approx(0.40625)  # .75 and .5 are exact in both


# Layouts


def test_darknets_flat_order_to_cells_and_back():
    flat = np.arange(2 * GRID**2 * (CLASSES + 5 * BOXES), dtype=np.float32).reshape(2, -1)
    feats = np.zeros((2, GRID, GRID, CLASSES + 5 * BOXES), np.float32)
    for image, row, column in np.ndindex(2, GRID, GRID):
        cell = row * GRID + column
        for c in range(CLASSES):
            feats[image, row, column, c] = flat[image, cell * CLASSES + c]
        for j in range(BOXES):
            start = CLASSES + 5 * j
            feats[image, row, column, start] = flat[image, GRID**2 * CLASSES + cell * BOXES + j]
            for k in range(4):
                place = GRID**2 * (CLASSES + BOXES) + (cell * BOXES + j) * 4 + k
                feats[image, row, column, start + 1 + k] = flat[image, place]
    np.testing.assert_array_equal(yolov1.feats_from_flat(flat, GRID, CLASSES, BOXES), feats)
    np.testing.assert_array_equal(yolov1.flat_from_feats(feats, CLASSES, BOXES), flat)


def test_both_layouts_mean_the_same():
    flat, boxes = random_flat(), random_boxes()
    feats = np.array(yolov1.feats_from_flat(flat, GRID, CLASSES, BOXES))
    cells = dataclasses.replace(FLAT, layout="cells")
    assert terms_of(cells, feats, boxes) == pytest.approx(terms_of(FLAT, flat, boxes))
    for own, expected in zip(cells.decode([feats], SHAPE), FLAT.decode([flat], SHAPE), strict=True):
        np.testing.assert_array_equal(own, expected)


# Codec


def test_decoding_by_hand():
    feats, _ = one_object()
    boxes, scores = TWO.decode([feats], (100, 200))
    # Second cell, first box: centre ((.75 + 1) / 2, .5 / 2) of 200 x 100 pixels = (175, 25); .25 * 200 x .01 * 100.
    np.testing.assert_allclose(boxes[0, 2], [150, 24.5, 200, 25.5], rtol=1e-5)
    # Second box: centre (.75 * 200, 25) = (150, 25); 50 x 16.
    np.testing.assert_allclose(boxes[0, 3], [125, 17, 175, 33], rtol=1e-5)
    np.testing.assert_allclose(scores[0, 2:4], [[0.5 * 0.75, 0.5 * 0.5], [0.25 * 0.75, 0.25 * 0.5]])
    assert boxes.shape == (1, 8, 4) and scores.shape == (1, 8, 2)


def test_scores_stay_within_0_and_1():
    feats, _ = one_object()
    feats[0, 0, 0, :3] = [-0.5, 3, -0.5]  # classes -.5 and 3, confidence -.5
    feats[0, 0, 0, 7] = 0.5
    scores = np.array(TWO.decode([feats], SHAPE)[1])
    np.testing.assert_array_equal(scores[0, :2], [[0, 0], [0, 1]])


def test_a_negative_size_becomes_a_box_without_area():
    feats, _ = one_object()
    feats[0, 0, 1, 5:7] = -0.25
    boxes = np.array(dataclasses.replace(TWO, size_form="size").decode([feats], (100, 200))[0])
    np.testing.assert_allclose(boxes[0, 2], [175, 25, 175, 25])
    boxes = np.array(TWO.decode([feats], (100, 200))[0])  # a root has no sign: .0625 of either side
    np.testing.assert_allclose(boxes[0, 2], [175 - 6.25, 25 - 3.125, 175 + 6.25, 25 + 3.125])


@pytest.mark.parametrize("size_form", SIZE_FORMS)
def test_decoding_undoes_encoding(size_form):
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1)[None, :, :, None]  # (column, row)
    xy = ((grid + rng.uniform(0, 1, (2, 4, 4, 3, 2))) / 4).astype(np.float32)
    wh = rng.uniform(0.002, 1, xy.shape).astype(np.float32)
    raw = yolov1.encode_boxes(xy, wh, size_form)
    assert 0 <= np.array(raw)[..., :2].min() and np.array(raw)[..., :2].max() <= 1
    for own, expected in zip(yolov1.decode_boxes(raw, size_form), (xy, wh), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


def encoded(architecture, boxes):
    """Return feats that say exactly the targets of ``boxes``, with the box twice in each cell."""
    y_true = np.array(architecture.build_targets(boxes, SHAPE))
    truth = np.repeat(y_true[..., None, :4], architecture.num_boxes, -2)
    raw = yolov1.encode_boxes(truth[..., :2], truth[..., 2:], architecture.size_form)
    confidence = np.repeat(y_true[..., 4:5], architecture.num_boxes, -1)
    return np.array(yolov1.join_cells(y_true[..., 5:], confidence, raw))


def test_what_the_targets_say_is_found_again():
    architecture = dataclasses.replace(FLAT, layout="cells")
    boxes = random_boxes(1, 4, seed=5)[:, [0, 2]]
    found, scores = architecture.decode([encoded(architecture, boxes)], SHAPE)
    found, scores, class_ids, num = non_max_suppression(found, scores, 0.5, 0.45)
    assert int(num[0]) == 2
    wanted = {int(row[4]): (row[:4] * [192, 128, 192, 128]) for row in boxes[0]}
    for box, class_id in zip(np.array(found)[0, :2], np.array(class_ids)[0, :2], strict=True):
        x, y, w, h = wanted[int(class_id)]
        np.testing.assert_allclose(box, [x - w / 2, y - h / 2, x + w / 2, y + h / 2], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size_form", SIZE_FORMS)
def test_a_one_pixel_box_is_learned_as_any_other(size_form):
    architecture = dataclasses.replace(FLAT, layout="cells", size_form=size_form, num_boxes=1)
    boxes = np.float32([[[0.4, 0.6, 1 / 192, 1 / 128, 2]]])
    feats = encoded(architecture, boxes)
    terms = terms_of(architecture, feats, boxes)
    assert terms == pytest.approx(dict.fromkeys(terms, 0.0), abs=1e-5)
    off = feats.copy()
    off[..., 6] += 1.0  # x
    assert terms_of(architecture, off, boxes)["xy"] == pytest.approx(5 / 2)


# Targets


@pytest.mark.parametrize("seed", range(3))
def test_targets_equal_the_slow_loop(seed):
    boxes = random_boxes(3, 12, seed)
    before = boxes.copy()
    y_true = np.array(yolov1.build_targets(boxes, GRID, CLASSES))
    expected = np.zeros((3, GRID, GRID, 5 + CLASSES))
    for image in range(3):
        for (row, column), (x, y, w, h, class_id) in slow_targets(boxes[image]).items():
            expected[image, row, column, :5] = [(x + column) / GRID, (y + row) / GRID, w, h, 1]
            expected[image, row, column, 5 + class_id] = 1
    np.testing.assert_allclose(y_true, expected, atol=1e-6)
    np.testing.assert_array_equal(boxes, before)


def test_of_two_objects_in_a_cell_the_first_is_learned():
    two = np.float32([[[0.5, 0.5, 0.2, 0.3, 1], [0.52, 0.48, 0.4, 0.1, 3]]])
    y_true = np.array(yolov1.build_targets(two, GRID, CLASSES))
    np.testing.assert_allclose(y_true[0, 1, 1], [0.5, 0.5, 0.2, 0.3, 1, 0, 1, 0, 0])
    assert y_true[..., 4].sum() == 1
    y_true = np.array(yolov1.build_targets(two[:, ::-1], GRID, CLASSES))
    np.testing.assert_allclose(y_true[0, 1, 1], [0.52, 0.48, 0.4, 0.1, 1, 0, 0, 0, 1])


def test_an_object_on_the_far_border_belongs_to_the_last_cell():
    architecture = dataclasses.replace(FLAT, layout="cells")
    corner = np.float32([[[1, 1, 0.1, 0.1, 0]]])
    y_true = np.array(architecture.build_targets(corner, SHAPE))
    assert y_true[0, GRID - 1, GRID - 1, 4] == 1
    found, _ = architecture.decode([encoded(architecture, corner)], SHAPE)
    np.testing.assert_allclose(found[0, -1], [0.95 * 192, 0.95 * 128, 1.05 * 192, 1.05 * 128], rtol=1e-5)


def test_rows_without_area_are_padding_wherever_they_stand():
    boxes = np.float32([[[0.5, 0.5, 0, 0.3, 1], [0.5, 0.5, 0.2, 0, 1], [0, 0, 0, 0, 0], [0.5, 0.5, 0.2, 0.3, 2]]])
    y_true = np.array(yolov1.build_targets(boxes, GRID, CLASSES))
    assert y_true[..., 4].sum() == 1 and y_true[0, 1, 1, 5:].tolist() == [0, 0, 1, 0]


# Networks


@needs_cfgs
@pytest.mark.parametrize("name", yolov1.DESIGNS)
def test_the_bodies_are_those_of_darknets_cfg(name):
    cfg = []
    for layer in resolve_layers(read_cfg(CFGS / f"{name}.cfg")):
        if layer.kind == "convolutional":
            cfg.append((layer.options.filters, layer.options.size, layer.options.strides[0]))
            assert layer.options.padding == layer.options.size // 2 and layer.options.activation == "leaky"
        elif layer.kind == "maxpool":
            cfg.append((0, 0, 1))
    assert [(*entry, 1)[:3] for entry in yolov1.DESIGNS[name].body] == cfg
    assert sum(filters > 0 for filters, *_ in cfg) == {"yolov1": 24, "yolov1-tiny": 8}[name]


@pytest.mark.parametrize("name", yolov1.DESIGNS)
def test_a_network_gives_the_cells_of_the_grid(slim, name):
    architecture = YoloV1(name)
    network = architecture.build_network((128, 192, 3))
    assert network.output_shape == (None, 7, 7, 30)
    counts = {kind: sum(layer.name.startswith(kind) for layer in network.layers) for kind in ("conv_", "bn_", "leaky_")}
    assert set(counts.values()) == {{"yolov1": 24, "yolov1-tiny": 8}[name]}
    assert {type(layer).__module__.split(".")[0] for layer in network.layers} == {"keras"}


def test_dense_width_dropout_and_normalisation_are_as_asked(slim):
    architecture = YoloV1("yolov1-tiny", 3, 5, 1, batch_normalize=False, dense_width=496, dropout=0.25)
    network = architecture.build_network((64, 64, 3))
    assert network.get_layer("connected_0").units == 496
    assert network.get_layer("connected_1").units == 5 * 5 * (3 + 5)
    assert network.get_layer("dropout_0").rate == 0.25
    assert network.get_layer("conv_7").use_bias and not any(layer.name.startswith("bn_") for layer in network.layers)
    assert [layer.name for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)][:2] == [
        "leaky_0", "leaky_1",
    ]  # fmt: skip
    assert set(architecture.backbone_layers(network)) <= {layer.name for layer in network.layers}


def test_the_wide_dense_layer_is_the_papers():
    design = yolov1.DESIGNS["yolov1"]
    assert (design.dense_width, design.dropout, design.shared) == (4096, 0.5, 20)


def test_batch_norm_takes_another_class_of_layers(slim):
    class Other(keras.layers.BatchNormalization):
        pass

    network = YoloV1("yolov1-tiny").build_network((64, 64, 3), batch_norm=Other)
    assert isinstance(network.get_layer("bn_0"), Other)


@pytest.mark.parametrize("name", yolov1.DESIGNS)
def test_the_backbone_is_what_was_trained_before(slim, name):
    architecture = YoloV1(name)
    network = architecture.build_network((64, 64, 3))
    names = architecture.backbone_layers(network)
    assert len(names) == 2 * {"yolov1": 20, "yolov1-tiny": 7}[name]
    assert set(names) < {layer.name for layer in network.layers}


@pytest.mark.parametrize(
    ("size_form", "activation", "layout"),
    [("root", "linear", "cells"), ("size", "sigmoid", "darknet"), ("root-of-size", "sigmoid", "cells")],
)
def test_a_new_network_starts_in_the_middle_of_the_cells(slim, size_form, activation, layout):
    architecture = YoloV1("yolov1-tiny", 4, 3, size_form=size_form, activation=activation, layout=layout)
    biases = architecture.build_network((64, 64, 3)).get_layer("connected_0").bias
    shape = (1, -1) if layout == "darknet" else (1, 3, 3, 4 + 2 * 5)
    class_probs, confidence, raw = architecture.parts_of(tf.reshape(biases, shape))
    np.testing.assert_allclose(class_probs, np.full((1, 3, 3, 4), 1 / 4), rtol=1e-5)
    np.testing.assert_allclose(confidence, np.full((1, 3, 3, 2), 0.1), rtol=1e-5)
    xy, wh = yolov1.decode_boxes(raw, size_form)
    np.testing.assert_allclose(xy[0, 2, 0, 0], [0.5 / 3, 2.5 / 3], rtol=1e-5)
    np.testing.assert_allclose(wh[0, 1, 1], [[1 / 9] * 2, [4 / 9] * 2], rtol=1e-5)  # (1/3)^2, (2/3)^2


@pytest.mark.parametrize("shape", [(None, None, 3), (96, 128, 3), (0, 64, 3)])
def test_an_input_that_the_network_cannot_take_is_refused(shape):
    with pytest.raises(ValueError, match="expected (an input of fixed size|multiples of 64)"):
        YoloV1("yolov1-tiny").build_network(shape)


# Darknet's cfg files


def tiny_cfg(size=64, side=3, classes=2, boxes=2):
    """Return the slim tiny design as a cfg."""
    text = f"[net]\nheight={size}\nwidth={size}\nchannels=3\n"
    for filters, *kernel in yolov1.DESIGNS["yolov1-tiny"].body:
        if filters:
            text += f"[convolutional]\nfilters={filters}\nsize={kernel[0]}\n"
            text += "batch_normalize=1\npad=1\nactivation=leaky\n"
        else:
            text += "[maxpool]\nsize=2\nstride=2\n"
    text += f"[connected]\noutput={side**2 * (classes + 5 * boxes)}\nactivation=linear\n"
    return parse_cfg(text + f"[detection]\nclasses={classes}\ncoords=4\nside={side}\nnum={boxes}\nsqrt=1\n")


def test_darknet_weights_fill_the_tiny_network(slim, tmp_path):
    cfg = tiny_cfg(128)
    theirs = YoloV1.from_cfg(cfg).build_network((128, 128, 3))
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in theirs.get_weights()])
    save_weights(theirs, cfg, tmp_path / "tiny.weights")
    own = YoloV1("yolov1-tiny", 2, 3, layout="darknet").build_network((128, 128, 3))
    filled = load_weights(own, cfg, tmp_path / "tiny.weights")
    assert (len(filled.filled), filled.missing) == (9, ())
    image = rng.uniform(0, 1, (1, 128, 128, 3)).astype(np.float32)
    np.testing.assert_allclose(own(image), theirs(image), rtol=1e-5)


@needs_cfgs
def test_an_architecture_takes_what_the_detection_section_says():
    full, tiny = (YoloV1.from_cfg(read_cfg(CFGS / f"{name}.cfg")) for name in ("yolov1", "yolov1-tiny"))
    scales = (5.0, 1.0, 0.5, 1.0)
    for architecture, boxes in ((full, 3), (tiny, 2)):
        assert (architecture.num_classes, architecture.grid_size, architecture.num_boxes) == (20, 7, boxes)
        assert (architecture.layout, architecture.activation, architecture.size_form, architecture.rescore) == (
            "darknet", "linear", "root", True,
        )  # fmt: skip
        assert (
            architecture.coord_scale,
            architecture.object_scale,
            architecture.noobject_scale,
            architecture.class_scale,
        ) == scales
        assert (architecture.stride, architecture.fixed_size, architecture.name) == (64, True, "cfg")
    assert len(full.backbone_layers(None)) == 48 and len(tiny.backbone_layers(None)) == 16


def test_what_a_detection_section_leaves_out_is_darknets_default():
    text = SMALL_CFG[: SMALL_CFG.index("sqrt=1")]
    architecture = YoloV1.from_cfg(parse_cfg(text))
    assert (architecture.size_form, architecture.rescore) == ("size", False)
    assert (
        architecture.coord_scale,
        architecture.object_scale,
        architecture.noobject_scale,
        architecture.class_scale,
    ) == (1, 1, 1, 1)


@pytest.mark.slow
def test_a_network_from_a_cfg_trains_and_detects():
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG))
    network = architecture.build_network((None, None, 3))
    assert architecture.stride == 16  # the convolution's 2 times the pooling's 8, to the map that [local] reads
    images = np.random.default_rng(0).uniform(0, 1, (2, 128, 128, 3)).astype(np.float32)
    boxes = np.float32([[[0.3, 0.3, 0.4, 0.3, 0]], [[0.7, 0.6, 0.2, 0.5, 1]]])
    optimizer, losses = keras.optimizers.Adam(3e-3), []

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            outputs = network(images, training=False)  # two images are no statistics
            terms = architecture.loss_terms(outputs, architecture.build_targets(boxes, (128, 128)), (128, 128))
            loss = sum(terms[name] for name in architecture.terms)
        variables = [variable.value for variable in network.trainable_variables]
        return loss, tape.gradient(loss, variables)

    for _ in range(60):
        loss, gradients = step()
        optimizer.apply(gradients, network.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < 0.05 * losses[0]
    found, _, class_ids, num = non_max_suppression(*architecture.decode(network(images), (128, 128)), 0.3, 0.45)
    assert np.array(num).tolist() == [1, 1] and np.array(class_ids)[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(np.array(found)[0, 0] / 128, [0.1, 0.15, 0.5, 0.45], atol=0.08)


def test_a_cfg_is_fitted_to_other_classes():
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=7)
    assert architecture.num_classes == 7
    assert architecture.build_network((None, None, 3)).output_shape == (None, 2 * 2 * (7 + 10))
    assert YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=2).cfg.text == SMALL_CFG  # the space in it too


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rescore=1", "softmax=1", "cfg:32: expected softmax=0, got 1"),
        ("rescore=1", "forced=1", "expected forced=0"),
        ("rescore=1", "random=1", "expected random=0"),
        ("coords=4\n", "", "expected coords=4, got 1"),
        ("[connected]\noutput= 48", "[convolutional]\nsize=1\nfilters=48", r"expected \[connected\] and \[detection\]"),
        ("[detection]", "[dropout]\n[detection]", r"expected \[connected\] and \[detection\]"),
    ],
)
def test_a_detection_section_that_is_not_computed_here_is_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        YoloV1.from_cfg(parse_cfg(SMALL_CFG.replace(old, new)))


def test_a_cfg_of_this_architecture_is_known_by_its_detection_section():
    assert yolov1.is_yolov1(parse_cfg(SMALL_CFG))
    assert not yolov1.is_yolov1(parse_cfg("[net]\n[convolutional]\n[yolo]\n"))


# The architecture and its metadata


@pytest.mark.parametrize(
    "architecture",
    [
        YoloV1(),
        YoloV1("yolov1-tiny", 3, 4, 1, False, 496, 0.2, "darknet", "sigmoid", "root-of-size", False, **SCALES),
    ],
)
def test_metadata_make_the_architecture_again(architecture):
    metadata = json.loads(json.dumps(architecture.metadata()))
    assert metadata["model"] == architecture.name
    assert YoloV1.from_metadata(metadata) == architecture
    assert YoloV1.from_metadata(metadata | {"class_names": ["name"] * architecture.num_classes}) == architecture


def test_metadata_of_a_cfg_hold_its_text_and_what_differs_from_it():
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=3, activation="sigmoid")
    metadata = json.loads(json.dumps(architecture.metadata()))
    again = YoloV1.from_metadata(metadata)
    assert again.metadata() == metadata
    assert (again.num_classes, again.activation, again.cfg.text) == (3, "sigmoid", architecture.cfg.text)


def test_a_converted_darknet_file_is_read_by_its_cfg_alone():
    architecture = YoloV1.from_metadata({"model": "cfg", "darknet": {"cfg": SMALL_CFG}})
    assert (architecture.num_classes, architecture.layout, architecture.size_form) == (2, "darknet", "root")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yolov1": None}, "expected 'yolov1'"),
        ({"yolov1": {"cells": 3}}, "options of this version, got cells too"),
        ({"class_names": ["one"]}, "names of 20 classes, got 1"),
    ],
)
def test_metadata_that_make_no_architecture_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        YoloV1.from_metadata(YoloV1().metadata() | change)


@pytest.mark.parametrize(
    "option",
    [
        {"name": "yolov2"},
        {"name": "cfg"},
        {"num_classes": 0},
        {"grid_size": 0},
        {"num_boxes": 0},
        {"layout": "flat"},
        {"activation": "softmax"},
        {"size_form": "log"},
        {"dense_width": -1},
        {"dropout": 1.0},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_by_name(option):
    with pytest.raises(ValueError, match=f"^{next(iter(option))}: expected"):
        YoloV1(**option)


@pytest.mark.slow
def test_a_small_network_learns_to_find_shapes():
    from yolo3.datasets.shapes import render_scene

    keras.utils.set_random_seed(0)
    architecture, shape = YoloV1("yolov1-tiny", 3, 4), (128, 128)
    scenes = [render_scene(np.random.default_rng([7, number]), 128) for number in range(4)]
    images = np.stack([scene.image[..., ::-1] for scene in scenes]).astype(np.float32) / 255
    boxes = np.zeros((4, 8, 5), np.float32)
    for rows, scene in zip(boxes, scenes, strict=True):
        corners = scene.boxes / 128
        count = len(corners)
        rows[:count, :2], rows[:count, 2:4] = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        rows[:count, 4] = scene.class_ids
    targets = architecture.build_targets(boxes, shape)
    learned = int(np.array(targets)[..., 4].sum())  # fewer than the objects where two share a cell
    network = architecture.build_network((*shape, 3))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            terms = architecture.loss_terms(network(images, training=True), targets, shape)
            loss = sum(terms[name] for name in architecture.terms)
        variables = [variable.value for variable in network.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), network.trainable_variables)
        return loss

    first = float(step())
    for _ in range(50):
        last = float(step())
    assert last < 0.05 * first
    found, _, class_ids, num = non_max_suppression(*architecture.decode(network(images), shape), 0.3, 0.45, 50)
    assert sum(map(len, (scene.boxes for scene in scenes))) >= learned >= 10
    hits = 0
    for scene, corners, ids, count in zip(scenes, np.array(found), np.array(class_ids), np.array(num), strict=True):
        for box, class_id in zip(scene.boxes, scene.class_ids, strict=True):
            sides = [((a[0] + a[2]) / 2, (a[1] + a[3]) / 2, a[2] - a[0], a[3] - a[1]) for a in (box, *corners[:count])]
            hits += any(
                own == class_id and overlap(sides[0], side) > 0.5
                for own, side in zip(ids[:count], sides[1:], strict=True)
            )
    assert hits >= learned - 1
