"""``load_weights`` and ``save_weights`` of keras-yolo3's networks, with the files and arguments of its scripts."""

import logging
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.keras2_model import write_keras2_weights
from yolo3.model import tiny_yolo_body, yolo_body
from yolo3.models.loading import load_network
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS

pytestmark = pytest.mark.usefixtures("slim_tiny")


def tiny(num_classes=2, seed=None):
    body = tiny_yolo_body(keras.Input((None, None, 3)), 3, num_classes)
    if seed is not None:
        rng = np.random.default_rng(seed)
        body.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in body.get_weights()])
    return body


def arrays_of(body, name):
    return body.get_layer(name).get_weights()


def assert_same(one, other, names=None):
    for layer in one.layers:
        if layer.weights and (names is None or layer.name in names):
            for a, b in zip(layer.get_weights(), arrays_of(other, layer.name), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def trained():
    return tiny(seed=0)


@pytest.fixture(scope="module")
def old_file(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("old") / "tiny_yolo_weights.h5"
    write_keras2_weights(trained, path, first=1)
    return str(path)


@pytest.mark.parametrize("options", [{}, {"by_name": True}, {"by_name": True, "skip_mismatch": True}], ids=str)
def test_a_body_loads_all_of_keras_yolo3s_weights(trained, old_file, options):
    body = tiny()
    body.load_weights(old_file, **options)
    assert_same(trained, body)


def test_by_name_with_skip_mismatch_leaves_the_outputs_of_other_classes_and_names_them(trained, old_file, caplog):
    body = tiny(num_classes=5, seed=1)
    before = arrays_of(body, "conv_9")
    with caplog.at_level(logging.WARNING, "yolo3"):
        body.load_weights(old_file, by_name=True, skip_mismatch=True)
    assert "conv_9, conv_12" in caplog.text
    np.testing.assert_array_equal(arrays_of(body, "conv_9")[0], before[0])
    assert_same(trained, body, names=["conv_0", "bn_8", "conv_11"])


def test_by_name_alone_says_which_layer_does_not_fit_and_loads_nothing(old_file):
    body = tiny(num_classes=5, seed=1)
    with pytest.raises(ValueError, match="conv_9: expected arrays of shapes .* skip_mismatch=True"):
        body.load_weights(old_file, by_name=True)
    assert_same(tiny(num_classes=5, seed=1), body)


def test_a_file_of_which_nothing_fits_is_an_error(tmp_path):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    other.save(tmp_path / "other.h5")
    with pytest.raises(ValueError, match="none that fits"):
        tiny().load_weights(tmp_path / "other.h5", by_name=True, skip_mismatch=True)
    with pytest.raises(FileNotFoundError, match="none.h5: expected a file of weights"):
        tiny().load_weights(tmp_path / "none.h5", by_name=True)


def test_old_names_of_files_can_be_written_and_read_again(trained, tmp_path):
    trained.save_weights(str(tmp_path / "trained_weights_final.h5"))
    trained.save_weights(str(tmp_path / "trained.weights.h5"))
    for name in ("trained_weights_final.h5", "trained.weights.h5"):
        body = tiny()
        body.load_weights(str(tmp_path / name))
        assert_same(trained, body)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        trained.save_weights(tmp_path / "trained_weights_final.h5", overwrite=False)
    with pytest.raises(ValueError, match="weights.h5"):
        trained.save_weights(tmp_path / "trained.npz")


@pytest.mark.slow
def test_a_saved_body_holds_stock_keras_classes_alone(trained, tmp_path):
    for name in ("body.keras", "body.h5"):
        trained.save(tmp_path / name)
    program = (
        "import keras, sys\n"
        "for path in sys.argv[1:]: keras.models.load_model(path, compile=False)\n"
        "assert not any(name.startswith('yolo3') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "body.keras", tmp_path / "body.h5"], check=True)


def test_layers_stand_where_scripts_that_freeze_by_position_look_for_them():
    # train.py: layers[:185] is Darknet-53, layers[:20] the tiny body.
    # train_bottleneck.py: layers 249 to 251 are the outputs, 246 to 248 what they take.
    names = [layer.name for layer in yolo_body(keras.Input((None, None, 3)), 3, 2).layers]
    assert len(names) == 252 and names[-3:] == ["conv_58", "conv_66", "conv_74"]
    assert names[246:249] == ["leaky_57", "leaky_65", "leaky_73"]
    assert {name for name in names[:185] if name.startswith("conv_")} == {f"conv_{number}" for number in range(52)}
    names = [layer.name for layer in tiny().layers]
    assert len(names) == 44 and names[-2:] == ["conv_9", "conv_12"]
    assert {name for name in names[:20] if name.startswith("conv_")} == {f"conv_{number}" for number in range(5)}


def test_files_under_old_names_are_networks_for_every_command(trained, tmp_path, monkeypatch):
    trained.save_weights(tmp_path / "trained_weights_final.h5")
    network, metadata = load_network(
        tmp_path / "trained_weights_final.h5", anchors=DEFAULT_TINY_ANCHORS, class_names=["a", "b"]
    )
    assert metadata is None
    assert_same(trained, network)
