"""Files of networks: written whole, opened by Keras alone."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.tiny import ANCHORS, METADATA, assert_same_outputs
from yolo3.models.loading import load_network
from yolo3.models.metadata import read_metadata
from yolo3.models.saving import save_model


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "m.weights.h5"])
def test_a_saved_network_is_loaded(tiny_files, tiny_outputs, name):
    network, metadata = load_network(tiny_files / name)
    assert metadata == METADATA
    assert_same_outputs(network, tiny_outputs)
    assert sorted(os.listdir(tiny_files)) == ["m.h5", "m.keras", "m.weights.h5"]  # no temporary file is left


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


@pytest.mark.slow
def test_a_fresh_process_with_keras_alone_opens_the_files(tiny_files, tiny_outputs, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FRESH, tiny_files, tmp_path / "out.npz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    for name in ("m.h5", "m.keras"):
        for index, array in enumerate(tiny_outputs):
            np.testing.assert_allclose(found[f"{name}{index}"], array, rtol=1e-5, atol=1e-5)


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


def test_names_without_a_known_suffix_are_refused(tmp_path):
    for name in ("model.pb", "model", ".h5"):
        with pytest.raises(ValueError, match="expected a name that ends in"):
            save_model(None, tmp_path / name, {})
