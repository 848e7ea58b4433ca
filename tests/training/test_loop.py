"""Runs: the files they write, stopped and resumed, repeated, stopped by non-finite values or by a callback.

The network is the tiny one with an eighth of its filters, and the steps run eagerly. test_checkpoint.py and
tests/cli/test_train.py run compiled steps.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.runs import (
    Ask,
    InterruptAt,
    Interrupted,
    Kernels,
    Poison,
    StopAfter,
    one_batch,
    rows_of,
    run,
    same,
    state_of,
    untimed_rows_of,
)
from yolo3.cli.evaluate import main as evaluate
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.image_size import shape_of
from yolo3.inference.loading import load_detector
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, read_anchors
from yolo3.training import loop
from yolo3.training import run as run_module
from yolo3.training.preparation import prepare
from yolo3.training.run_folder import RunFolder, read_settings
from yolo3.training.step_terms import NotFiniteError
from yolo3.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.usefixtures("undrawn")
FILES = {
    "best.h5", "last.h5", "log.csv", "curves.png", "predictions.png", "settings.json", "classes.txt", "anchors.txt",
    "state.npz", "data.json", "timing.json", "train.txt", "val.txt", "findings.txt", "precision_recall.png",
    "confusion.png", "report.html",
}  # fmt: skip


# A whole run


@pytest.fixture(scope="module")
def whole(settings, slim_tiny, eagerly, tmp_path_factory):
    """Folder, result and words of a run of three epochs, averages included, whose curves are drawn after the last."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    curves = loop.write_curves
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "write_curves", lambda run: curves(run) if _rows(run.file("log.csv")) == 3 else None)
        return str(folder), *run(settings, folder)


def _rows(log):
    return len(Path(log).read_text().splitlines()) - 1


def test_a_run_leaves_all_its_files_and_no_other(whole):
    assert set(os.listdir(whole[0])) == FILES
    for name in ("curves.png", "predictions.png"):
        assert min(cv2.imread(os.path.join(whole[0], name)).shape[:2]) > 100


def test_a_run_records_where_its_time_went(whole):
    folder, result, _ = whole
    kept = json.loads(Path(folder, "timing.json").read_text())
    assert kept["seconds"] == {name: round(value, 3) for name, value in result.seconds.items()}
    assert kept["total"] == pytest.approx(sum(kept["seconds"].values()), abs=0.01)
    assert all(
        kept["seconds"][name] > 0 for name in ("building", "steps", "waiting", "evaluation", "saving", "drawing")
    )


def test_a_run_records_its_settings_and_data(whole, settings):
    folder = whole[0]
    assert read_settings(folder) == settings
    assert read_class_names(os.path.join(folder, "classes.txt")) == ["circle", "square", "triangle"]
    np.testing.assert_array_equal(read_anchors(os.path.join(folder, "anchors.txt")), DEFAULT_TINY_ANCHORS)


def test_the_log_has_a_row_for_each_epoch_with_all_that_is_measured(whole):
    rows = rows_of(whole[0])
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    parts = ("box", "objectness", "no_object", "class")
    for row in rows:
        for prefix in ("", "val_"):
            values = [float(row[prefix + name]) for name in parts]
            assert np.isfinite(values).all()
            assert float(row[prefix + "loss"]) == pytest.approx(sum(values), rel=1e-6)
        assert 0 <= float(row["AP"]) <= float(row["AP50"]) <= 1
        assert float(row["images_per_second"]) > 0 and 0 <= float(row["data_wait"]) <= 1
    # Nine steps, no warm-up (a twentieth of nine is none); the last, step 8: .02 + .98 (1 + cos(8 pi / 9)) / 2 = .04955
    assert float(rows[2]["learning_rate"]) == pytest.approx(0.04955e-3, rel=1e-3)


def test_each_epoch_trains_anew(whole):
    losses = [row["loss"] for row in rows_of(whole[0])]
    assert len(set(losses)) == len(losses) == 3


def test_the_weights_describe_themselves(whole, settings):
    for name in ("best.h5", "last.h5"):
        metadata = read_metadata(os.path.join(whole[0], name))
        assert metadata["class_names"] == ["circle", "square", "triangle"]
        np.testing.assert_array_equal(metadata["anchors"], DEFAULT_TINY_ANCHORS)
        assert metadata["anchor_mask"] == [[3, 4, 5], [0, 1, 2]]
        assert metadata["input_shape"] == [64, 64] and metadata["resize"] == "letterbox"
        assert metadata["model"] == "yolov3-tiny"
        assert metadata["training"]["settings"]["seed"] == 1
    assert metadata["training"]["epoch"] == 3


@pytest.mark.slow
def test_the_weights_open_with_keras_alone_and_are_the_averages(whole):
    model = keras.models.load_model(os.path.join(whole[0], "last.h5"), compile=False)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    # The state begins with the network's own weights; the saved ones are their averages.
    kernel, own = model.get_layer("conv_0").get_weights()[0], state_of(whole[0])[0]
    assert kernel.shape == own.shape and not np.array_equal(kernel, own)
    np.testing.assert_allclose(kernel, own, atol=0.02)


def test_the_best_weights_are_those_of_the_best_epoch(whole):
    values = [float(row["AP"]) for row in rows_of(whole[0])]
    best = read_metadata(os.path.join(whole[0], "best.h5"))["training"]
    assert best["AP"] == pytest.approx(max(values)) and values[best["epoch"] - 1] == max(values)
    assert whole[1].AP == max(values) and whole[1].best_row["epoch"] == best["epoch"]
    assert whole[1].last_row["epoch"] == 3
    page = Path(whole[0], "report.html").read_text()
    assert f"best.h5: epoch {best['epoch']}, whose AP on these images is the highest" in page


class Shows:
    """In place of what evaluates, draws and writes in a run: scores as they are told, and what was made of them."""

    def __init__(self, monkeypatch, scores):
        self.scores, self.drawn, self.reported, self.weights = list(scores), [], [], {}
        monkeypatch.setattr(run_module.Validator, "run", lambda *given: self.evaluate(*given))
        monkeypatch.setattr(loop, "write_images", lambda *_, **given: self.drawn.append(given["epoch"]))
        monkeypatch.setattr(loop, "write_run_report", self.report)

    def evaluate(self, validator, on_batch=lambda: None):
        on_batch()
        weights = [array.copy() for array in validator.trainer.inference_network.get_weights()]
        ap50, ap = self.scores.pop(0)
        return {"val_loss": 1.0, "AP50": ap50, "AP": ap}, [(ap, weights)], SimpleNamespace()

    def report(self, folder, *_, detections, epoch, **__):
        folder.file("report.html").write_text("the page")
        [(ap, self.weights)] = detections
        self.reported.append((epoch, ap))


def test_ap_decides_which_weights_are_kept_drawn_and_reported(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    shows = Shows(monkeypatch, [(0.5, 0.0), (0.9, 0.2), (0.7, 0.4), (0.95, 0.3)])
    result, _ = run(one_batch(settings, epochs=4), tmp_path / "run")
    assert read_metadata(result.weights)["training"]["epoch"] == 3
    assert (result.AP50, result.AP, result.last_row["AP"]) == (0.7, 0.4, 0.3)
    assert shows.drawn == [1, 2, 3] and shows.reported == [(3, 0.4)]
    assert "(epoch 3, highest AP)" in repr(result)


@pytest.mark.slow
def test_a_resumed_run_reports_the_best_weights_of_before(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    shows = Shows(monkeypatch, [(0.9, 0.4), (0.7, 0.2), (0.8, 0.3), (0.9, 0.4)])
    config = one_batch(settings, epochs=3)
    run(config, tmp_path / "run", callbacks=[StopAfter(1)])
    assert shows.reported == [(1, 0.4)]
    result, _ = run(config, tmp_path / "run", resume=True)  # the last of the scores is that of best.h5, evaluated again
    assert shows.reported[1:] == [(1, 0.4)] and shows.drawn == [1, 1]
    assert result.AP == 0.4 and result.best_row["epoch"] == 1
    best = keras.models.load_model(result.weights, compile=False)
    assert {array.tobytes() for array in shows.weights} == {array.tobytes() for array in best.get_weights()}


@pytest.mark.slow
def test_a_run_of_a_version_that_chose_by_ap50_goes_on_by_ap(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    shows = Shows(monkeypatch, [(0.9, 0.2), (0.7, 0.3), (0.6, 0.1), (0.8, 0.25)])
    config = one_batch(settings, epochs=4)
    run(config, tmp_path / "run", callbacks=[StopAfter(2)])
    folder = RunFolder(tmp_path / "run")
    arrays, progress = folder.load_state()
    del progress["best_epoch"]
    folder.save_state(arrays, progress | {"best_ap50": 0.9})  # best.h5 of epoch 1, as that version kept it
    result, _ = run(config, tmp_path / "run", resume=True)
    assert result.best_row["epoch"] == 4 and shows.reported[-1] == (4, 0.25)


def test_a_run_prints_what_it_does(whole):
    said = whole[2]
    assert "yolov3-tiny" in said[0] and "3 classes" in said[0] and "3 epochs of 3 batches of 4" in said[0]
    assert sum(line.startswith("epoch ") for line in said) == 3
    assert all("waiting for data" in line and "AP50" in line for line in said if line.startswith("epoch "))


# AP that stands


STANDING = [(0.5, 0.1), (0.6, 0.3), (0.9, 0.3), (0.9, 0.2), (0.9, 0.25), (0.9, 0.9)]


def test_a_run_whose_ap_stands_ends_in_good_order(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    shows = Shows(monkeypatch, STANDING)
    result, said = run(one_batch(settings, epochs=9, patience=2), tmp_path / "run")
    # The highest AP comes twice; the later weights are kept, and two evaluations after the first of both are enough.
    assert "AP has not risen in 2 evaluations; ended after epoch 4 of 9." in said
    assert result.last_row["epoch"] == 4 and result.best_row["epoch"] == 3 and shows.reported == [(3, 0.3)]
    assert read_metadata(result.weights)["training"]["epoch"] == 3 and result.last_weights.exists()
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 4

    again, said = run(read_settings(tmp_path / "run"), tmp_path / "run", resume=True)
    assert again.last_row["epoch"] == 4 and not any(line.startswith("epoch ") for line in said)


def test_without_patience_all_epochs_are_trained(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    Shows(monkeypatch, STANDING)
    assert run(one_batch(settings, epochs=6), tmp_path / "run")[0].last_row["epoch"] == 6


@pytest.mark.slow
def test_patience_counts_on_in_a_resumed_run(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    shows = Shows(monkeypatch, [*STANDING[:3], (0.9, 0.2), (0.6, 0.3)])
    config = one_batch(settings, epochs=9, patience=2)
    with pytest.raises(Stopped):
        stop = StopRequest()
        run(config, tmp_path / "run", callbacks=[Ask(stop, 3, 0)], stop=stop)  # after the third evaluation
    result, _ = run(read_settings(tmp_path / "run"), tmp_path / "run", resume=True)
    assert result.last_row["epoch"] == 4 and shows.reported == [(3, 0.3)]


@pytest.mark.slow
def test_evaluations_with_the_backbone_frozen_do_not_count(settings, slim_tiny, eagerly, tmp_path, monkeypatch, whole):
    Shows(monkeypatch, [(0.5, 0.3), (0.5, 0.2), (0.5, 0.1), (0.5, 0.15), (0.5, 0.1)])
    config = one_batch(settings, epochs=5, patience=1, weights=os.path.join(whole[0], "last.h5"), freeze_epochs=2)
    result, _ = run(config, tmp_path / "run")
    assert result.last_row["epoch"] == 5


# Interrupted, repeated


@pytest.mark.slow
def test_an_interrupted_and_resumed_run_equals_the_uninterrupted_one_bit_for_bit(whole, settings, tmp_path):
    with pytest.raises(Interrupted):
        run(settings, tmp_path / "run", callbacks=[InterruptAt(1)])
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 1
    result, said = run(read_settings(tmp_path / "run"), tmp_path / "run", resume=True)
    assert "after epoch 1 of 3" in said[0]
    assert same(state_of(tmp_path / "run"), state_of(whole[0]))
    for name in ("best.h5", "last.h5"):
        files = [os.path.join(folder, name) for folder in (tmp_path / "run", whole[0])]
        assert same(*(keras.models.load_model(file, compile=False).get_weights() for file in files))
    assert untimed_rows_of(tmp_path / "run") == untimed_rows_of(whole[0])
    assert result.best_row["epoch"] == whole[1].best_row["epoch"] and result.AP == whole[1].AP


@pytest.mark.slow
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_a_run_that_is_asked_to_stop_is_resumed_from_the_middle_of_the_epoch_bit_for_bit(
    batch, whole, settings, tmp_path
):
    stop = StopRequest()
    with pytest.raises(Stopped) as stopped:
        run(settings, tmp_path / "run", callbacks=[Ask(stop, 1, batch)], stop=stop)
    assert stopped.value.status == 143
    progress = RunFolder(tmp_path / "run").load_state()[1]
    assert (progress["epoch"], progress["progress"]["batches"]) == (1, batch + 1)
    _, said = run(read_settings(tmp_path / "run"), tmp_path / "run", resume=True)
    assert f"after batch {batch + 1} of 3 in epoch 2 of 3" in said[0]
    assert same(state_of(tmp_path / "run"), state_of(whole[0]))
    assert untimed_rows_of(tmp_path / "run") == untimed_rows_of(whole[0])


@pytest.mark.slow
def test_the_state_is_saved_within_an_epoch_after_some_minutes(settings, slim_tiny, eagerly, tmp_path):
    config = dataclasses.replace(settings, epochs=1, save_minutes=1e-9)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", callbacks=[InterruptAt(0)])
    assert RunFolder(tmp_path / "run").load_state()[1]["progress"]["batches"] == 1  # killed in the second


def test_a_disk_without_room_for_all_that_is_written_stops_the_run_before_its_first_step(
    settings, slim_tiny, eagerly, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=25_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"run: expected room for \d+ MB of state, weights and images, got 25 MB"):
        run(one_batch(settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_resumed_without_a_step(whole, settings):
    before = state_of(whole[0])
    result, said = run(settings, whole[0], resume=True)
    assert same(state_of(whole[0]), before)
    assert result.last_row["epoch"] == 3 and result.best_row == whole[1].best_row


@pytest.mark.slow
def test_another_seed_gives_other_weights(settings, slim_tiny, eagerly, tmp_path):
    for name, seed in (("first", 1), ("other", 2)):  # the same seed gives the same: the test before
        run(one_batch(settings, seed=seed, val_split=0.0, train_list="train"), tmp_path / name)
    assert not same(state_of(tmp_path / "first"), state_of(tmp_path / "other"))


# What is not finite


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_with_the_images_and_keeps_the_last_good_files(
    settings, slim_tiny, eagerly, tmp_path
):
    config = dataclasses.replace(settings, epochs=2)
    prepared = prepare(config)
    kept = {}

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.update({name: (tmp_path / "run" / name).read_bytes() for name in ("last.h5", "best.h5", "state.npz")})

    with pytest.raises(NotFiniteError) as caught:
        run(config, tmp_path / "run", callbacks=[Keep(), Poison(1, 0)], prepared=prepared)
    message = str(caught.value)
    assert "step 5" in message  # three steps in the first epoch, then the one that spoils and the one that tells
    named = [item.image_path for item in prepared.train if item.image_path in message]
    assert len(named) == 4
    for name, content in kept.items():
        assert (tmp_path / "run" / name).read_bytes() == content
    assert len(rows_of(tmp_path / "run")) == 1


@pytest.mark.slow
def test_weights_corrupted_by_the_last_step_of_an_epoch_are_not_written(settings, slim_tiny, eagerly, tmp_path):
    config = one_batch(settings, epochs=2)
    with pytest.raises(NotFiniteError, match="step 2 .weights."):
        run(config, tmp_path / "run", callbacks=[Poison(1, 0)])
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 1
    assert all(np.isfinite(array).all() for array in state_of(tmp_path / "run"))


def test_an_image_that_is_damaged_after_the_check_is_one_line_that_says_how_to_go_on(
    settings, slim_tiny, eagerly, tmp_path
):
    config = dataclasses.replace(one_batch(settings), cache="none")
    prepared = prepare(config)
    image = tmp_path / "a.png"
    image.write_bytes(Path(prepared.train[0].image_path).read_bytes())
    damaged = [dataclasses.replace(item, image_path=str(image)) for item in prepared.train[:1]]
    shape_of(damaged[0])  # known from the check
    image.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="a.png") as caught:
        run(config, tmp_path / "run", prepared=dataclasses.replace(prepared, train=damaged))
    assert str(caught.value) == (
        f"{image}: expected an image, got 7 bytes that cannot be decoded; it was changed since it was checked: put it "
        f"right, and continue with yolo3 train --resume {tmp_path / 'run'}, which keeps the epochs that were saved"
    )


@pytest.mark.slow
def test_a_report_that_fails_costs_neither_weights_nor_state(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(loop, "write_run_report", fail)
    with pytest.raises(OSError, match="disk full"):
        run(one_batch(settings), tmp_path / "run")
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 1
    for name in ("best.h5", "last.h5"):
        assert read_metadata(tmp_path / "run" / name)["training"]["epoch"] == 1


# Small sets, callbacks, pretrained weights, precision


@pytest.fixture(scope="module")
def stopped(settings, slim_tiny, eagerly, tmp_path_factory):
    """A run without validation, stopped by a callback before any evaluation.

    Its batches are larger than the set and copied ahead to a device; decoded images are kept on disk.
    """
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    config = one_batch(
        settings, batch_size=100, epochs=9, evaluate_every=9, val_split=0.0, train_list="train", cache="disk"
    )
    stop = StopAfter(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "write_curves", lambda *_: None)
        copied_to, copy_ahead = [], tf.data.experimental.prefetch_to_device
        patch.setattr(run_module, "accelerator", lambda: "/CPU:0")
        patch.setattr(
            tf.data.experimental, "prefetch_to_device", lambda device: copied_to.append(device) or copy_ahead(device)
        )
        stop.copied_to = copied_to
        return str(folder), *run(config, folder, callbacks=[stop]), stop


def test_a_callback_stops_the_run_and_what_was_learned_is_kept(stopped):
    folder, result, said, stop = stopped
    assert len(rows_of(folder)) == 2 and any("Stopped after epoch 2" in line for line in said)
    assert RunFolder(folder).load_state()[1]["epoch"] == 2
    for name in ("best.h5", "last.h5"):
        assert read_metadata(os.path.join(folder, name))["training"]["epoch"] == 2


def test_callbacks_see_the_numbers_of_the_epoch(stopped):
    assert len(stopped[3].logs) == 2
    assert {"loss", "box", "learning_rate"} <= set(stopped[3].logs[0])


def test_a_run_without_validation_writes_weights_and_no_predictions(stopped):
    folder, result, _, _ = stopped
    assert np.isnan(result.AP50) and "AP50" not in result.last_row
    assert "predictions.png" not in os.listdir(folder)


def test_batches_are_copied_ahead_to_an_accelerator(stopped):
    assert stopped[3].copied_to == ["/CPU:0"]


def test_images_that_a_run_kept_on_disk_are_gone_after_it(stopped):
    assert "decoded images kept on disk" in stopped[2][0] and not list(Path(stopped[0]).glob(".decoded*"))


def test_a_batch_larger_than_the_set_holds_the_set_once(stopped):
    assert "1 batches of 12" in stopped[2][0]


@pytest.mark.slow
def test_pretrained_weights_are_taken_and_the_backbone_is_frozen_at_first(whole, settings, tmp_path):
    weights = os.path.join(whole[0], "best.h5")
    backbone = Kernels("conv_3")
    config = one_batch(settings, weights=weights, freeze_epochs=1, epochs=2, evaluate_every=2)
    _, said = run(config, tmp_path / "run", callbacks=[backbone])
    source = keras.models.load_model(weights, compile=False).get_layer("conv_3").get_weights()[0]
    begin, frozen, freed = backbone.kernels
    np.testing.assert_array_equal(begin, source)
    np.testing.assert_array_equal(frozen, source)
    assert not np.array_equal(freed, source)
    assert any("weights for 24 of 24 layers" in line for line in said)  # 13 convolutions, 11 of them with normalization
    assert "Backbone frozen." in said and "Backbone unfrozen; training all layers." in said


@pytest.mark.slow
def test_a_run_in_bfloat16_saves_float32_weights(settings, slim_tiny, eagerly, tmp_path):
    _, said = run(one_batch(settings, precision="bfloat16"), tmp_path / "run")
    assert "bfloat16" in said[0]
    assert np.isfinite(float(rows_of(tmp_path / "run")[0]["val_loss"]))
    model = keras.models.load_model(tmp_path / "run" / "best.h5", compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, options, names",
    [
        ("yolov1-tiny", (("grid_size", 3), ("dense_width", 32)), ["circle", "square", "triangle"]),
        ("retinanet", (("width", 32), ("depth", 1)), ["circle", "square", "triangle"]),
        ("rpn", (("width", 32),), ["object"]),
    ],
)
def test_the_other_architectures_train_resume_and_detect_in_the_same_way(settings, tmp_path, model, options, names):
    size = (128, 128) if model == "rpn" else (64, 64)  # its anchors have to fit into the image
    own = {"anchors": None, "model": model, "model_options": options, "input_size": size}
    config = one_batch(settings, **own, precision="bfloat16", epochs=2)
    folder = tmp_path / "run"
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True))
    run(config, folder, callbacks=[stop])
    result, _ = run(read_settings(folder), folder, resume=True)
    assert [row["epoch"] for row in rows_of(folder)] == ["1", "2"]
    row = result.last_row
    assert row["loss"] == pytest.approx(sum(row[name] for name in prepare(config).architecture.terms), rel=1e-4)
    assert ("recall" in row) == (model == "rpn")
    detector = load_detector(folder / "best.h5", score_threshold=0.0)
    assert detector.class_names == names
    assert dataclasses.asdict(detector.architecture) == dataclasses.asdict(prepare(config).architecture)
    assert len(detector(str(prepare(config).val[0].image_path)).boxes) > 0
    assert not (folder / "anchors.txt").exists()
    told = tmp_path / "figures.json"
    words = ["--weights", str(folder / "last.h5"), "--data", config.data, "--list", "val", "--json", str(told)]
    assert evaluate(words) == 0
    figures = json.loads(told.read_text())
    for name in {"AP50", "AP", "recall"} & set(row):
        assert figures[name] == pytest.approx(float(row[name]), abs=2e-3), name


# Strides 64 and 32: the coarse features are sampled up and joined with the fine ones.
COARSE_CFG = """[net]
width=128
height=128
channels=3
[maxpool]
size=16
stride=16
[convolutional]
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=16
size=1
activation=linear
[yolo]
mask=2,3
anchors=10,10, 20,20, 40,40, 90,90
num=4
classes=3
[route]
layers=-3
[upsample]
stride=2
[route]
layers=-1,1
[convolutional]
filters=16
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,10, 20,20, 40,40, 90,90
num=4
classes=3
"""


@pytest.mark.slow
def test_a_network_of_stride_64_trains_at_sizes_that_fit_it(settings, eagerly, tmp_path):
    (tmp_path / "coarse.cfg").write_text(COARSE_CFG)
    config = one_batch(
        settings, anchors=None, cfg=str(tmp_path / "coarse.cfg"), input_size=(128, 128), multi_scale=(0.75,)
    )
    run(config, tmp_path / "run")  # 96 pixels would be a cell and a half
    assert read_metadata(tmp_path / "run" / "last.h5")["strides"] == [64, 32]
