"""A training command that a signal stops: what it says, its status, and how it goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.run_folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals"),
]


@pytest.fixture
def command(shapes_set, tmp_path):
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    options = f"--data {shapes_set} --anchors anchors.txt --input-size 64 64 --batch-size 2 --epochs 400 --mosaic 0"
    return [sys.executable, "-m", "yolo3", "train", *options.split(), "--precision", "float32", "--output", "run"]


def heed():
    """Take the signals that nohup, or a shell in the background, has its children ignore."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(command, folder):
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed,
    )


def wait_for(condition, child):
    while not condition():
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)


def test_a_scheduler_s_signal_saves_the_state_and_the_run_goes_on(command, tmp_path):
    child = start(command, tmp_path)
    wait_for((tmp_path / "run" / "log.csv").exists, child)
    time.sleep(1)
    asked = time.monotonic()
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate()
    assert child.returncode == 143 and time.monotonic() - asked < 10
    assert "Stopped by SIGTERM. Continue with: yolo3 train --resume run" in out and "Traceback" not in err
    progress = RunFolder(tmp_path / "run").load_state()[1]

    again = start([*command[:4], "--resume", "run"], tmp_path)
    rows = len((tmp_path / "run" / "log.csv").read_text().splitlines())
    wait_for(lambda: len((tmp_path / "run" / "log.csv").read_text().splitlines()) > rows, again)
    again.send_signal(signal.SIGHUP)
    out, _ = again.communicate()
    assert again.returncode == 129
    batches = progress["progress"]["batches"]
    place = f"batch {batches} of 6 in epoch {progress['epoch'] + 1}" if batches else f"epoch {progress['epoch']}"
    assert f"Resuming run after {place} of 400" in out


def test_ctrl_c_before_the_first_step_advises_nothing_that_fails(command, tmp_path):
    child = start(command, tmp_path)
    wait_for(lambda: (tmp_path / "run").exists() or "Using" in child.stdout.readline(), child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert child.returncode == 130 and "Traceback" not in err
    assert "--resume" not in out or (tmp_path / "run" / "state.npz").exists()
