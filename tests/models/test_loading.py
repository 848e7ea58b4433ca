"""Networks and weights read from files of this package, of Keras and of keras-yolo3."""

import json
import os
import zipfile
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

from tests.keras2_model import write_keras2_model, write_keras2_weights
from tests.models.tiny import ANCHORS, assert_same_outputs
from yolo3.darknet.cfg import parse_cfg
from yolo3.models.loading import legacy_anchor_mask, load_network, load_weights_by_name
from yolo3.models.metadata import read_metadata
from yolo3.models.saving import save_model
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK

SMALL_CFG = """[net]
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=16
stride=16
[convolutional]
filters=18
size=1
stride=1
activation=linear
[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
classes=1
num=3
"""


@pytest.mark.slow
def test_files_of_keras_without_metadata(tiny_model, tiny_outputs, tmp_path):
    tiny_model.save(tmp_path / "plain.keras")
    tiny_model.save_weights(tmp_path / "plain.weights.h5")
    network, metadata = load_network(tmp_path / "plain.keras")
    assert metadata is None
    assert_same_outputs(network, tiny_outputs)
    with pytest.raises(ValueError, match="plain.weights.h5: holds weights alone; carries no class names; give them"):
        load_network(tmp_path / "plain.weights.h5")
    network, _ = load_network(tmp_path / "plain.weights.h5", ANCHORS, ["cat", "dog"])
    assert_same_outputs(network, tiny_outputs)
    with pytest.raises(ValueError, match="its weights do not fit yolov3_tiny") as error:
        load_network(tmp_path / "plain.weights.h5", ANCHORS, ["cat", "dog", "cow"])
    assert "\n" not in str(error.value)


def test_weights_of_keras_yolo3_are_loaded_into_the_right_layers(tiny_model, tiny_outputs, tmp_path):
    write_keras2_weights(tiny_model, tmp_path / "old.h5")
    assert read_metadata(tmp_path / "old.h5") is None
    network, metadata = load_network(tmp_path / "old.h5", ANCHORS, ["cat", "dog"])
    assert metadata is None
    assert_same_outputs(network, tiny_outputs)
    with pytest.raises(ValueError, match=r"old.h5: its weights do not fit yolov3_tiny: conv_\d+: expected arrays"):
        load_network(tmp_path / "old.h5", ANCHORS, ["cat"])


def test_weights_under_the_names_of_the_layers_need_no_order(tiny_outputs, tiny_model, tmp_path):
    with h5py.File(tmp_path / "named.h5", "w") as file:
        layers = [layer for layer in tiny_model.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name for layer in reversed(layers)]
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            for name, weight in zip(group.attrs["weight_names"], layer.get_weights()):
                group[name] = weight
    assert_same_outputs(load_network(tmp_path / "named.h5", ANCHORS, ["cat", "dog"])[0], tiny_outputs)


@pytest.mark.filterwarnings("ignore:Argument `alpha` is deprecated")  # LeakyReLU's, in files of Keras 2
@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")  # Keras 3.8: a list of one input
def test_a_whole_model_of_keras_2_is_loaded_with_each_layer_s_own_weights(tmp_path):
    arrays = write_keras2_model(tmp_path / "yolo.h5")
    network, metadata = load_network(tmp_path / "yolo.h5")
    assert metadata is None and [output.shape[-1] for output in network.outputs] == [18, 18]
    for name, array in arrays.items():
        layer, weight = name.split("/")
        (own,) = [variable for variable in network.get_layer(layer).weights if variable.name == weight]
        np.testing.assert_array_equal(own.numpy(), array)
    assert network.get_layer("leaky_re_lu_1").negative_slope == pytest.approx(0.1)
    # leaky(bn(conv)) by hand in one place: zeros pad the upper and the left side.
    image = np.random.default_rng(1).uniform(size=(1, 32, 32, 3)).astype(np.float32)
    inner = keras.Model(network.input, network.get_layer("leaky_re_lu_1").output)
    gamma, beta, mean, variance = (
        arrays[f"batch_normalization_1/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    value = np.einsum("hwc,hwcf->f", image[0, 3:6, 5:8], arrays["conv2d_1/kernel"])
    value = gamma * (value - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(inner([image])[0, 2, 3], np.where(value > 0, value, 0.1 * value), rtol=1e-4)


def test_weights_alone_are_loaded_into_the_network_of_their_cfg(tmp_path):
    architecture = YoloV3.from_cfg(parse_cfg(SMALL_CFG), num_classes=2)
    model = architecture.build_network()
    metadata = {**architecture.metadata(), "class_names": ["cat", "dog"]}
    save_model(model, tmp_path / "s.weights.h5", metadata)
    network, read = load_network(tmp_path / "s.weights.h5")
    assert read == metadata
    for one, other in zip(network.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    save_model(model, tmp_path / "no_names.weights.h5", architecture.metadata())
    with pytest.raises(ValueError, match="holds weights alone; carries no class names"):
        load_network(tmp_path / "no_names.weights.h5")


def test_a_file_with_the_wrong_suffix_says_which_is_right(tiny_files, tmp_path):
    cases = [("m.keras", "a.h5", "keras"), ("m.h5", "a.keras", "h5"), ("m.weights.h5", "b.h5", "weights.h5")]
    for old, new, right in cases:
        os.link(tiny_files / old, tmp_path / new)
        with pytest.raises(ValueError, match=f"ends in .{right}"):
            load_network(tmp_path / new)


def test_a_model_that_keras_cannot_load_is_reported_in_one_line(tiny_files, tmp_path):
    path = tmp_path / "lambda.keras"
    with zipfile.ZipFile(tiny_files / "m.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(json.loads(content) | {"class_name": "Nothing", "module": "nowhere"})
            new.writestr(name, content)
    with pytest.raises(ValueError, match="lambda.keras: Keras cannot load this model") as error:
        load_network(path)
    assert "\n" not in str(error.value)


def test_old_tiny_weights_get_the_mask_that_keras_yolo3_gave_them(tmp_path, caplog):
    for version, expected in (("2.1.5", True), ("2.3.0-tf", True), ("3.8.0", False), (None, False)):
        with h5py.File(tmp_path / "m.h5", "w") as file:
            if version is not None:
                file.attrs["keras_version"] = np.bytes_(version)
        assert (legacy_anchor_mask(tmp_path / "m.h5", 6) == OFFICIAL_TINY_MASK) is expected
        assert legacy_anchor_mask(tmp_path / "m.h5", 9) is None
    assert "has no anchor_mask" in caplog.text
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert legacy_anchor_mask(tmp_path / "m.keras", 6) is None


def test_a_list_of_layers_that_keras_split_is_read_whole(tiny_model, tiny_outputs, tmp_path):
    write_keras2_weights(tiny_model, tmp_path / "old.h5", pieces=3)
    network, _ = load_network(tmp_path / "old.h5", ANCHORS, ["cat", "dog"])
    assert_same_outputs(network, tiny_outputs)


def test_files_of_more_or_fewer_layers_are_refused(tiny_model, tmp_path):
    layers = [layer for layer in tiny_model.layers if layer.weights]
    last = tiny_model.get_layer("conv_12")
    another = SimpleNamespace(name="conv_13", weights=last.weights, get_weights=last.get_weights)
    fewer = [layer for layer in layers if layer is not last]
    for stored, words in (([*layers, another], "got conv2d_14 too"), (fewer, "got none for conv_12")):
        write_keras2_weights(SimpleNamespace(layers=stored), tmp_path / "old.h5")
        with pytest.raises(
            ValueError, match=f"old.h5: its weights do not fit yolov3_tiny: expected 24 layers, {words}"
        ):
            load_network(tmp_path / "old.h5", ANCHORS, ["cat", "dog"])


def fresh(num_classes=2):
    return YoloV3.from_name("yolov3-tiny", num_classes, anchors=ANCHORS).build_network()


@pytest.mark.parametrize("first", [1, 40])
def test_by_name_keras_yolo3s_weights_are_loaded_into_the_right_layers(first, tiny_model, tiny_outputs, tmp_path):
    write_keras2_weights(tiny_model, tmp_path / "old.h5", first=first)
    network = fresh()
    assert len(load_weights_by_name(network, tmp_path / "old.h5")) == 13 + 11  # convolutions and normalizations
    assert_same_outputs(network, tiny_outputs)


def test_by_name_layers_that_do_not_fit_stay_unchanged_and_are_not_counted(tiny_model, tmp_path, caplog):
    tiny_model.save_weights(tmp_path / "plain.weights.h5")
    network = fresh(num_classes=5)
    heads = {name: network.get_layer(name).get_weights() for name in ("conv_9", "conv_12")}
    loaded = load_weights_by_name(network, tmp_path / "plain.weights.h5")
    assert set(loaded) == {layer.name for layer in network.layers if layer.weights} - heads.keys()
    assert "left as they are" in caplog.text and "conv_9, conv_12" in caplog.text
    for name, before in heads.items():
        for own, expected in zip(network.get_layer(name).get_weights(), before, strict=True):
            np.testing.assert_array_equal(own, expected)
    np.testing.assert_array_equal(network.get_layer("bn_0").get_weights(), tiny_model.get_layer("bn_0").get_weights())


def test_by_name_files_with_the_wrong_suffix_are_refused_in_one_line(tiny_files, tiny_model, tmp_path):
    tiny_model.save_weights(tmp_path / "plain.weights.h5")
    before = tiny_model.get_weights()
    cases = [(tiny_files / "m.keras", "a.h5", ".keras"), (tiny_files / "m.weights.h5", "b.h5", ".weights.h5")]
    for path, name, right in [*cases, (tmp_path / "plain.weights.h5", "c.h5", ".weights.h5")]:
        os.link(path, tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}: .*rename it so that it ends in {right}") as error:
            load_weights_by_name(tiny_model, tmp_path / name)
        assert "\n" not in str(error.value)
    for own, expected in zip(tiny_model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, expected)
