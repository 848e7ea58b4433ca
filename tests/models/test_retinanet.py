"""RetinaNet: its pyramid by hand, shared subnets, the loss against a slow loop, and what it decodes."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.cases import SHAPE, PooledBlocks, SlimBlocks, to_rows
from yolo3.models import retinanet as module
from yolo3.models.anchors.targets import AnchorTargets
from yolo3.models.retinanet import RetinaNet, feature_pyramid
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import non_max_suppression

GRIDS = [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]  # P6 and P7 by ceil
CLASSES = 3
SMALL = RetinaNet(CLASSES, depth=2, width=8)


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Blocks", PooledBlocks)
        return SMALL.build_network()


def random_outputs(images=2, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    depths = (9 * CLASSES, 9 * 4)
    return [rng.normal(0, spread, (images, *grid, depth)).astype(np.float32) for grid in GRIDS for depth in depths]


def split_levels(array):
    """Cut [B, N, D] into the raw outputs [B, H, W, 9 * D] of the levels."""
    ends = np.cumsum([9 * height * width for height, width in GRIDS])
    parts = np.split(array, ends[:-1], 1)
    return [part.reshape(len(array), *grid, -1) for part, grid in zip(parts, GRIDS, strict=True)]


# The network


def test_the_pyramid_adds_what_lies_above_and_ends_with_strides_of_two():
    features = [keras.Input((8, 12, 1)), keras.Input((4, 6, 1)), keras.Input((2, 3, 1))]
    pyramid = keras.Model(features, feature_pyramid(features, 1, normalize=False))
    for layer in pyramid.layers:
        if layer.weights:  # every convolution hands on the middle of its window, that of P5 twice
            kernel = np.zeros(layer.kernel.shape, np.float32)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 2 if layer.name == "p5" else 1
            layer.set_weights([kernel, np.zeros(1, np.float32)])
    rng = np.random.default_rng(0)
    c3, c4, c5 = (rng.normal(size=(1, *tensor.shape[1:])).astype(np.float32) for tensor in features)
    c5[:, 0, 0] = -1  # what P7 is made of here, through ReLU
    p3, p4, p5, p6, p7 = (level.numpy() for level in pyramid([c3, c4, c5]))

    def doubled(x):
        return x.repeat(2, 1).repeat(2, 2)

    np.testing.assert_allclose(p5, 2 * c5, atol=1e-6)
    np.testing.assert_allclose(p4, c4 + doubled(c5), atol=1e-6)
    np.testing.assert_allclose(p3, c3 + doubled(c4 + doubled(c5)), atol=1e-6)
    np.testing.assert_allclose(p6, c5[:, ::2, ::2], atol=1e-6)  # of the backbone's features, not of P5
    np.testing.assert_allclose(p7, np.maximum(p6, 0)[:, ::2, ::2], atol=1e-6)


def test_outputs_are_classes_and_deltas_of_five_levels(network):
    outputs = network(np.zeros((1, *SHAPE, 3), np.float32))
    shapes = [(1, *grid, depth) for grid in GRIDS for depth in (9 * CLASSES, 36)]
    assert [tuple(output.shape) for output in outputs] == shapes
    assert SMALL.all_anchors(SHAPE).shape == (9 * sum(height * width for height, width in GRIDS), 4)


def test_all_levels_share_the_weights_of_the_subnets(network):
    names = [layer.name for layer in network.layers if layer.weights]
    pyramid = ["lateral_3", "lateral_4", "lateral_5", "p3", "p4", "p5", "p6", "p7"]
    hidden = [*pyramid, "classes_0", "classes_1", "deltas_0", "deltas_1"]
    norms = [f"{name}_norm" for name in hidden]
    assert sorted(names) == sorted([*hidden, *norms, "classes", "deltas"])
    # 3x3 convolutions of 8 channels: 2 (72 * 8 + 8), two more a channel, then 72 * 27 + 27 or 72 * 36 + 36.
    subnets = sum(network.get_layer(name).count_params() for name in names if name.startswith(("classes", "deltas")))
    assert subnets == 2 * 2 * (584 + 16) + 1971 + 2628
    network.get_layer("deltas").bias.assign(np.arange(36))
    outputs = network(np.zeros((1, *SHAPE, 3), np.float32))  # a black image: biases alone
    for output in outputs[1::2]:
        np.testing.assert_array_equal(output, np.broadcast_to(np.arange(36), output.shape))


def test_without_normalisation_the_heads_are_the_papers(monkeypatch):
    monkeypatch.setattr(module, "Blocks", PooledBlocks)
    network = RetinaNet(CLASSES, depth=1, width=8, normalize=False).build_network()
    assert not [layer for layer in network.layers if isinstance(layer, keras.layers.GroupNormalization)]


def test_every_score_starts_near_0_01(network):
    images = np.random.default_rng(0).uniform(size=(1, *SHAPE, 3)).astype(np.float32)
    _, scores = SMALL.decode(network(images), SHAPE)
    np.testing.assert_allclose(scores, 0.01, rtol=0.6)


@pytest.mark.slow
def test_the_backbone_is_darknet_53(monkeypatch):
    monkeypatch.setattr(module, "Blocks", SlimBlocks)
    network = RetinaNet(1, depth=1, width=4).build_network()
    names = SMALL.backbone_layers(network)
    assert set(names) == {f"{kind}_{index}" for kind in ("conv", "bn") for index in range(52)}


def test_a_class_for_normalisation_reaches_the_backbone(monkeypatch):
    class Norm(keras.layers.BatchNormalization):
        pass

    seen = []
    monkeypatch.setattr(module, "Blocks", lambda batch_norm: seen.append(batch_norm) or PooledBlocks(batch_norm))
    SMALL.build_network((*SHAPE, 3), Norm)
    assert seen == [Norm]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_network_opens_with_plain_keras(suffix, network, tmp_path):
    images = np.random.default_rng(0).uniform(size=(1, *SHAPE, 3)).astype(np.float32)
    network.save(tmp_path / f"retinanet{suffix}")
    opened = keras.models.load_model(tmp_path / f"retinanet{suffix}")
    for before, after in zip(network(images), opened(images), strict=True):
        np.testing.assert_array_equal(before, after)


# Anchors


def test_each_cell_has_nine_anchors_of_three_scales_and_three_ratios():
    anchors = geometry.xyxy_to_cxcywh(RetinaNet(1).all_anchors((128, 128)))
    first = anchors[:9]  # P3: centre (4, 4), sides of 32, 40.3 and 50.8
    np.testing.assert_allclose(first[:, :2], 4, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(first[:, 2] * first[:, 3]), np.repeat([32, 40.3175, 50.7968], 3), rtol=1e-5)
    np.testing.assert_allclose(first[:, 3] / first[:, 2], [0.5, 1, 2] * 3, rtol=1e-5)
    last = anchors[-9:]  # P7: one cell, sides of 512 to 813
    np.testing.assert_allclose(last[:, :2], 64, atol=1e-3)
    np.testing.assert_allclose(np.sqrt(last[:, 2] * last[:, 3]), np.repeat([512, 645.08, 812.75], 3), rtol=1e-4)
    smaller = geometry.xyxy_to_cxcywh(RetinaNet(1, anchor_scale=2.0).all_anchors((128, 128)))
    np.testing.assert_allclose(smaller[:, 2:] * 2, anchors[:, 2:], rtol=1e-4)


def test_anchors_that_cross_the_border_are_trained():
    boxes = to_rows([[0, 0, 90, 60]], [0])
    labels = SMALL.build_targets(boxes, SHAPE).labels.numpy()[0]
    anchors = SMALL.all_anchors(SHAPE)
    crossing = (geometry.clip(anchors, SHAPE) != anchors).any(1)
    assert (labels[crossing] == 1).any() and (labels[crossing] == 0).any()


# The loss


def slow_terms(outputs, targets):
    """The loss in double precision, one anchor at a time."""
    labels, deltas, class_ids = (np.asarray(part, np.float64) for part in targets)
    images = len(labels)
    logits = np.concatenate([output.reshape(images, -1, CLASSES) for output in outputs[0::2]], 1).astype(np.float64)
    raw = np.concatenate([output.reshape(images, -1, 4) for output in outputs[1::2]], 1).astype(np.float64)
    class_sum, box_sum = 0.0, 0.0
    for image in range(images):
        number = max((labels[image] == 1).sum(), 1)
        for n in np.flatnonzero(labels[image] >= 0):
            for class_id in range(CLASSES):
                p = 1 / (1 + math.exp(-logits[image, n, class_id]))
                if labels[image, n] == 1 and class_ids[image, n] == class_id:
                    class_sum += 0.25 * (1 - p) ** 2 * -math.log(p) / number / images
                else:
                    class_sum += 0.75 * p**2 * -math.log(1 - p) / number / images
            if labels[image, n] == 1:
                error = np.abs(raw[image, n] - deltas[image, n])
                box_sum += np.where(error < 1 / 9, 4.5 * error**2, error - 1 / 18).sum() / number / images
    return class_sum, box_sum


def test_the_loss_equals_the_slow_loop():
    boxes = np.concatenate([to_rows([[10, 10, 50, 60], [40, 5, 90, 30]], [2, 0]), np.zeros((1, 2, 5))])
    targets = SMALL.build_targets(boxes.astype(np.float32), SHAPE)
    assert {-1.0, 0.0, 1.0} == set(np.unique(targets.labels))
    outputs = random_outputs()
    terms = SMALL.loss_terms([tf.constant(output) for output in outputs], targets, SHAPE)
    expected = slow_terms(outputs, targets)
    assert [float(terms[name]) for name in SMALL.terms] == [pytest.approx(value, rel=1e-4) for value in expected]


def test_gradients_equal_finite_differences():
    boxes = to_rows([[10, 10, 50, 60], [40, 5, 90, 30]], [2, 0])
    targets = SMALL.build_targets(boxes, SHAPE)
    outputs = random_outputs(1, seed=3)
    tensors = [tf.constant(output) for output in outputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = sum(SMALL.loss_terms(tensors, targets, SHAPE).values())
    gradients = np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, tensors)])
    rng = np.random.default_rng(0)
    level, few = len(outputs[0].ravel()), np.flatnonzero(gradients)
    for place in [*rng.choice(few[few < level], 2), *rng.choice(few[few >= level], 4)]:
        values = []
        for step in (1e-2, -1e-2):
            flat = np.concatenate([output.ravel() for output in outputs]).astype(np.float64)
            flat[place] += step
            ends = np.cumsum([output.size for output in outputs])
            parts = [part.reshape(output.shape) for part, output in zip(np.split(flat, ends[:-1]), outputs)]
            values.append(sum(slow_terms(parts, targets)))
        assert gradients[place] == pytest.approx((values[0] - values[1]) / 0.02, rel=1e-2, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 60.0, -1e4])
def test_loss_and_gradients_are_finite_for_extreme_outputs_a_tiny_box_and_no_box(value):
    boxes = np.concatenate([to_rows([[20, 20, 21, 21]], [1]), np.zeros((1, 1, 5), np.float32)])
    outputs = [tf.fill(output.shape, np.float32(value)) for output in random_outputs()]
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = sum(SMALL.loss_terms(outputs, SMALL.build_targets(boxes, SHAPE), SHAPE).values())
    assert np.isfinite(float(loss))
    assert all(np.isfinite(gradient.numpy()).all() for gradient in tape.gradient(loss, outputs))


def test_each_image_is_divided_by_its_own_number_of_objects_so_that_batches_can_be_split():
    boxes = np.concatenate([to_rows([[10, 10, 50, 60]], [2]), to_rows([[60, 20, 80, 40]], [1])])
    outputs = random_outputs()

    def terms(images):
        some = [tf.constant(output[images]) for output in outputs]
        values = SMALL.loss_terms(some, SMALL.build_targets(boxes[images], SHAPE), SHAPE)
        return np.array([float(value) for value in values.values()])

    np.testing.assert_allclose(terms([0, 1]), (terms([0]) + terms([1])) / 2, rtol=1e-5)


# Detections


def test_outputs_equal_to_the_targets_decode_to_the_true_boxes():
    truths, class_ids = [[10, 10, 50, 60], [40, 5, 90, 30], [3, 40, 8, 47]], [2, 0, 1]
    targets = AnchorTargets(*(part.numpy() for part in SMALL.build_targets(to_rows(truths, class_ids), SHAPE)))
    wanted = (targets.labels == 1)[..., None] & (targets.class_ids[..., None] == np.arange(CLASSES))
    logits, deltas = split_levels(np.where(wanted, 6.0, -9.0)), split_levels(targets.deltas)
    outputs = [tf.constant(part.astype(np.float32)) for pair in zip(logits, deltas) for part in pair]
    boxes, scores = SMALL.decode(outputs, SHAPE)
    found, _, found_ids, number = non_max_suppression(boxes, scores, 0.5, 0.5)
    assert int(number[0]) == 3
    order = np.argsort(found_ids[0, :3].numpy())
    np.testing.assert_allclose(found[0].numpy()[order], [truths[1], truths[2], truths[0]], atol=1e-2)


def test_metadata_rebuilds_the_architecture():
    architecture = RetinaNet(2, depth=3, width=64, anchor_scale=2.5, normalize=False)
    metadata = {"class_names": ["a", "b"], **json.loads(json.dumps(architecture.metadata()))}
    assert RetinaNet.from_metadata(metadata) == architecture
    assert (architecture.name, architecture.num_classes, architecture.stride, architecture.fixed_size) == (
        "retinanet",
        2,
        32,
        False,
    )


def test_invalid_settings_are_refused():
    with pytest.raises(ValueError, match="retinanet: expected classes, depth, width and anchor_scale above 0"):
        RetinaNet(0)
    with pytest.raises(ValueError, match="anchor_scale above 0"):
        RetinaNet(1, anchor_scale=0)


@pytest.mark.slow
def test_compiled_and_eager_agree():
    boxes = tf.constant(np.concatenate([to_rows([[10, 10, 50, 60], [40, 5, 90, 30]], [2, 0])] * 2))
    outputs = [tf.constant(output) for output in random_outputs()]

    def run(outputs, boxes):
        targets = SMALL.build_targets(boxes, SHAPE)
        return SMALL.loss_terms(outputs, targets, SHAPE), targets.labels, SMALL.decode(outputs, SHAPE)

    expected = tf.nest.flatten(run(outputs, boxes))
    for compiled in (False, True):
        got = tf.nest.flatten(tf.function(run, jit_compile=compiled, autograph=False)(outputs, boxes))
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
