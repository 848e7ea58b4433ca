"""The Kubernetes manifest of docs/scale.md, whose container's command runs as two processes; programs, and bytes."""

import ast
import math
import os
import re
import shlex
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.training.test_cluster import Processes
from tests.training.test_replicas import rows_of, words_of_a_run
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.workload import Workload

PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()
(MANIFEST,) = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
(WORKER,) = MANIFEST["spec"]["tfReplicaSpecs"].values()
(CONTAINER,) = WORKER["template"]["spec"]["containers"]


def test_the_manifest_has_workers_alone_in_a_container_of_the_name_that_the_operator_asks_for():
    assert (MANIFEST["apiVersion"], MANIFEST["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert set(MANIFEST["spec"]["tfReplicaSpecs"]) == {"Worker"} and WORKER["replicas"] == 2
    assert CONTAINER["name"] == "tensorflow" and WORKER["restartPolicy"] == "OnFailure"
    volumes = {volume["name"] for volume in WORKER["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes


def test_the_programs_for_ray_are_python():
    programs = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(programs) == 2 and all("ray" in program and ast.parse(program) for program in programs)


@pytest.mark.slow
def test_the_command_of_the_manifest_begins_and_after_a_worker_died_goes_on(shapes_set, tmp_path):
    write_anchors(tmp_path / "anchors.txt", DEFAULT_TINY_ANCHORS)
    program = f"{shlex.quote(sys.executable)} -m yolo3"
    short = shlex.join(words_of_a_run(shapes_set))
    (tmp_path / "yolo3").write_text(
        f'#!/bin/sh\ncase "$*" in *--resume*) exec {program} "$@";; *) exec {program} "$@" {short};; esac\n'
    )
    (tmp_path / "yolo3").chmod(0o755)
    (tmp_path / "runs").mkdir()
    command = [*CONTAINER["command"], *(text.replace("/runs", f"{tmp_path}/runs") for text in CONTAINER["args"])]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    begun = Processes(tmp_path, [], program=command, **path)
    while not (tmp_path / "runs" / "run" / "state.npz").exists():
        assert begun.all[0].poll() is None, begun.said(0)
        time.sleep(0.1)
    begun.all[1].kill()
    assert begun.wait() == [1, -9]

    again = Processes(tmp_path, [], program=command, **path)
    assert again.wait() == [0, 0], again.said(0) + again.said(1)
    assert "Resuming" in again.said(0) and len(rows_of(tmp_path / "runs" / "run")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolov3-tiny", "yolov3"])
def test_the_bytes_that_replicas_exchange_are_those_of_the_page(model):
    architecture = Workload(model=model).architecture()
    trainer = Trainer(TrainConfig(model=model, precision="float32"), architecture, steps=100)
    gradients = sum(4 * math.prod(variable.shape) for variable in trainer.network.trainable_variables)
    norms = [layer for layer in trainer.network.layers if isinstance(layer, FusedBatchNormalization)]
    sums = sum(2 * 4 * (2 * norm.gamma.shape[0] + 1) for norm in norms)  # forward and backward: two sums and a count
    assert f"| `{model}` | {gradients:,} bytes | {sums:,} bytes | {2 * len(norms)} |" in PAGE
