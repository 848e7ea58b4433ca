"""Runs: what they leave behind, stopped and continued, repeated, stopped by what is not finite or by a callback.

The network is the tiny one with an eighth of its filters, and but for the slow test the steps run eagerly: a run of a
few steps is over before a graph would be built. test_cli_train.py runs compiled steps.
"""

import csv
import dataclasses
import json
import os
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.cli.evaluate import main as evaluate
from yolo3.convert.conversion import convert_to_darknet
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.network import build_network, load_weights, save_weights
from yolo3.darknet.recipe import recipe_of
from yolo3.datasets.class_names import read_class_names
from yolo3.inference.detector import load_detector
from yolo3.input.settings import Augmentation
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, read_anchors, write_anchors
from yolo3.training import loop as training
from yolo3.training.loop import NotFiniteError, fit_length, train, write_targets_sheet
from yolo3.training.preparation import prepare
from yolo3.training.run_folder import RunFolder, read_settings
from yolo3.training.settings import MULTI_SCALES, TrainConfig

PLAIN = Augmentation(mosaic=0.0)
FILES = {
    "best.h5", "last.h5", "log.csv", "curves.png", "predictions.png", "settings.json", "classes.txt", "anchors.txt",
    "state.npz", "findings.txt", "precision_recall.png", "confusion.png", "report.html",
}  # fmt: skip


@pytest.fixture(scope="module")
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def compiled():
    """Graphs again, where tests before have asked for eager steps."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Runs within a test draw nothing, which saves time; those of shared fixtures, which are made before, do."""
    monkeypatch.setattr(training, "write_images", lambda *_: None)
    monkeypatch.setattr(training, "write_run_report", lambda *_: None)


@pytest.fixture(scope="module")
def settings(shapes_set, tmp_path_factory):
    anchors = tmp_path_factory.mktemp("anchors") / "tiny.txt"
    write_anchors(anchors, DEFAULT_TINY_ANCHORS)
    return TrainConfig(
        anchors=str(anchors), data=shapes_set, input_size=(64, 64), batch_size=4, epochs=3, evaluate_every=1,
        precision="float32", seed=1, augment=PLAIN,
    )  # fmt: skip


def run(config, folder, resume=False, callbacks=(), prepared=None):
    """Train and return (result, the lines that were said)."""
    said = []
    prepared = prepared or prepare(config)
    result = train(config, prepared, RunFolder(folder), resume, callbacks, said.append, show_progress=False)
    return result, said


def one_batch(config, **changes):
    """The settings with all twelve images in one batch: a short run."""
    return dataclasses.replace(config, **{"batch_size": 12, "epochs": 1, **changes})


def rows_of(folder):
    with open(os.path.join(folder, "log.csv"), newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder):
    return RunFolder(folder).load_state()[0]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(one, other) for one, other in zip(a, b))


class Interrupted(Exception):
    pass


class InterruptAt(keras.callbacks.Callback):
    """Raises in the second batch of an epoch, as a kill would fall anywhere."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise Interrupted


class Poison(keras.callbacks.Callback):
    """Makes a weight NaN after a batch of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            layer = self.model.get_layer("conv_9")
            layer.set_weights([array * np.nan for array in layer.get_weights()])


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.logs = epoch, []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)
        if epoch + 1 == self.epoch:
            self.model.stop_training = True


class Backbone(keras.callbacks.Callback):
    """Keeps a kernel of the backbone at the beginning and after each epoch."""

    def on_train_begin(self, logs=None):
        self.kernels = [self.kernel()]

    def on_epoch_end(self, epoch, logs=None):
        self.kernels.append(self.kernel())

    def kernel(self):
        return self.model.get_layer("conv_3").get_weights()[0]


# A whole run


@pytest.fixture(scope="module")
def whole(settings, slim_tiny, eagerly, tmp_path_factory):
    """Folder, result and words of a run of three epochs, averages included."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return str(folder), *run(settings, folder)


def test_a_run_leaves_all_its_files_and_no_other(whole):
    assert set(os.listdir(whole[0])) == FILES
    for name in ("curves.png", "predictions.png"):
        assert min(cv2.imread(os.path.join(whole[0], name)).shape[:2]) > 100


def test_a_run_writes_down_what_it_worked_with(whole, settings):
    folder = whole[0]
    assert read_settings(folder) == settings
    assert read_class_names(os.path.join(folder, "classes.txt")) == ["circle", "square", "triangle"]
    np.testing.assert_array_equal(read_anchors(os.path.join(folder, "anchors.txt")), DEFAULT_TINY_ANCHORS)


def test_the_log_has_a_row_for_each_epoch_with_all_that_is_measured(whole):
    rows = rows_of(whole[0])
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    parts = ("xy", "wh", "objectness", "no_object", "class")
    for row in rows:
        for prefix in ("", "val_"):
            values = [float(row[prefix + name]) for name in parts]
            assert np.isfinite(values).all()
            assert float(row[prefix + "loss"]) == pytest.approx(sum(values), rel=1e-6)
        assert 0 <= float(row["AP"]) <= float(row["AP50"]) <= 1
        assert float(row["images_per_second"]) > 0 and 0 <= float(row["data_wait"]) <= 1
    # Nine steps, no burn-in (a twentieth of nine is none); the last, step 8: .02 + .98 (1 + cos(8 pi / 9)) / 2 = .04955
    assert float(rows[2]["learning_rate"]) == pytest.approx(0.04955e-3, rel=1e-3)


def test_the_weights_say_what_they_are(whole, settings):
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
    values = [float(row["AP50"]) for row in rows_of(whole[0])]
    best = read_metadata(os.path.join(whole[0], "best.h5"))["training"]
    assert best["AP50"] == pytest.approx(max(values)) and best["epoch"] == 1 + int(np.argmax(values))
    assert whole[1].best_ap50 == max(values)
    assert whole[1].last_row["epoch"] == 3


def test_a_run_says_what_it_does(whole):
    said = whole[2]
    assert "yolov3-tiny" in said[0] and "3 classes" in said[0] and "3 epochs of 3 batches of 4" in said[0]
    assert sum(line.startswith("epoch ") for line in said) == 3
    assert all("waiting for data" in line and "AP50" in line for line in said if line.startswith("epoch "))


# Interrupted, repeated


@pytest.mark.slow
def test_interrupted_and_resumed_gives_the_run_that_was_not_bit_for_bit(whole, settings, tmp_path):
    with pytest.raises(Interrupted):
        run(settings, tmp_path / "run", callbacks=[InterruptAt(1)])
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 1
    result, said = run(read_settings(tmp_path / "run"), tmp_path / "run", resume=True)
    assert "after epoch 1 of 3" in said[0]
    assert same(state_of(tmp_path / "run"), state_of(whole[0]))
    for name in ("best.h5", "last.h5"):
        files = [os.path.join(folder, name) for folder in (tmp_path / "run", whole[0])]
        assert same(*(keras.models.load_model(file, compile=False).get_weights() for file in files))
    timing = ("images_per_second", "data_wait", "validation_seconds")
    rows, expected = (
        [{key: value for key, value in row.items() if key not in timing} for row in rows_of(folder)]
        for folder in (tmp_path / "run", whole[0])
    )
    assert rows == expected and result.best_ap50 == whole[1].best_ap50


def test_a_run_that_is_over_is_resumed_without_a_step(whole, settings):
    before = state_of(whole[0])
    result, said = run(settings, whole[0], resume=True)
    assert same(state_of(whole[0]), before)
    assert result.last_row["epoch"] == 3 and result.best_ap50 == whole[1].best_ap50


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
def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_written(settings, slim_tiny, eagerly, tmp_path):
    config = one_batch(settings, epochs=2)
    with pytest.raises(NotFiniteError, match="step 2 .weights."):
        run(config, tmp_path / "run", callbacks=[Poison(1, 0)])
    assert RunFolder(tmp_path / "run").load_state()[1]["epoch"] == 1
    assert all(np.isfinite(array).all() for array in state_of(tmp_path / "run"))


# Small sets, callbacks, pretrained weights, precision


@pytest.fixture(scope="module")
def stopped(settings, slim_tiny, eagerly, tmp_path_factory):
    """A run without validation, in batches larger than the set, stopped by a callback before any evaluation; decoded
    images are kept on disk, batches are copied ahead to a device."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    config = one_batch(
        settings, batch_size=100, epochs=9, evaluate_every=9, val_split=0.0, train_list="train", cache="disk"
    )
    stop = StopAfter(2)
    with pytest.MonkeyPatch.context() as patch:
        copied_to, copy_ahead = [], tf.data.experimental.prefetch_to_device
        patch.setattr(training, "accelerator", lambda: "/CPU:0")
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
    assert {"loss", "xy", "learning_rate"} <= set(stopped[3].logs[0])


def test_a_run_without_validation_writes_weights_and_no_predictions(stopped):
    folder, result, _, _ = stopped
    assert np.isnan(result.best_ap50) and "AP50" not in result.last_row
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
    backbone = Backbone()
    config = one_batch(settings, weights=weights, freeze_epochs=1, epochs=2, evaluate_every=2)
    _, said = run(config, tmp_path / "run", callbacks=[backbone])
    source = keras.models.load_model(weights, compile=False).get_layer("conv_3").get_weights()[0]
    begin, frozen, freed = backbone.kernels
    np.testing.assert_array_equal(begin, source)
    np.testing.assert_array_equal(frozen, source)
    assert not np.array_equal(freed, source)
    assert any("weights for 24 of 24 layers" in line for line in said)  # 13 convolutions, 11 of them with normalisation
    assert "Backbone frozen." in said and any(line.startswith("Backbone free") for line in said)


def test_weights_that_fit_nowhere_are_refused(settings, slim_tiny, eagerly, tmp_path):
    from yolo3.models.saving import save_model

    inputs = keras.Input((8, 8, 3))
    save_model(keras.Model(inputs, keras.layers.Conv2D(4, 3, name="other")(inputs)), tmp_path / "other.h5", {})
    with pytest.raises(ValueError, match="other.h5: expected weights of yolov3_tiny, got none that fits"):
        run(one_batch(settings, weights=str(tmp_path / "other.h5")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_in_bfloat16_saves_float32_weights(settings, slim_tiny, eagerly, tmp_path):
    _, said = run(one_batch(settings, precision="bfloat16"), tmp_path / "run")
    assert "bfloat16" in said[0]
    assert np.isfinite(float(rows_of(tmp_path / "run")[0]["val_loss"]))
    model = keras.models.load_model(tmp_path / "run" / "best.h5", compile=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_the_sheet_of_targets_shows_the_training_images(settings, tmp_path):
    write_targets_sheet(settings, prepare(settings), tmp_path / "targets.png")
    image = cv2.imread(str(tmp_path / "targets.png"))
    assert image.shape[0] >= 3 * 64 and image.shape[1] >= 4 * 64  # twelve images of 64 pixels, four in a row
    assert image.std() > 20


# Networks of a Darknet cfg

CFG = """[net]
batch=8
subdivisions=2
width=64
height=64
channels=3
momentum=0.8
decay=0.0005
learning_rate=0.01
burn_in=2
max_batches=4
policy=steps
steps=3
scales=.1
[convolutional]
batch_normalize=1
filters=4
size=3
stride=4
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=8
size=3
stride=4
pad=1
activation=mish
[convolutional]
filters=18
size=1
activation=linear
[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
classes=1
num=3
ignore_thresh=.6
scale_x_y=1.1
"""


@pytest.fixture(scope="module")
def darknet(tmp_path_factory):
    """A cfg of one class and random weights of it, whole and of the first two layers, as Darknet would store them."""
    folder = tmp_path_factory.mktemp("darknet")
    (folder / "net.cfg").write_text(CFG)
    cfg = read_cfg(folder / "net.cfg")
    keras.utils.set_random_seed(5)
    save_weights(build_network(cfg), cfg, folder / "net.weights")
    save_weights(build_network(cfg), cfg, folder / "net.conv.2", upto=2)
    return folder


def of_cfg(settings, darknet, **changes):
    changes = {"anchors": None, "cfg": str(darknet / "net.cfg"), "resize": "stretch", "epochs": 2, **changes}
    return dataclasses.replace(settings, **changes)


@pytest.mark.slow
def test_a_network_of_a_cfg_takes_what_fits_of_its_weights_learns_and_goes_back(settings, eagerly, darknet, tmp_path):
    config = of_cfg(settings, darknet, weights=str(darknet / "net.weights"))
    backbone = Kernels("conv_0")
    _, said = run(config, tmp_path / "run", callbacks=[backbone])
    # Three classes in the data, one in the file: all but the head is taken, and frozen in the first epoch.
    assert any("weights for 4 of 5 layers; random in conv_2" in line for line in said)
    assert same(backbone.kernels[:1], backbone.kernels[1:2]) and not same(backbone.kernels[1:2], backbone.kernels[2:])
    assert said.count("Backbone frozen.") == 1
    stored = build_network(read_cfg(config.cfg))
    load_weights(stored, read_cfg(config.cfg), config.weights)
    np.testing.assert_array_equal(backbone.kernels[0], stored.get_layer("conv_0").get_weights()[0])
    metadata = read_metadata(tmp_path / "run" / "best.h5")
    assert (metadata["model"], metadata["scale_x_y"], metadata["ignore_thresh"]) == ("cfg", [1.1], [0.6])
    assert (metadata["resize"], metadata["strides"]) == ("stretch", [16])
    # What Darknet gets back has three classes, and computes the same.
    convert_to_darknet(tmp_path / "run" / "best.h5", tmp_path / "out.cfg", tmp_path / "out.weights")
    assert read_cfg(tmp_path / "out.cfg").layers[-1].integer("classes") == 3
    ours, theirs = (
        load_detector(tmp_path / "run" / "best.h5"),
        load_detector(
            tmp_path / "out.weights", str(tmp_path / "run" / "classes.txt"), cfg_path=str(tmp_path / "out.cfg")
        ),
    )
    assert theirs.resize == ours.resize == "stretch"
    for one, other in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_of_the_first_layers_fills_them(settings, eagerly, darknet, tmp_path):
    _, said = run(of_cfg(one_batch(settings), darknet, weights=str(darknet / "net.conv.2"), epochs=1), tmp_path / "run")
    assert any("weights for 4 of 5 layers; random in conv_2" in line for line in said)
    assert any(line.startswith("net.cfg, ") and " parameters, " in line for line in said)


def test_weights_of_darknet_without_their_cfg_are_refused(settings, slim_tiny, darknet, tmp_path):
    config = dataclasses.replace(settings, weights=str(darknet / "net.weights"))
    with pytest.raises(ValueError, match="got what looks like Darknet's; give its cfg with --cfg"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_of_a_cfg_is_resumed_without_the_cfg_file(settings, eagerly, darknet, tmp_path):
    (tmp_path / "own.cfg").write_text(CFG)
    config = of_cfg(settings, darknet, cfg=str(tmp_path / "own.cfg"))
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", callbacks=[InterruptAt(1)])
    (tmp_path / "own.cfg").unlink()
    stored = dataclasses.replace(read_settings(tmp_path / "run"), cfg=str(tmp_path / "run" / "network.cfg"))
    run(stored, tmp_path / "run", resume=True)
    assert same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))


@pytest.mark.slow
def test_the_recipe_of_a_cfg_makes_the_length_of_the_run_and_its_rates(settings, eagerly, darknet, tmp_path):
    options = recipe_of(read_cfg(darknet / "net.cfg"))
    names = {field.name for field in dataclasses.fields(Augmentation)}
    augment = Augmentation(**{name: options.pop(name) for name in list(options) if name in names})
    rates = Rates()
    config = of_cfg(settings, darknet, **options, epochs=0, augment=augment)
    run(config, tmp_path / "run", callbacks=[rates])
    # 12 images, 4 a step, 2 steps an update, 4 updates: 8 steps, in epochs of three: 3 epochs, whole.
    # Rates: (1/2)^4 of .01, then all of it at update 2, a tenth from update 3 on.
    assert rates.seen == pytest.approx([0.000625] * 2 + [0.01] * 2 + [0.001] * 5)
    stored = read_settings(tmp_path / "run")
    assert (stored.epochs, stored.max_batches, stored.rate_steps) == (3, None, ((3, 0.1),))


def test_a_recipe_is_squeezed_into_the_epochs_that_are_asked_for():
    config = TrainConfig(
        cfg="a.cfg", epochs=10, batch_size=4, accumulate=2, max_batches=1000, burn_in=100, schedule="steps",
        rate_steps=((800, 0.1), (900, 0.1)),
    )  # fmt: skip
    # 100 images: 25 steps an epoch, 250 in all, 125 updates: 800 of 1000 is 100 of 125; the burn-in a twentieth: 6.
    fitted = fit_length(config, 100)
    assert (fitted.rate_steps, fitted.burn_in) == (((100, 0.1), (112, 0.1)), 6)
    assert (fitted.epochs, fitted.max_batches) == (10, None)
    assert fit_length(fitted, 100) == fitted


class Kernels(Backbone):
    """Keeps the kernel of a layer at the beginning and after each epoch."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def kernel(self):
        return self.model.get_layer(self.name).get_weights()[0]


class Rates(keras.callbacks.Callback):
    """Keeps the learning rate of each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


@pytest.mark.slow
def test_the_compiled_run_of_the_whole_tiny_network_is_resumed_bit_for_bit(settings, compiled, tmp_path):
    assert not tf.config.functions_run_eagerly()
    config = dataclasses.replace(settings, multi_scale=MULTI_SCALES, burn_in=2, augment=Augmentation())
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", callbacks=[InterruptAt(2)])
    run(config, tmp_path / "run", resume=True)
    assert same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))


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
    words = ["--weights", str(folder / "best.h5"), "--data", config.data, "--list", "val", "--json", str(told)]
    assert evaluate(words) == 0
    figures = json.loads(told.read_text())
    for name in {"AP50", "AP", "recall"} & set(row):
        assert figures[name] == pytest.approx(float(row[name]), abs=2e-3), name
