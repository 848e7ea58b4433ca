"""Each term by hand, Darknet's deltas, extremes, compilation."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.models.yolov1.cases import (
    BOXES,
    CLASSES,
    FLAT,
    GRID,
    SCALES,
    SHAPE,
    TWO,
    loss_and_gradient,
    one_object,
    overlap,
    random_boxes,
    random_flat,
    slow_targets,
    terms_of,
)
from yolo3.models.yolov1.codec import SIZE_FORMS
from yolo3.ops import boxes as geometry


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


def test_each_term_by_hand():
    terms = terms_of(TWO, *one_object())
    # Box 0 is .25 x .01 at the object's centre: IoU .0025 / .0625 = .04. Box 1 is .25 x .16, a quarter of a cell, .125
    # of the image, to the left: common .125 * .16 = .02, IoU .02 / (.0625 + .04 - .02) = 8 / 33. Box 1 is responsible.
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
