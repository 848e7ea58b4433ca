"""What a run starts from and is resumed from: pretrained weights of Keras and Darknet, and its own state."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.runs import InterruptAt, Interrupted, Kernels, Rates, one_batch, run, same, state_of
from yolo3.convert.to_darknet import convert_to_darknet
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.keras_weights import load_weights, save_weights
from yolo3.darknet.network import build_network
from yolo3.darknet.recipe import recipe_of
from yolo3.inference.loading import load_detector
from yolo3.input.settings import Augmentation
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.run_folder import read_settings
from yolo3.training.settings import MULTI_SCALES

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def compiled():
    """Graphs again, where tests before have asked for eager steps."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(before)


def test_weights_that_fit_nowhere_are_refused(settings, slim_tiny, eagerly, tmp_path):
    from yolo3.models.saving import save_model

    inputs = keras.Input((8, 8, 3))
    save_model(keras.Model(inputs, keras.layers.Conv2D(4, 3, name="other")(inputs)), tmp_path / "other.h5", {})
    with pytest.raises(ValueError, match="other.h5: expected weights of yolov3_tiny, got none that fits"):
        run(one_batch(settings, weights=str(tmp_path / "other.h5")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_compiled_run_of_the_whole_tiny_network_is_resumed_bit_for_bit(settings, compiled, tmp_path):
    assert not tf.config.functions_run_eagerly()
    config = dataclasses.replace(settings, multi_scale=MULTI_SCALES, burn_in=2, augment=Augmentation())
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", callbacks=[InterruptAt(2)])
    run(config, tmp_path / "run", resume=True)
    assert same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))


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
def test_a_network_of_a_cfg_loads_the_weights_that_fit_learns_and_converts_back(settings, eagerly, darknet, tmp_path):
    config = of_cfg(settings, darknet, weights=str(darknet / "net.weights"))
    backbone = Kernels("conv_0")
    _, said = run(config, tmp_path / "run", callbacks=[backbone])
    # Three classes in the data, one in the file: all but the classes are taken, the backbone is frozen at first.
    assert any("weights for 4 of 5 layers; boxes and objectness in conv_2" in line for line in said)
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


@pytest.mark.slow
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
    for name, record in {"augment": Augmentation, "loss": LossOptions}.items():
        fields = [field.name for field in dataclasses.fields(record) if field.name in options]
        options[name] = record(**{field: options.pop(field) for field in fields})
    rates = Rates()
    config = of_cfg(settings, darknet, **options, epochs=0)
    run(config, tmp_path / "run", callbacks=[rates])
    # 12 images, 4 a step, 2 steps an update, 4 updates: 8 steps, in epochs of three: 3 epochs, whole.
    # Rates: (1/2)^4 of .01, then all of it at update 2, a tenth from update 3 on.
    assert rates.seen == pytest.approx([0.000625] * 2 + [0.01] * 2 + [0.001] * 5)
    stored = read_settings(tmp_path / "run")
    assert (stored.epochs, stored.max_batches, stored.rate_steps) == (3, None, ((3, 0.1),))
