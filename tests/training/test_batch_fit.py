"""The batch size that memory holds: which sizes are tried, what stays the same, trials in processes that run short."""

import dataclasses
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.training.runs import run
from yolo3.api.train import train
from yolo3.input.settings import Augmentation
from yolo3.models.registry import named_architecture
from yolo3.training import batch_fit
from yolo3.training.batch_fit import batch_sizes, fit_batch_size, largest_size, most_boxes
from yolo3.training.batch_trial import Trial, shortage
from yolo3.training.recipes import config_from
from yolo3.training.run_folder import read_settings
from yolo3.training.settings import TrainConfig
from yolo3.training.stopping import Stopped, StopRequest


def prepared_with(num_images, boxes=3):
    train = [SimpleNamespace(boxes=[None] * boxes)] * num_images
    return SimpleNamespace(train=train, class_names=["a", "b"], architecture=named_architecture("yolov3-tiny", 2))


def fitted(config, largest, num_images=100):
    """Settings fitted to a memory that holds steps of up to `largest` images; the trials; what was said."""
    trials, said = [], []

    def shortage_of(trial):
        trials.append(trial)
        return "it takes more than 1.0 GB" if trial.config.batch_size > largest else ""

    return fit_batch_size(config, prepared_with(num_images), say=said.append, shortage_of=shortage_of), trials, said


@pytest.mark.parametrize(
    "per_update, sizes", [(8, [8, 4, 2, 1]), (12, [12, 6, 3, 1]), (1, [1]), (15, [15, 5, 1]), (7, [7, 1])]
)
def test_sizes_are_halved_and_divide_the_images_of_an_update(per_update, sizes):
    assert batch_sizes(per_update) == sizes


def test_the_largest_size_that_memory_holds_is_taken_and_an_update_keeps_its_images():
    config, trials, said = fitted(TrainConfig(batch_size=16, fit_batch=True), 5)
    assert (config.batch_size, config.accumulate, config.fit_batch) == (4, 4, False)
    assert [(trial.config.batch_size, trial.config.accumulate) for trial in trials] == [(16, 1), (8, 2), (4, 4)]
    assert said == [
        "Batch size 4, 4 steps for each update of 16 images: memory holds no step of 16 and 8 (it takes more than "
        "1.0 GB)."
    ]


def test_what_memory_holds_at_once_is_not_accumulated():
    config, _, said = fitted(TrainConfig(batch_size=4, accumulate=4, fit_batch=True), 64)
    assert (config.batch_size, config.accumulate) == (16, 1)
    assert said == ["Batch size 16: memory holds a training step of them."]


def test_a_step_is_tried_with_no_more_images_than_there_are():
    config, trials, _ = fitted(TrainConfig(batch_size=64, fit_batch=True), 6, num_images=12)
    assert [trial.config.batch_size for trial in trials] == [12, 6] and (config.batch_size, config.accumulate) == (6, 2)


def test_memory_without_room_for_one_image_is_one_line_with_the_reason():
    with pytest.raises(ValueError, match="a step of one image of 416x416, got too little .it takes more than 1.0 GB."):
        fitted(TrainConfig(batch_size=4, fit_batch=True), 0)


def test_the_largest_input_and_the_fullest_mosaic_are_tried():
    config = TrainConfig(input_size=(320, 416), multi_scale=(0.75, 1.1))
    assert largest_size(config, 32) == (352, 448)  # 352 and 457.6, in multiples of 32
    assert largest_size(dataclasses.replace(config, multi_scale=(0.5,)), 32) == (320, 416)
    plain = dataclasses.replace(config, augment=Augmentation(mosaic=0.0))
    assert [most_boxes(some, prepared_with(2, boxes=5)) for some in (config, plain)] == [20, 5]


def test_the_word_keeps_the_images_of_an_update_that_a_recipe_asks_for():
    assert (config_from({"data": "d", "batch_size": "auto"}).batch_size, TrainConfig.batch_size) == (8, 8)
    config = config_from({"model": "yolov1-tiny", "batch_size": "auto"})  # whose recipe has 16
    assert (config.batch_size, config.fit_batch) == (16, True)


def test_a_run_keeps_the_size_that_was_found_and_is_resumed_with_it(
    settings, slim_tiny, eagerly, undrawn, tmp_path, monkeypatch
):
    tried = []

    def of_two_images(trial, check):
        tried.append(trial.config.batch_size)
        return "it fails" if trial.config.batch_size > 2 else ""

    monkeypatch.setattr(batch_fit, "shortage", of_two_images)
    config = dataclasses.replace(settings, batch_size=4, fit_batch=True, epochs=1)
    _, said = run(config, tmp_path / "run")
    assert tried == [4, 2] and said[0].startswith("Batch size 2, 2 steps for each update of 4 images")
    kept = read_settings(tmp_path / "run")
    assert (kept.batch_size, kept.accumulate, kept.fit_batch) == (2, 2, False)
    run(kept, tmp_path / "run", resume=True)
    assert tried == [4, 2]


def test_the_word_is_taken_from_python(monkeypatch, tmp_path, shapes_set, slim_tiny, eagerly, undrawn):
    monkeypatch.setattr(batch_fit, "shortage", lambda trial, check: "")
    size = {"input_size": (64, 64), "epochs": 1, "pretrained": "none", "verbose": False}
    result = train(shapes_set, batch_size="auto", output=tmp_path / "run", **size)
    assert json.loads((result.path / "settings.json").read_text())["batch_size"] == 8
    with pytest.raises(ValueError, match="batch_size: expected a whole number, got 'most'"):
        train(shapes_set, batch_size="most", output=tmp_path / "other", **size)


# Trials in processes of their own


def small_trial(**changes):
    config = TrainConfig(batch_size=2, input_size=(64, 64), precision="float32")
    return dataclasses.replace(Trial(config, named_architecture("yolov3-tiny", 2), (64, 64), 2, 5), **changes)


def test_a_process_that_takes_more_than_it_may_is_ended():
    assert shortage(small_trial(), room=50_000_000) == "it takes more than 0.1 GB"


def test_a_stop_ends_the_trial_at_once():
    stop = StopRequest()
    stop.number = 15
    with pytest.raises(Stopped):
        shortage(small_trial(), check=stop.check)


@pytest.mark.slow
def test_a_step_is_run_in_a_process_of_its_own_whose_failure_has_a_reason():
    assert shortage(small_trial()) == ""
    large = dataclasses.replace(small_trial().config, batch_size=10**6)
    assert shortage(small_trial(config=large, address_space=8 << 30)) != ""


@pytest.mark.slow
def test_a_run_under_a_limit_of_the_address_space_takes_what_fits(shapes_set, tmp_path):
    words = f"--data {shapes_set} --train-list train --input-size 256 256 --epochs 1 --pretrained none --cache none"
    script = f"ulimit -v {7 << 20}; exec {sys.executable} train.py {words} --precision float32 --mosaic 0"
    own = {"cwd": os.getcwd(), "capture_output": True, "text": True, "timeout": 500}
    done = subprocess.run(["bash", "-c", f"{script} --batch-size auto --accumulate 32 --output {tmp_path}/run"], **own)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Batch size")]
    kept = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert kept["batch_size"] * kept["accumulate"] == 8 * 32 and "no step of 256" in line
