"""The variants of the loss: each by hand, its gradient against finite differences in double precision."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.yolov3 import targets
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.defaults import TINY_MASK
from yolo3.models.yolov3.loss_options import BOX_LOSSES, DARKNET, LossOptions, stored_options
from yolo3.models.yolov3.losses import loss_terms
from yolo3.models.yolov3.scales import make_scales
from yolo3.ops import boxes as geometry

OVERLAPS = [name for name in BOX_LOSSES if name != "xywh"]
ANCHORS = np.array([[16, 16], [30, 30]], np.float32)


def darknet_but(**options):
    """Darknet's loss with other options; an overlap has a weight of 1, so that it is seen as it is."""
    return replace(DARKNET, **options)


def one_object():
    """One cell of 32 x 32 pixels with two slots; the box (8, 8)..(24, 16) of class 1 of 2 in the first."""
    outputs, target = np.zeros((1, 1, 1, 14), np.float32), np.zeros((1, 1, 1, 2, 7), np.float32)
    target[0, 0, 0, 0] = [0.5, 0.375, 0.5, 0.25, 1, 0, 1]
    return outputs, target


def terms_of(outputs, target, **options):
    terms = loss_terms([outputs], [target], make_scales(ANCHORS, [[0, 1]]), 2, options=darknet_but(**options))
    return {name: float(value) for name, value in terms.items()}


def gradient_of(outputs, target, name, **options):
    """Derivative of one term with respect to the raw outputs."""
    outputs = tf.constant(outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        terms = loss_terms([outputs], [target], make_scales(ANCHORS, [[0, 1]]), 2, options=darknet_but(**options))
    return tape.gradient(terms[name], outputs).numpy()[0, 0, 0]


def slopes_of(function, values, step=1e-6):
    """Central differences of a function of a float64 vector."""
    moves = step * np.eye(len(values))
    return [(function(values + move) - function(values - move)) / (2 * step) for move in moves]


# Boxes


def test_each_overlap_by_hand():
    outputs, target = one_object()  # zeros decode to (8, 8)..(24, 24), which holds the object and as much again
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    diou = 1 / 2 - 4**2 / (16**2 + 16**2)
    expected = {"iou": 1 / 2, "giou": 1 / 2, "diou": diou, "ciou": diou - v * v / (1 - 1 / 2 + v)}
    for name, overlap in expected.items():
        terms = terms_of(outputs, target, box_loss=name)
        assert terms["box"] == pytest.approx(1 - overlap, rel=1e-5), name
        assert not {"xy", "wh", "xy_floor"} & set(terms)


def test_giou_sees_how_far_apart_boxes_are():
    outputs, target = one_object()
    outputs[0, 0, 0, :4] = [0, math.log(3), math.log(1 / 2), math.log(1 / 4)]  # (12, 22)..(20, 26): below the object
    hull, union = 16 * 18, 16 * 8 + 8 * 4
    assert terms_of(outputs, target, box_loss="giou")["box"] == pytest.approx(1 + (hull - union) / hull, rel=1e-5)
    assert terms_of(outputs, target, box_loss="iou")["box"] == 1


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_an_overlap_is_its_derivative(name, seed):
    outputs, target = one_object()
    raw = np.random.default_rng(seed).normal(0, 0.5, 4)
    outputs[0, 0, 0, :4] = raw
    truth = np.array([8.0, 8, 24, 16])

    def loss(z):
        centre = 32 / (1 + np.exp(-z[:2]))
        size = 16 * np.exp(z[2:])
        return 1 - getattr(geometry, name)(np.concatenate([centre - size / 2, centre + size / 2]), truth)

    gradient = gradient_of(outputs, target, "box", box_loss=name)
    np.testing.assert_allclose(gradient[:4], slopes_of(loss, raw), rtol=1e-3, atol=1e-5)
    assert not gradient[4:].any()


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("logit", [-300.0, -20, 20, 300])
def test_extreme_boxes_have_a_finite_overlap_and_gradient(name, logit):
    outputs, target = one_object()
    outputs[..., :4] = outputs[..., 7:11] = logit
    assert np.isfinite(terms_of(outputs, target, box_loss=name)["box"])
    assert np.isfinite(gradient_of(outputs, target, "box", box_loss=name)).all()


def test_the_weight_of_boxes_multiplies_them_alone():
    outputs, target = one_object()
    for name, parts in (("xywh", {"xy", "wh", "xy_floor"}), ("ciou", {"box"})):
        once, thrice = (terms_of(outputs + 0.3, target, box_loss=name, box_scale=scale) for scale in (1, 3))
        for part in once:
            assert thrice[part] == pytest.approx(once[part] * (3 if part in parts else 1), rel=1e-6), part


def test_overlaps_are_computed_in_pixels_where_the_input_is_not_square():
    target = np.zeros((1, 1, 2, 1, 6), np.float32)
    target[0, 0, 0, 0] = [0.25, 0.25, 0.25, 0.5, 1, 1]  # of 64 x 32: (8, 0)..(24, 16); zeros say (8, 8)..(24, 24)
    options = darknet_but(box_loss="diou")
    outputs = np.zeros((1, 1, 2, 6), np.float32)
    terms = loss_terms([outputs], [target], make_scales(ANCHORS[:1], [[0]]), 1, options=options)
    assert float(terms["box"]) == pytest.approx(1 - (1 / 3 - 8**2 / (16**2 + 24**2)), rel=1e-5)


# Objectness


def test_objectness_learns_the_overlap_of_its_own_box():
    outputs, target = one_object()  # zeros decode to a box whose IoU with the object is 1/2
    outputs[0, 0, 0, 4] = 0.7
    options = {"objectness_target": "iou", "objectness_scale": 3.0}
    cross_entropy = math.log(1 + math.exp(0.7)) - 0.5 * 0.7
    terms = terms_of(outputs, target, **options)
    assert terms["objectness"] == pytest.approx(3 * cross_entropy, rel=1e-5)
    assert terms["objectness_floor"] == pytest.approx(3 * math.log(2), rel=1e-5)
    gradient = gradient_of(outputs, target, "objectness", **options)
    assert gradient[4] == pytest.approx(3 * (1 / (1 + math.exp(-0.7)) - 0.5), rel=1e-5)
    assert not gradient[:4].any()  # the box does not learn to be worse

    plain = terms_of(outputs, target)
    assert "objectness_floor" not in plain
    assert terms["no_object"] == pytest.approx(3 * plain["no_object"], rel=1e-6)


def test_objectness_that_is_a_probability_already_learns_the_overlap_too():
    outputs, target = one_object()
    outputs[0, 0, 0, :7] = [0.5, 0.5, 0.5, 0.5, 0.8, 0.3, 0.3]  # (8, 8)..(24, 24) again
    scales = make_scales(ANCHORS, [[0, 1]], new_coords=[True])
    terms = loss_terms([outputs], [target], scales, 2, options=darknet_but(objectness_target="iou"))
    assert float(terms["objectness"]) == pytest.approx(0.5 * (0.5 - 0.8) ** 2, rel=1e-4)


def test_the_target_of_objectness_follows_from_the_focal_loss_where_it_is_not_given():
    assert LossOptions().learns_overlap and LossOptions(focal=("class",)).learns_overlap
    assert not LossOptions(focal=("objectness",)).learns_overlap and not DARKNET.learns_overlap
    with pytest.raises(ValueError, match="objectness_target: expected one with the focal loss of objectness, got iou"):
        LossOptions(focal=("objectness",), objectness_target="iou")


def test_the_weight_of_boxes_follows_from_their_loss_where_it_is_not_given():
    weights = {name: LossOptions(box_loss=name).box_weight for name in BOX_LOSSES}
    assert weights == {"xywh": 1, "iou": 5, "giou": 5, "diou": 5, "ciou": 5}
    assert LossOptions(box_scale=2.0).box_weight == LossOptions("xywh", 2.0).box_weight == 2


def test_options_that_an_earlier_version_stored_were_those_of_darknet():
    assert LossOptions(**stored_options({})) == DARKNET
    assert LossOptions(**stored_options({"box_loss": "ciou", "box_scale": 2.0})) == darknet_but(
        box_loss="ciou", box_scale=2.0
    )


# Focal loss


def test_the_focal_loss_of_each_part_by_hand():
    outputs, target = one_object()
    outputs[0, 0, 0, 4:7] = [math.log(4), -math.log(9), math.log(3)]  # p = .8, .1, .75
    outputs[0, 0, 0, 11] = -math.log(4)  # .2 where nothing is
    plain = terms_of(outputs, target)
    terms = terms_of(outputs, target, focal=("objectness", "class"), focal_alpha=0.3, focal_gamma=1.5)
    assert terms["objectness"] == pytest.approx(-0.3 * 0.2**1.5 * math.log(0.8), rel=1e-5)
    assert terms["no_object"] == pytest.approx(-0.7 * 0.2**1.5 * math.log(0.8), rel=1e-5)
    classes = 0.7 * 0.1**1.5 * math.log(0.9) + 0.3 * 0.25**1.5 * math.log(0.75)
    assert terms["class"] == pytest.approx(-classes, rel=1e-5)
    assert (terms["xy"], terms["wh"]) == (plain["xy"], plain["wh"])
    alone = terms_of(outputs, target, focal=("class",), focal_alpha=0.3, focal_gamma=1.5)
    assert (alone["objectness"], alone["no_object"]) == (plain["objectness"], plain["no_object"])


def test_the_gradient_of_the_focal_loss_is_its_derivative():
    outputs, target = one_object()
    logits = np.array([0.7, -0.4, 1.1])
    outputs[0, 0, 0, 4:7] = logits

    def loss(z):
        p = 1 / (1 + np.exp(-z))
        wanted = np.array([1, 0.1, 0.9])
        found, left = wanted * (1 - p) ** 2 * np.log(p), (1 - wanted) * p**2 * np.log(1 - p)
        return -(0.25 * found + 0.75 * left).sum()

    options = {"focal": ("objectness", "class"), "label_smoothing": 0.2}
    gradient = gradient_of(outputs, target, "objectness", **options) + gradient_of(outputs, target, "class", **options)
    np.testing.assert_allclose(gradient[4:7], slopes_of(loss, logits), rtol=1e-4)


# Smoothed labels


def test_smoothed_labels_by_hand():
    outputs, target = one_object()
    outputs[0, 0, 0, 5:7] = [-math.log(9), math.log(9)]  # p = .1, .9: what smoothing by .2 asks for
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    terms = terms_of(outputs, target, label_smoothing=0.2)
    assert terms["class"] == pytest.approx(2 * entropy, rel=1e-5)
    assert terms["class_floor"] == pytest.approx(2 * entropy, rel=1e-5)
    assert np.abs(gradient_of(outputs, target, "class", label_smoothing=0.2)).max() < 1e-6
    assert "class_floor" not in terms_of(outputs, target)


# Several anchors for one object


def rows_of(boxes):
    """Corner boxes in pixels of 96 x 96 with class ids, [T, 5], to rows relative to the input [1, T, 5]."""
    boxes = np.asarray(boxes, np.float32)
    return np.concatenate([geometry.xyxy_to_cxcywh(boxes[:, :4]) / 96, boxes[:, 4:]], 1)[None].astype(np.float32)


def test_other_anchors_that_fit_well_learn_the_object_too():
    anchors = np.array([[10, 10], [12, 10], [40, 10], [30, 30], [33, 30], [90, 90]], np.float32)
    box = [[40, 40, 50, 50, 1]]  # 10 x 10: IoU 1, .83 and .25 with the anchors of its own scale
    for threshold, places in ((1.0, {0}), (0.7, {0, 1}), (0.2, {0, 1, 2})):
        coarse, fine = targets.preprocess_true_boxes([box], (96, 96), anchors, 2, TINY_MASK, iou_thresh=threshold)
        assert not coarse.any()
        assert {tuple(place) for place in np.argwhere(fine[0, ..., 4])} == {(2, 2, place) for place in places}
        for place in places:
            np.testing.assert_allclose(fine[0, 2, 2, place], fine[0, 2, 2, 0])


def test_an_object_keeps_the_slot_of_its_best_anchor():
    anchors = np.array([[10, 10], [12, 10], [40, 10], [30, 30], [33, 30], [90, 90]], np.float32)
    boxes = [[40, 40, 52, 50, 0], [40, 40, 50, 50, 0]]  # the second fits the first's anchor, and stands after it
    _, fine = targets.preprocess_true_boxes([boxes], (96, 96), anchors, 1, TINY_MASK, iou_thresh=0.7)
    assert fine[0, 2, 2, 1, 2] * 96 == pytest.approx(12)
    assert fine[0, 2, 2, 0, 2] * 96 == pytest.approx(10)


@pytest.mark.parametrize("threshold", [0.2, 0.4])
def test_the_device_assigns_the_same_slots(threshold):
    rng = np.random.default_rng(4)
    corner, size = rng.uniform(0, 60, (20, 2)), rng.uniform(4, 35, (20, 2))
    boxes = np.concatenate([corner, corner + size, rng.integers(0, 3, (20, 1))], 1).astype(np.float32)
    boxes[7] = 0
    slots = ((96, 96), DEFAULT_TINY_ANCHORS, 3, TINY_MASK)
    expected = targets.preprocess_true_boxes([boxes], *slots, iou_thresh=threshold)
    plain = targets.preprocess_true_boxes([boxes], *slots)
    scales = make_scales(DEFAULT_TINY_ANCHORS, TINY_MASK)
    device = targets.build_targets(rows_of(boxes), (96, 96), scales, 3, iou_thresh=threshold)
    for one, other in zip(device, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, atol=1e-6)
    assert sum(y[..., 4].sum() for y in expected) > sum(y[..., 4].sum() for y in plain)


# The architecture and the record


def test_an_architecture_computes_the_loss_that_it_was_given():
    options = LossOptions("giou", 2.0, focal=("class",), label_smoothing=0.1, iou_thresh=0.1)
    architecture = YoloV3.from_name("yolov3-tiny", 2, anchors=DEFAULT_TINY_ANCHORS, loss=options)
    assert architecture.terms == ("box", "objectness", "no_object", "class")
    boxes = rows_of([[10, 10, 60, 40, 1]])
    assigned = architecture.build_targets(boxes, (96, 96))
    plain = YoloV3.from_name("yolov3-tiny", 2, anchors=DEFAULT_TINY_ANCHORS).build_targets(boxes, (96, 96))
    assert sum(float(tf.reduce_sum(y[..., 4])) for y in assigned[0]) > sum(
        float(tf.reduce_sum(y[..., 4])) for y in plain[0]
    )
    outputs = [tf.zeros((1, 3, 3, 21)), tf.zeros((1, 6, 6, 21))]
    terms = architecture.loss_terms(outputs, assigned, (96, 96))
    assert all(float(terms[name]) > 0 for name in architecture.terms)


@pytest.mark.parametrize(
    "option",
    [
        {"box_loss": "eiou"},
        {"box_scale": 0},
        {"objectness_target": "half"},
        {"focal": ("xy",)},
        {"focal_alpha": 1},
        {"focal_gamma": -1},
        {"label_smoothing": 1},
        {"iou_thresh": 1.5},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_invalid_option_is_refused_by_name(option):
    (name,) = option
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, got "):
        LossOptions(**option)
