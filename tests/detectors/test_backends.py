"""Twenty steps of training under every Keras backend: run as a script, this file prints losses and AP as JSON."""

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

STEPS = 20
FEW_STEPS = 10  # of the default loss, whose targets follow the boxes: rounding grows faster
SIZE = 64


def slim_detector(loss):
    """Return a tiny YOLOv3 with an eighth of its filters, whose weights are the same on every backend."""
    from yolo3.detectors.architectures import YoloV3Detector
    from yolo3.models.yolov3 import networks
    from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS

    class SlimBlocks(networks.Blocks):
        def conv_bn_leaky(self, x, filters, size, strides=1, **options):
            return super().conv_bn_leaky(x, max(filters // 8, 4), size, strides, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "Blocks", SlimBlocks)
        detector = YoloV3Detector.from_preset("yolov3-tiny", num_classes=3, anchors=DEFAULT_TINY_ANCHORS / 4, loss=loss)
    for layer in detector.layers:
        if layer.name.startswith("bn_"):
            layer.momentum = 0.5  # twenty steps are few for averages over a hundred
    rng = np.random.default_rng(0)
    for variable in detector.trainable_variables:
        if variable.name == "kernel":
            fan_in = math.prod(variable.shape[:-1])
            variable.assign(rng.normal(0, math.sqrt(2 / fan_in), variable.shape).astype(np.float32))
    return detector


def shapes():
    """Return eight rendered images and their boxes."""
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.datasets.images import read_image
    from yolo3.datasets.shapes import write_shapes

    with tempfile.TemporaryDirectory() as folder:
        path = write_shapes(Path(folder) / "shapes", num_train=8, num_val=1, image_size=SIZE, seed=3)
        annotations = read_dataset(path, list_name="train").annotations
        images = np.stack([read_image(annotation.image_path) for annotation in annotations])
    most = max(len(annotation.boxes) for annotation in annotations)
    boxes, labels = np.zeros((8, most, 4), np.float32), np.full((8, most), -1, np.int32)
    for index, annotation in enumerate(annotations):
        boxes[index, : len(annotation.boxes)] = annotation.boxes
        labels[index, : len(annotation.boxes)] = annotation.class_ids
    return images, {"boxes": boxes, "labels": labels}


def history_of(loss, steps):
    """Train with a loss, and return the columns of the history; AP after the last step."""
    import keras

    from yolo3.detectors.average_precision import AveragePrecision

    detector, (images, ground_truth) = slim_detector(loss), shapes()
    detector.compile(keras.optimizers.Adam(2e-3))
    callback = AveragePrecision((images, ground_truth), every=steps)
    return detector.fit(
        images, ground_truth, batch_size=8, epochs=steps, shuffle=False, verbose=0, callbacks=[callback]
    ).history


def figures():
    """Return the loss of each step with Darknet's loss and AP50 after the last one; and losses of the default loss."""
    from yolo3.models.yolov3.loss_options import DARKNET, LossOptions

    history, default = history_of(DARKNET, STEPS), history_of(LossOptions(), FEW_STEPS)
    terms = [sorted(history), sorted(default)]
    return {"loss": history["loss"], "AP50": history["val_AP50"], "default_loss": default["loss"], "terms": terms}


def run_under(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed.pop("backend") == backend
    return printed


@pytest.fixture(scope="module")
def expected():
    return run_under("tensorflow")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_twenty_steps_end_alike_on_every_backend(backend, expected):
    printed = run_under(backend)
    assert printed["terms"] == expected["terms"]
    assert printed["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    assert printed["default_loss"] == pytest.approx(expected["default_loss"], rel=1e-3)
    assert printed["AP50"] == pytest.approx(expected["AP50"], abs=0.02)


@pytest.mark.slow
def test_the_training_is_worth_comparing(expected):
    assert len(expected["loss"]) == STEPS and expected["loss"][-1] < expected["loss"][0] / 2
    assert expected["AP50"][0] > 0.05


if __name__ == "__main__":
    import keras

    print(json.dumps({"backend": keras.backend.backend(), **figures()}))
