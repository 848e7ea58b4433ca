"""One set of figures under every Keras backend that is installed: run as a script, this file prints them as JSON."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from yolo3 import model
from yolo3.models.yolov3 import head, losses, targets
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS as ANCHORS
from yolo3.models.yolov3.scales import make_scales
from yolo3.ops import nms

SCALES = make_scales(ANCHORS)
SHAPE, CLASSES = (64, 96), 3
OTHERS = [name for name in ("tensorflow", "jax", "torch") if name != keras.backend.backend()]


def inputs():
    """Raw outputs of two scales, and true boxes (x, y, w, h, class) relative to the input; the last row is empty."""
    rng = np.random.default_rng(0)
    outputs = [rng.normal(0, 1, (2, *grid, 3 * (5 + CLASSES))).astype(np.float32) for grid in ((2, 3), (4, 6))]
    centre, size = rng.uniform(0.25, 0.75, (2, 5, 2)), rng.uniform(0.05, 0.5, (2, 5, 2))
    boxes = np.concatenate([centre, size, rng.integers(0, CLASSES, (2, 5, 1))], -1).astype(np.float32)
    boxes[:, 1, :2] = boxes[:, 0, :2]  # two boxes in one cell
    boxes[:, -1] = 0
    return outputs, boxes


def value_and_gradients(function, arrays):
    """Return ``function(tensors)`` and its gradients, by the means of the backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(array) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        return value, tape.gradient(value, tensors)
    if backend == "jax":
        import jax

        return jax.value_and_grad(function)([ops.convert_to_tensor(array) for array in arrays])
    tensors = [ops.convert_to_tensor(array).detach().requires_grad_() for array in arrays]
    value = function(tensors)
    value.backward()
    return value.detach(), [tensor.grad for tensor in tensors]


def compiled(function):
    """JAX compiles every operation by itself unless all are compiled together, which is what its users do."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def figures():
    """Return a dict of nested lists of numbers: one entry for each thing that has to agree."""
    outputs, boxes = inputs()
    y_true = compiled(lambda boxes: targets.build_targets(boxes, SHAPE, SCALES, CLASSES))(ops.convert_to_tensor(boxes))
    tensors = [ops.convert_to_tensor(output) for output in outputs]
    loss, gradients = value_and_gradients(
        compiled(lambda outputs: losses.yolo_loss([*outputs, *y_true], ANCHORS, CLASSES, ignore_thresh=0.3)), outputs
    )
    terms = compiled(lambda outputs: losses.loss_terms(outputs, y_true, SCALES, CLASSES))(tensors)
    decoded = head.yolo_head(tensors[0], ANCHORS[3:], CLASSES, SHAPE)
    eval_boxes, eval_scores, eval_classes = model.yolo_eval(
        [tensor[:1] for tensor in tensors], ANCHORS, CLASSES, (100, 200), score_threshold=0.4
    )
    some = ops.convert_to_tensor(np.stack([boxes[..., 0], boxes[..., 1], boxes[..., 0] + 0.4, boxes[..., 1] + 0.4], -1))
    suppress = compiled(lambda boxes, scores: nms.non_max_suppression(boxes, scores, 0.1, 0.5, max_boxes=6))
    kept = suppress(some, ops.convert_to_tensor(boxes[..., 2:4]))
    results = {
        "loss": loss,
        "terms": [terms[name] for name in losses.TERMS],
        "gradients": gradients,
        "targets": y_true,
        "head": decoded,
        "eval boxes": eval_boxes,
        "eval scores": eval_scores,
        "eval classes": eval_classes,
        "suppressed": kept,
    }
    return {name: keras.tree.map_structure(as_list, value) for name, value in results.items()}


def as_list(tensor):
    return ops.convert_to_numpy(tensor).tolist()


@pytest.fixture(scope="module")
def expected():
    return figures()


def assert_close(one, other, name):
    if isinstance(other, (list, tuple)):
        assert len(one) == len(other), name
        for a, b in zip(one, other, strict=True):
            assert_close(a, b, name)
    else:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHERS)
def test_figures_are_those_of_this_backend(backend, expected):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed.pop("backend") == backend
    assert printed.keys() == expected.keys()
    for name in expected:
        assert_close(printed[name], expected[name], name)


def test_the_figures_are_worth_comparing(expected):
    # Boxes were found, assigned and ignored; otherwise agreement would say little.
    assert len(expected["eval scores"]) > 3
    assert sum(np.array(y)[..., 4].sum() for y in expected["targets"]) >= 6
    assert np.isfinite(expected["loss"]) and all(np.array(gradient).any() for gradient in expected["gradients"])
    outputs, boxes = inputs()
    unignored = losses.yolo_loss([*outputs, *expected["targets"]], ANCHORS, CLASSES, ignore_thresh=1.0)
    assert float(unignored) > expected["loss"] + 0.1


if __name__ == "__main__":
    print(json.dumps({"backend": keras.backend.backend(), **figures()}))
