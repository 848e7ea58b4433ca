"""Files of networks: written whole, opened by Keras alone, read back with metadata, refused in one line."""

import json
import os
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from tests.keras2_model import write_keras2_model
from yolo3.darknet.cfg import parse_cfg
from yolo3.models.saving import load_network, read_metadata, save_model, undescribed_mask
from yolo3.models.yolov3.scales import OFFICIAL_TINY_MASK
from yolo3.models.yolov3.yolov3 import cfg_yolov3, named_yolov3

ANCHORS = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]
METADATA = {
    "model": "yolov3-tiny",
    "class_names": ["cat", "dög"],
    "anchors": ANCHORS,
    "anchor_mask": [[3, 4, 5], [0, 1, 2]],
    "input_shape": [64, 64],
    "resize": "letterbox",
    "scale_x_y": 1.0,
    "training": {"epochs": 3, "rate": 1e-3},
}
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
IMAGE = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    network = named_yolov3("yolov3-tiny", 2, ANCHORS).build_network()
    rng = np.random.default_rng(0)
    for layer in network.layers:  # statistics that differ from the initial ones, so that losing them shows
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return network


@pytest.fixture(scope="module")
def expected(model):
    return model.predict(IMAGE, verbose=0)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    for name in ("m.h5", "m.keras", "m.weights.h5"):
        save_model(model, path / name, METADATA)
    return path


def assert_same_outputs(network, expected):
    for a, b in zip(network.predict(IMAGE, verbose=0), expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "m.weights.h5"])
def test_what_is_saved_is_loaded(folder, expected, name):
    network, metadata = load_network(folder / name)
    assert metadata == METADATA
    assert_same_outputs(network, expected)
    assert sorted(os.listdir(folder)) == ["m.h5", "m.keras", "m.weights.h5"]  # no temporary file is left


FRESH = """
import sys
import keras
import numpy as np
image = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
models = {name: keras.models.load_model(f"{sys.argv[1]}/{name}") for name in ("m.h5", "m.keras")}
outputs = {name: model.predict(image, verbose=0) for name, model in models.items()}
assert not any(name.startswith("yolo3") for name in sys.modules)
arrays = {f"{name}{i}": value for name, values in outputs.items() for i, value in enumerate(values)}
np.savez(sys.argv[2], **arrays)
"""


def test_a_fresh_process_with_keras_alone_opens_the_files(folder, expected, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FRESH, folder, tmp_path / "out.npz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    for name in ("m.h5", "m.keras"):
        for index, array in enumerate(expected):
            np.testing.assert_allclose(found[f"{name}{index}"], array, rtol=1e-5, atol=1e-5)


def test_metadata_is_read_without_keras(folder):
    code = (
        "import sys, yolo3.models.saving as s\n"
        "print(s.read_metadata(sys.argv[1])['class_names'], s.read_metadata(sys.argv[2])['model'])\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    command = [sys.executable, "-X", "utf8", "-c", code, folder / "m.h5", folder / "m.keras"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['cat', 'dög'] yolov3-tiny\n"


def test_arrays_and_long_texts_fit_into_the_metadata(tmp_path):
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    metadata = {
        "anchors": np.array(ANCHORS, np.float32),
        "count": np.int64(3),
        "darknet": {"cfg": "x" * 200_000},
    }
    for name in ("s.h5", "s.keras", "s.weights.h5"):
        save_model(small, tmp_path / "new" / name, metadata)
        found = read_metadata(tmp_path / "new" / name)
        assert found == {"anchors": ANCHORS, "count": 3, "darknet": metadata["darknet"]}
    with pytest.raises(TypeError, match="JSON"):
        save_model(small, tmp_path / "s.h5", {"model": object()})


@pytest.mark.slow
def test_files_of_keras_without_metadata(model, expected, tmp_path):
    model.save(tmp_path / "plain.keras")
    model.save_weights(tmp_path / "plain.weights.h5")
    network, metadata = load_network(tmp_path / "plain.keras")
    assert metadata is None
    assert_same_outputs(network, expected)
    with pytest.raises(ValueError, match="plain.weights.h5: holds weights alone; carries no class names; give them"):
        load_network(tmp_path / "plain.weights.h5")
    network, _ = load_network(tmp_path / "plain.weights.h5", ANCHORS, ["cat", "dog"])
    assert_same_outputs(network, expected)
    with pytest.raises(ValueError, match="its weights do not fit yolov3_tiny") as error:
        load_network(tmp_path / "plain.weights.h5", ANCHORS, ["cat", "dog", "cow"])
    assert "\n" not in str(error.value)


def write_legacy_weights(model, path):
    """Write weights as keras-yolo3 did: numbered names, layers in another order, weights alone."""
    names = []
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            number = layer.name.split("_")[-1]
            if not layer.weights:
                continue
            kind = "conv2d" if layer.name.startswith("conv") else "batch_normalization"
            count = 1 + sum(
                other.name.startswith(layer.name.split("_")[0]) and int(other.name.split("_")[-1]) < int(number)
                for other in model.layers
            )
            group = file.create_group(f"{kind}_{count}")
            weight_names = [f"{kind}_{count}/{weight.name}:0" for weight in layer.weights]
            for name, weight in zip(weight_names, layer.get_weights()):
                group[name] = weight
            group.attrs["weight_names"] = [name.encode() for name in weight_names]
            names.append(f"{kind}_{count}".encode())
        file.create_group("leaky_re_lu_1").attrs["weight_names"] = []
        file.attrs["layer_names"] = [*reversed(names), b"leaky_re_lu_1"]


def test_weights_of_keras_yolo3_are_put_where_they_belong(model, expected, tmp_path):
    write_legacy_weights(model, tmp_path / "old.h5")
    assert read_metadata(tmp_path / "old.h5") is None
    network, metadata = load_network(tmp_path / "old.h5", ANCHORS, ["cat", "dog"])
    assert metadata is None
    assert_same_outputs(network, expected)
    with pytest.raises(ValueError, match=r"old.h5: its weights do not fit yolov3_tiny: conv_\d+: expected arrays"):
        load_network(tmp_path / "old.h5", ANCHORS, ["cat"])


def test_weights_under_the_names_of_the_layers_need_no_order(expected, model, tmp_path):
    with h5py.File(tmp_path / "named.h5", "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name for layer in reversed(layers)]
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            for name, weight in zip(group.attrs["weight_names"], layer.get_weights()):
                group[name] = weight
    assert_same_outputs(load_network(tmp_path / "named.h5", ANCHORS, ["cat", "dog"])[0], expected)


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
    np.testing.assert_allclose(inner(image)[0, 2, 3], np.where(value > 0, value, 0.1 * value), rtol=1e-4)


def test_weights_of_a_darknet_cfg_are_put_into_its_network(tmp_path):
    architecture = cfg_yolov3(parse_cfg(SMALL_CFG), num_classes=2)
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


def test_what_is_no_keras_file_is_named_in_one_line(folder, tmp_path):
    whole = (folder / "m.h5").read_bytes()
    zipped = (folder / "m.keras").read_bytes()
    cases = {
        "page.h5": (b"<!DOCTYPE html><html>", "a web page"),
        "empty.h5": (b"", "an empty file"),
        "pointer.keras": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        "yolov3.weights": (
            bytes([0, 0, 0, 0, 2, 0, 0, 0]),
            "a Darknet file; turn it into .h5 with 'yolo3 convert'",
        ),
        "other.h5": (b"something", "got something else"),
        "cut.h5": (whole[:5000], "damaged or truncated"),
        "cut.keras": (zipped[:5000], "damaged or truncated"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        for read in (read_metadata, load_network):
            with pytest.raises(ValueError, match=message) as error:
                read(tmp_path / name)
            assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "absent.h5")


def test_a_file_with_the_wrong_suffix_says_which_is_right(folder, tmp_path):
    cases = [("m.keras", "a.h5", "keras"), ("m.h5", "a.keras", "h5"), ("m.weights.h5", "b.h5", "weights.h5")]
    for old, new, right in cases:
        os.link(folder / old, tmp_path / new)
        with pytest.raises(ValueError, match=f"ends in .{right}"):
            load_network(tmp_path / new)


def test_a_model_that_keras_cannot_load_is_one_line(folder, tmp_path):
    path = tmp_path / "lambda.keras"
    with zipfile.ZipFile(folder / "m.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(json.loads(content) | {"class_name": "Nothing", "module": "nowhere"})
            new.writestr(name, content)
    with pytest.raises(ValueError, match="lambda.keras: Keras cannot load this model") as error:
        load_network(path)
    assert "\n" not in str(error.value)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    save_model(small, tmp_path / "s.h5", {"training": {"epochs": 1}})

    class Broken:
        weights = ()

        def save(self, path):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_model(Broken(), tmp_path / "s.h5", {})
    assert os.listdir(tmp_path) == ["s.h5"]
    assert read_metadata(tmp_path / "s.h5") == {"training": {"epochs": 1}}


def test_names_that_say_no_format_and_unknown_networks_are_refused(tmp_path):
    for name in ("model.pb", "model", ".h5"):
        with pytest.raises(ValueError, match="expected a name that ends in"):
            save_model(None, tmp_path / name, {})
    with pytest.raises(ValueError, match="expected one of yolov3, yolov3-tiny, yolov3-spp, got 'yolov4'"):
        named_yolov3("yolov4", 2, ANCHORS).build_network()


@pytest.mark.parametrize(
    "text, words",
    [
        ("[1, 2]", "expected a JSON object as yolo3 metadata"),
        ("{", "its yolo3 metadata is not JSON"),
        ('{"class_names": 3}', "expected a list as 'class_names'"),
        ('{"anchors": "x"}', "expected a list as 'anchors'"),
    ],
)
def test_metadata_of_another_kind_is_refused(tmp_path, text, words):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["yolo3"] = text
    with pytest.raises(ValueError, match=words):
        read_metadata(tmp_path / "m.h5")


def test_old_tiny_weights_get_the_mask_that_keras_yolo3_gave_them(tmp_path, caplog):
    for version, expected in (("2.1.5", True), ("2.3.0-tf", True), ("3.8.0", False), (None, False)):
        with h5py.File(tmp_path / "m.h5", "w") as file:
            if version is not None:
                file.attrs["keras_version"] = np.bytes_(version)
        assert (undescribed_mask(tmp_path / "m.h5", 6) == OFFICIAL_TINY_MASK) is expected
        assert undescribed_mask(tmp_path / "m.h5", 9) is None
    assert "says no anchor_mask" in caplog.text
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert undescribed_mask(tmp_path / "m.keras", 6) is None
