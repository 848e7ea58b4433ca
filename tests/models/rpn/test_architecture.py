"""Region proposals as an architecture: network, loss, decoding, metadata; compiled and on other backends."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.cases import SHAPE, PooledBlocks, SlimBlocks, random_rows, to_rows
from yolo3.models.anchors.grid import lie_inside
from yolo3.models.anchors.targets import AnchorTargets
from yolo3.models.rpn import architecture as module
from yolo3.models.rpn.architecture import Rpn

SMALL = Rpn(strides=(16,), scales=(1.0, 2.0), width=8)


def perfect_outputs(architecture, targets: AnchorTargets, shape, strides=(16,), logit=8.0):
    """Return raw outputs that say what the targets do."""
    labels, deltas = targets.labels.numpy(), targets.deltas.numpy()
    outputs, first = [], 0
    per_cell = len(architecture.scales) * len(architecture.ratios)
    for stride in strides:
        grid = [-(-side // stride) for side in shape]
        last = first + grid[0] * grid[1] * per_cell
        outputs.append(np.where(labels[:, first:last] > 0, logit, -logit).reshape(-1, *grid, per_cell))
        outputs.append(deltas[:, first:last].reshape(-1, *grid, per_cell * 4))
        first = last
    return [tf.constant(output.astype(np.float32)) for output in outputs]


def test_the_network_has_a_head_on_its_stride_and_nothing_deeper(monkeypatch):
    monkeypatch.setattr(module, "Blocks", SlimBlocks)
    network = SMALL.build_network()
    outputs = network(np.zeros((1, 64, 96, 3), np.float32))
    assert [tuple(output.shape) for output in outputs] == [(1, 4, 6, 6), (1, 4, 6, 24)]
    names = SMALL.backbone_layers(network)
    assert names == [layer.name for layer in network.layers if layer.name.startswith(("conv_", "bn_"))]
    assert len(names) == 2 * 43  # Darknet-53 without the nine convolutions of its last stage
    assert SMALL.stride == 16


def test_a_head_on_each_of_several_strides(monkeypatch):
    monkeypatch.setattr(module, "Blocks", PooledBlocks)
    architecture = Rpn(strides=(8, 32), scales=(4.0,), width=4)
    network = architecture.build_network((64, 96, 3))
    assert [output.shape[1:] for output in network.outputs] == [(8, 12, 3), (8, 12, 12), (2, 3, 3), (2, 3, 12)]
    boxes = random_rows(2, 4)
    targets = architecture.build_targets(boxes, SHAPE)
    found, scores = architecture.decode(perfect_outputs(architecture, targets, SHAPE, (8, 32)), SHAPE)
    assert found.shape == (2, 8 * 12 * 3 + 2 * 3 * 3, 4) and scores.shape == (2, 8 * 12 * 3 + 2 * 3 * 3, 1)


def test_targets_leave_out_what_crosses_the_border_and_what_is_not_drawn():
    boxes = random_rows(2, 4)
    anchors = SMALL.all_anchors(SHAPE)
    few = Rpn(scales=(1.0, 2.0), num_samples=10)
    labels = few.build_targets(boxes, SHAPE).labels.numpy()
    assert (labels[:, ~lie_inside(anchors, SHAPE)] == -1).all()
    np.testing.assert_array_equal((labels >= 0).sum(1), [10, 10])
    assert (labels != few.build_targets(boxes, SHAPE, step=1).labels.numpy()).any()


def test_the_terms_are_means_over_the_sampled_anchors():
    rng = np.random.default_rng(0)
    boxes = random_rows(2, 4, seed=2)
    targets = SMALL.build_targets(boxes, SHAPE)
    logits = rng.normal(size=(2, 4, 6, 6)).astype(np.float32)
    deltas = rng.normal(size=(2, 4, 6, 24)).astype(np.float32)
    terms = SMALL.loss_terms([tf.constant(logits), tf.constant(deltas)], targets, SHAPE)
    labels, wanted = targets.labels.numpy(), targets.deltas.numpy()
    objectness, box = [], []
    for image in range(2):
        drawn = [n for n in range(4 * 6 * 6) if labels[image, n] >= 0]
        z, t = logits[image].reshape(-1), deltas[image].reshape(-1, 4)
        objectness.append(np.mean([math.log1p(math.exp(-z[n] if labels[image, n] else z[n])) for n in drawn]))
        errors = [abs(t[n] - wanted[image, n]) for n in drawn if labels[image, n] == 1]
        box.append(sum(np.where(e < 1 / 9, 4.5 * e * e, e - 1 / 18).sum() for e in errors) / len(drawn))
    assert float(terms["objectness"]) == pytest.approx(np.mean(objectness), rel=1e-5)
    assert float(terms["box"]) == pytest.approx(np.mean(box), rel=1e-5)
    assert tuple(terms) == SMALL.terms


@pytest.mark.parametrize("value", [0.0, 50.0, -1e4])
def test_gradients_are_finite_with_and_without_boxes(value):
    boxes = np.concatenate([random_rows(1, 3), np.zeros((1, 3, 5), np.float32)])
    outputs = [tf.fill((2, 4, 6, 6), value), tf.fill((2, 4, 6, 24), value)]
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = sum(SMALL.loss_terms(outputs, SMALL.build_targets(boxes, SHAPE), SHAPE).values())
    assert np.isfinite(float(loss))
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, outputs)]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert gradients[1][0].any() and not gradients[1][1].any()  # no box, no slope for deltas


def test_classes_do_not_matter():
    boxes = random_rows(1, 4)
    other = boxes.copy()
    other[..., 4] = 0
    outputs = [tf.zeros((1, 4, 6, 6)), tf.zeros((1, 4, 6, 24))]
    one, two = (SMALL.loss_terms(outputs, SMALL.build_targets(rows, SHAPE), SHAPE) for rows in (boxes, other))
    assert {name: float(value) for name, value in one.items()} == {name: float(value) for name, value in two.items()}


def test_outputs_equal_to_the_targets_decode_to_the_true_boxes():
    boxes = to_rows([[10, 10, 30, 40], [60, 5, 90, 30]])
    outputs = perfect_outputs(SMALL, SMALL.build_targets(boxes, SHAPE), SHAPE)
    found, scores = SMALL.decode(outputs, SHAPE)
    best = found.numpy()[0][scores.numpy()[0, :, 0] > 0.9]
    for truth in ([10, 10, 30, 40], [60, 5, 90, 30]):
        assert np.abs(best - truth).max(1).min() < 1e-2


def test_proposals_are_clipped_to_the_input():
    outputs = [tf.zeros((1, 4, 6, 6)), tf.fill((1, 4, 6, 24), 2.0)]
    found, _ = SMALL.decode(outputs, SHAPE)
    assert found.numpy().min() == 0 and found.numpy()[..., 2:].max((0, 1)).tolist() == [96, 64]


def test_metadata_rebuilds_the_architecture():
    architecture = Rpn(strides=(8, 16), scales=(2.0,), ratios=(1.0,), width=32, seed=5)
    assert Rpn.from_metadata(json.loads(json.dumps(architecture.metadata()))) == architecture
    assert (architecture.name, architecture.num_classes, architecture.fixed_size) == ("rpn", 1, False)


def test_invalid_settings_are_refused():
    with pytest.raises(ValueError, match=r"rpn: expected strides of 8, 16 and 32, got \(4,\)"):
        Rpn(strides=(4,))
    with pytest.raises(ValueError, match="negative_iou <= positive_iou"):
        Rpn(positive_iou=0.3, negative_iou=0.7)
    with pytest.raises(ValueError, match="expected an anchor that fits into the input"):
        Rpn(scales=(16.0,)).build_targets(random_rows(), SHAPE)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_network_opens_with_plain_keras(suffix, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "Blocks", PooledBlocks)
    network = SMALL.build_network()
    images = np.random.default_rng(0).uniform(size=(1, 32, 32, 3)).astype(np.float32)
    network.save(tmp_path / f"rpn{suffix}")
    opened = keras.models.load_model(tmp_path / f"rpn{suffix}")
    for before, after in zip(network(images), opened(images), strict=True):
        np.testing.assert_array_equal(before, after)


def terms_of_everything(architecture, outputs, boxes, shape):
    """Return terms of the loss, labels and decoded boxes: all that runs in a graph."""
    targets = architecture.build_targets(boxes, shape)
    return architecture.loss_terms(outputs, targets, shape), targets.labels, architecture.decode(outputs, shape)


@pytest.mark.slow
def test_compiled_and_eager_agree():
    rng = np.random.default_rng(0)
    boxes = tf.constant(random_rows(2, 40, seed=9))
    outputs = [tf.constant(rng.normal(size=(2, 4, 6, size)).astype(np.float32)) for size in (6, 24)]

    def run(outputs, boxes):
        return terms_of_everything(SMALL, outputs, boxes, SHAPE)

    expected = tf.nest.flatten(run(outputs, boxes))
    for compiled in (False, True):
        got = tf.nest.flatten(tf.function(run, jit_compile=compiled, autograph=False)(outputs, boxes))
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


OTHER_BACKEND = """
import json
import keras
import numpy as np
from tests.models.rpn.test_architecture import SHAPE, SMALL, random_rows, terms_of_everything
assert keras.backend.backend() == {backend!r}
rng = np.random.default_rng(0)
outputs = [rng.normal(size=(2, 4, 6, size)).astype("float32") for size in (6, 24)]
run = lambda outputs, boxes: terms_of_everything(SMALL, outputs, boxes, SHAPE)
if {backend!r} == "jax":
    import jax
    run = jax.jit(run)
terms, labels, _ = run([keras.ops.convert_to_tensor(o) for o in outputs], random_rows(2, 40, seed=9))
print(json.dumps([[float(terms[name]) for name in sorted(terms)], np.asarray(labels).tolist()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    rng = np.random.default_rng(0)
    outputs = [tf.constant(rng.normal(size=(2, 4, 6, size)).astype(np.float32)) for size in (6, 24)]
    terms, labels, _ = terms_of_everything(SMALL, outputs, random_rows(2, 40, seed=9), SHAPE)
    root = os.fspath(Path(__file__).parents[3])
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": root}
    code = OTHER_BACKEND.format(backend=backend)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    other_terms, other_labels = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose([float(terms[name]) for name in sorted(terms)], other_terms, rtol=1e-5)
    np.testing.assert_array_equal(labels, other_labels)
