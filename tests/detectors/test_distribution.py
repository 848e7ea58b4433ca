"""Detectors on several devices: run as a script under JAX, this file prints the losses on one device and on two."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.detectors.test_backends import shapes, slim_detector
from yolo3.models.yolov3.loss_options import LossOptions

STEPS = 3


def losses():
    """Return the loss of each of three steps."""
    detector, (images, ground_truth) = slim_detector(LossOptions()), shapes()
    detector.compile("adam")
    return detector.fit(images, ground_truth, batch_size=8, epochs=STEPS, shuffle=False, verbose=0).history["loss"]


@pytest.mark.slow
def test_two_devices_of_jax_train_as_one_does():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["devices"] == 2
    assert printed["two"] == pytest.approx(printed["one"], rel=1e-4)


@pytest.mark.slow
def test_replicas_of_tensorflow_train_as_one_does():
    tf = pytest.importorskip("tensorflow")
    one = losses()
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert losses() == pytest.approx(one, rel=1e-4)


if __name__ == "__main__":
    import keras

    one = losses()
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    print(json.dumps({"devices": len(keras.distribution.list_devices()), "one": one, "two": losses()}))
