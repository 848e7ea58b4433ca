"""Several devices train as one does: steps, whole runs, resumed runs. Processors take the place of GPUs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.replicas import CASES
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.run_folder import RunFolder

pytestmark = pytest.mark.slow
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
STOPPED = ("-c", """
import sys
import keras
from yolo3.cli.train import build_parser
from yolo3.training.whole_run import run_training

class AfterTwo(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1

run_training(vars(build_parser().parse_args()), callbacks=[AfterTwo()])
""")  # fmt: skip


def test_two_replicas_differ_from_one_device_as_rounding_does():
    command = [sys.executable, "-m", "tests.training.replicas"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=900)
    assert done.returncode == 0, done.stderr
    found = {row.pop("case"): row for row in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == CASES.keys()
    for name, row in found.items():
        for part, apart in row["apart"].items():
            assert apart <= max(1e-6, 20 * row["rounding"][part]), (name, part)
    # Where nothing amplifies rounding, the learned weights are the same to a millionth.
    assert all(found[name]["apart"]["learned"] < 1e-6 for name in CASES if "sgd" in name or "darknet" in name)


def test_moving_averages_of_statistics_of_each_replica_are_their_mean_in_both():
    command = [sys.executable, "-m", "tests.training.own_statistics"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, done.stderr
    *both_passes, whole = map(json.loads, done.stdout.splitlines())
    assert len(both_passes) == 2  # a step, and the pass that estimates the statistics of averaged weights
    for found in both_passes:
        assert found["replicas apart"] == 0 and found["parts apart"] > 0.1
        assert found["from the mean of both parts"] < 1e-6
    assert whole["from the statistics of the whole batch"] > 0.01


def words_of_a_run(data):
    """Options of a short run, whose weights depend little on rounding."""
    words = f"--data {data} --anchors anchors.txt --input-size 64 64 --batch-size 5 --epochs 3 --precision float32"
    return f"{words} --optimizer sgd --learning-rate 0.0001 --evaluate-every 1 --mosaic 0.5".split()


@pytest.fixture
def train(shapes_set, tmp_path):
    """Function that runs the command in a process of its own, and returns its output."""
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    new = words_of_a_run(shapes_set)

    def run(*words, status=0, program=("-m", "yolo3", "train")):
        command = [sys.executable, *program, *([] if "--resume" in words else new), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def arrays_of(folder):
    return RunFolder(folder).load_state()[0]


def rows_of(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_run(ours, theirs):
    for one, other in zip(arrays_of(ours), arrays_of(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)
    for one, other in zip(rows_of(ours), rows_of(theirs), strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-4)
        assert float(one["val_loss"]) == pytest.approx(float(other["val_loss"]), rel=1e-4)


def test_a_run_is_the_same_on_three_devices_and_goes_on_with_another_number(train, tmp_path):
    assert "devices" not in train("--devices", "cpu", "--output", "one")
    assert "float32 on 3 devices" in train("--devices", "cpu:3", "--output", "three")  # batches of 1, 2 and 2 images
    assert_same_run(tmp_path / "three", tmp_path / "one")

    train("--devices", "cpu:2", "--output", "part", program=STOPPED)
    assert len(rows_of(tmp_path / "part")) == 2
    assert "after epoch 2 of 3" in train("--resume", "part", "--devices", "cpu")
    assert_same_run(tmp_path / "part", tmp_path / "one")


def test_fewer_images_than_devices_is_one_line(train):
    said = train("--devices", "cpu:7", "--output", "run", status=1)
    assert "batch_size: expected an image or more for each of 7 devices, got 5 in all" in said
    assert "Traceback" not in said
