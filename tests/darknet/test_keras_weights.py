"""Weight files in Keras models, and back."""

import keras
import numpy as np
import pytest

from tests.darknet.networks import DATA, NANO, YOLO, needs_data, random_image, random_weights, run, text_of
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.heads import with_classes
from yolo3.darknet.keras_weights import load_weights, save_weights
from yolo3.darknet.network import build_network
from yolo3.darknet.weights import Header, open_weights
from yolo3.models.yolov3.networks import spp_yolo_body, tiny_yolo_body, yolo_body


def test_a_partial_file_fills_the_first_layers_and_leaves_the_rest(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", cfg)
    full = build_network(cfg)
    load_weights(full, cfg, tmp_path / "all.weights")
    save_weights(full, cfg, tmp_path / "yolo.conv.3", Header(), upto=3)
    model = build_network(cfg)
    before = model.get_layer("conv_3").get_weights()
    loaded = load_weights(model, cfg, tmp_path / "yolo.conv.3")
    assert loaded.loaded == ("conv_0", "conv_1", "conv_2") and loaded.missing == (
        "conv_3",
        "conv_4",
        "conv_5",
    )
    assert "loaded 3 of 6 layers with weights (conv_0 to conv_2)" in str(loaded) and "conv_3 to conv_5" in str(loaded)
    for name in ("conv_0", "bn_1", "conv_2"):
        for one, other in zip(model.get_layer(name).get_weights(), full.get_layer(name).get_weights()):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(before[0], model.get_layer("conv_3").get_weights()[0])


def test_heads_for_other_classes_are_skipped_on_request(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", cfg)
    model = build_network(with_classes(cfg, 5))
    before = model.get_layer("conv_0").get_weights()[0]
    with pytest.raises(ValueError, match="conv_3, conv_5"):
        load_weights(model, cfg, tmp_path / "all.weights")
    np.testing.assert_array_equal(before, model.get_layer("conv_0").get_weights()[0])
    calls = []
    loaded = load_weights(
        model, cfg, tmp_path / "all.weights", skip_mismatch=True, progress=lambda *done: calls.append(done)
    )
    assert loaded.mismatched == ("conv_3", "conv_5") and loaded.loaded == (
        "conv_0",
        "conv_1",
        "conv_2",
        "conv_4",
    )
    assert calls[0] == (1, 6) and calls[-1] == (6, 6)


def test_a_file_that_does_not_fit_leaves_the_model_as_it_is(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", with_classes(cfg, 3))
    model = build_network(cfg)
    before = model.get_weights()
    with pytest.raises(ValueError, match="with 3 classes, but the cfg has 2"):
        load_weights(model, cfg, tmp_path / "all.weights")
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


@needs_data
def test_the_tiny_network_by_hand_and_from_its_cfg_give_equal_outputs(tmp_path):
    compare_by_hand(tmp_path, "yolov3-tiny.cfg", tiny_yolo_body, 8_858_734)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "body", "count"), [("yolov3", yolo_body, 62_001_757), ("yolov3-spp", spp_yolo_body, 63_052_381)]
)
def test_the_large_networks_by_hand_and_from_their_cfg_give_equal_outputs(tmp_path, name, body, count):
    compare_by_hand(tmp_path, f"{name}.cfg", body, count)


def compare_by_hand(tmp_path, name, body, count):
    cfg = read_cfg(DATA / "darknet" / "cfg" / name)
    random_weights(tmp_path / "a.weights", cfg)
    ours, theirs = build_network(cfg), body(keras.Input((None, None, 3)), 3, 80)
    assert ours.count_params() == theirs.count_params() == count
    for model in (ours, theirs):
        load_weights(model, cfg, tmp_path / "a.weights")
    image = random_image((3, 64, 96))
    for one, other in zip(run(ours, image), run(theirs, image), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    save_weights(theirs, cfg, tmp_path / "b.weights", open_weights(tmp_path / "a.weights", cfg).header)
    assert (tmp_path / "b.weights").read_bytes() == (tmp_path / "a.weights").read_bytes()


@needs_data
def test_a_trained_network_goes_back_to_the_same_bytes(tmp_path):
    cfg, path = read_cfg(NANO), NANO.with_suffix(".weights")
    model = build_network(cfg)
    header = load_weights(model, cfg, path).file.header
    save_weights(model, cfg, tmp_path / "back.weights", header)
    assert (tmp_path / "back.weights").read_bytes() == path.read_bytes()


@needs_data
def test_a_backbone_alone_fills_its_layers(tmp_path):
    cfg = read_cfg(NANO)
    model = build_network(cfg)
    loaded = load_weights(model, cfg, NANO.with_name("MobileNetV2-Nano.57"))
    assert (len(loaded.loaded), len(loaded.missing)) == (48, 11)
    save_weights(model, cfg, tmp_path / "back.57", loaded.file.header, upto=57)
    assert (tmp_path / "back.57").read_bytes() == NANO.with_name("MobileNetV2-Nano.57").read_bytes()
