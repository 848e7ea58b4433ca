"""Processes that train together: what the environment says of them, and a run of two of them of which one is killed."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.training.test_replicas import ENVIRONMENT, assert_same_run, rows_of, words_of_a_run
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.cluster import Task, task_of_environment
from yolo3.training.devices import build_strategy

WORKERS = {"worker": ["a:1", "b:1"]}
SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")


@pytest.fixture
def environment(monkeypatch):
    """Function that sets variables of the environment, which has none of this kind else."""
    for name in ("TF_CONFIG", *SLURM):
        monkeypatch.delenv(name, raising=False)
    return lambda **variables: [monkeypatch.setenv(name, value) for name, value in variables.items()]


@pytest.mark.parametrize(
    "cluster, task, expected",
    [
        (WORKERS, ("worker", 0), Task(0, 2, "TF_CONFIG")),
        (WORKERS, ("worker", 1), Task(1, 2, "TF_CONFIG")),
        ({"chief": ["c:1"], **WORKERS}, ("chief", 0), Task(0, 3, "TF_CONFIG")),
        ({"chief": ["c:1"], **WORKERS}, ("worker", 1), Task(2, 3, "TF_CONFIG")),
        ({"worker": ["a:1"]}, ("worker", 0), Task()),
        ({}, ("worker", 0), Task()),
        (None, None, Task()),
    ],
)
def test_tf_config_says_which_process_this_is(environment, cluster, task, expected):
    said = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}} if task else {}
    environment(TF_CONFIG=json.dumps(said), SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="1")  # TF_CONFIG goes first
    assert task_of_environment() == expected


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cluster": 3}', '{"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}']
)
def test_a_damaged_tf_config_is_one_line(environment, text):
    environment(TF_CONFIG=text)
    with pytest.raises(ValueError, match="^TF_CONFIG: expected JSON such as .*, got "):
        task_of_environment()


def test_a_process_that_the_cluster_has_not_and_other_roles_are_refused(environment):
    environment(TF_CONFIG=json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}))
    with pytest.raises(ValueError, match="^TF_CONFIG: expected JSON"):
        task_of_environment()
    environment(TF_CONFIG=json.dumps({"cluster": WORKERS | {"ps": ["d:1"]}, "task": {"type": "worker", "index": 0}}))
    with pytest.raises(ValueError, match="expected the roles chief and worker alone, got ps too"):
        task_of_environment()


def test_slurm_s_variables_name_all_tasks_of_a_step(environment):
    assert task_of_environment() == Task()
    environment(SLURM_STEP_NUM_TASKS="1", SLURM_PROCID="0")
    assert task_of_environment() == Task()
    environment(**dict(zip(SLURM, ("2", "1", "localhost", "2"))))
    task = task_of_environment()
    assert task == Task(1, 2, "Slurm") and not task.is_first
    assert task.resolver().cluster_spec().as_dict() == {"worker": ["localhost:8888", "localhost:8889"]}


def test_parts_of_a_processor_do_not_go_with_several_processes():
    with pytest.raises(ValueError, match="devices: expected cpu, or GPUs, in each of 2 processes, got cpu:2"):
        build_strategy("cpu:2", Task(0, 2, "TF_CONFIG"))


class Processes:
    """Two processes that run a program together on this machine."""

    def __init__(self, folder, words, of_each=((), ()), program=(sys.executable, "-m", "yolo3", "train"), **variables):
        hosts = []
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                held = stack.enter_context(socket.create_server(("localhost", 0)))
                hosts.append(f"localhost:{held.getsockname()[1]}")
        self.all, self._said = [], [folder / "said0", folder / "said1"]
        for number in range(2):
            config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": number}}
            environment = ENVIRONMENT | variables | {"TF_CONFIG": json.dumps(config)}
            command = [*program, *words, *of_each[number]]
            with open(self._said[number], "w") as said:
                process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
            self.all.append(process)

    def said(self, number):
        return self._said[number].read_text()

    def wait(self):
        """Return the status of each."""
        try:
            return [process.wait(timeout=300) for process in self.all]
        finally:
            for process in self.all:
                process.kill()


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_end_in_the_run_of_one(shapes_set, tmp_path):
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    words = words_of_a_run(shapes_set)
    begun = Processes(tmp_path, [*words, "--output", "two"])
    while not (tmp_path / "two" / "log.csv").exists():
        assert begun.all[0].poll() is None, begun.said(0)
        time.sleep(0.1)
    begun.all[1].kill()
    assert begun.wait() == [1, -9]
    said = begun.said(0)
    assert said.splitlines()[-1] == (
        "yolo3 train: worker 1 of the run has ended; start all of them again with --resume two"
    )
    assert "Traceback" not in said and "on 2 devices" in said

    again = Processes(tmp_path, ["--resume", "two"])
    assert again.wait() == [0, 0], again.said(0) + again.said(1)
    assert "Resuming two after epoch" in again.said(0)
    assert "epoch" not in again.said(1) and "Done" not in again.said(1)  # the first one alone speaks

    alone = [sys.executable, "-m", "yolo3", "train", *words, "--output", "one"]
    subprocess.run(alone, cwd=tmp_path, env=dict(os.environ, **ENVIRONMENT), check=True, capture_output=True)
    assert len(rows_of(tmp_path / "two")) == 3
    assert_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_step(shapes_set, tmp_path):
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    words = [*words_of_a_run(shapes_set), "--epochs", "8", "--output", "two"]
    begun = Processes(tmp_path, words)
    while not (tmp_path / "two" / "log.csv").exists():
        assert begun.all[0].poll() is None, begun.said(0)
        time.sleep(0.1)
    begun.all[1].terminate()
    assert begun.wait() == [143, 143], begun.said(0) + begun.said(1)
    assert begun.said(0).rstrip().endswith("Stopped by SIGTERM. Continue with: yolo3 train --resume two")
    assert "Stopping after this step" in begun.said(1)
    assert 0 < len(rows_of(tmp_path / "two")) < 8

    again = Processes(tmp_path, ["--resume", "two"])
    assert again.wait() == [0, 0], again.said(0) + again.said(1)
    assert len(rows_of(tmp_path / "two")) == 8


@pytest.mark.slow
def test_processes_with_other_settings_do_not_train_together(shapes_set, tmp_path):
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    begun = Processes(tmp_path, words_of_a_run(shapes_set), [["--seed", "0"], ["--seed", "1"]])
    assert begun.wait() == [1, 1]
    for number in (0, 1):
        assert begun.said(number).splitlines()[-1] == (
            "yolo3 train: settings: expected the same in all 2 processes, got others; for runs of their own start "
            "each with TF_CONFIG={}"
        )


@pytest.mark.slow
def test_processes_divide_the_validation_images_and_have_the_figures_of_one_device(shapes_set, tmp_path):
    program = [sys.executable, "-m", "tests.training.validating", shapes_set]

    def alone(devices):
        command = [*program, devices]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT, check=True)
        return json.loads(done.stdout)

    one = alone("cpu")
    assert len(set(one["read"])) == 12 and 0.01 < one["row"]["AP"] < 0.99 and one["row"]["val_loss"] > 1
    assert alone("cpu:3") == one

    two = Processes(tmp_path, ["cpu"], program=program)
    assert two.wait() == [0, 0], two.said(0) + two.said(1)
    parts = [json.loads(two.said(number).splitlines()[-1]) for number in (0, 1)]
    assert [len(part["read"]) for part in parts] == [7, 5]  # of the batches of 5, 5 and 2 the first and the third
    assert sorted(parts[0]["read"] + parts[1]["read"]) == one["read"]
    for part in parts:  # to the last digit, in both of them
        assert part | {"read": None} == one | {"read": None}
