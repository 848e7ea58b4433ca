"""Keras files become Darknet's cfg and weights again."""

import json

import keras
import numpy as np
import pytest

from tests.convert.command import convert
from tests.darknet.networks import DATA, NANO, YOLO, needs_data, random_weights, text_of
from yolo3.cli.evaluate import main as evaluate_main
from yolo3.cli.train import main as train_main
from yolo3.convert.to_darknet import convert_to_darknet
from yolo3.convert.to_keras import metadata_of
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.heads import joined_anchors, yolo_heads
from yolo3.darknet.network import build_network
from yolo3.darknet.recipe import resize_of
from yolo3.darknet.weights import Header, open_weights
from yolo3.models.loading import load_network
from yolo3.models.metadata import read_metadata
from yolo3.models.saving import save_model


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.weights.h5"])
def test_a_network_goes_to_keras_and_back_to_the_same_bytes(tmp_path, files, capsys, name):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / name, "--classes", names_path) == 0
    out = capsys.readouterr().out
    assert "Darknet 0.1.3, trained on 12,345 images" in out and "6 layers with weights, conv_0 to conv_5" in out
    assert f"wrote {tmp_path / name}" in out
    assert convert("--to-darknet", tmp_path / name, tmp_path / "back.cfg", tmp_path / "back.weights") == 0
    assert (tmp_path / "back.cfg").read_bytes() == cfg_path.read_bytes()
    assert (tmp_path / "back.weights").read_bytes() == weights_path.read_bytes()


def test_a_partial_file_reports_random_layers_and_converts_back(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5") == 0
    assert convert("--to-darknet", "--upto", 3, tmp_path / "m.h5", tmp_path / "b.cfg", tmp_path / "net.conv.3") == 0
    size = (tmp_path / "net.conv.3").stat().st_size
    assert (tmp_path / "net.conv.3").read_bytes() == weights_path.read_bytes()[:size]
    capsys.readouterr()
    assert convert(cfg_path, tmp_path / "net.conv.3", tmp_path / "p.h5") == 0
    out = capsys.readouterr().out
    assert "filled: 3 layers with weights, conv_0 to conv_2" in out
    assert "random: 3 layers with weights, conv_3 to conv_5" in out


def test_classes_and_anchors_changed_by_training_go_into_the_cfg(tmp_path, files):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    metadata = read_metadata(tmp_path / "m.h5")
    other = parse_cfg(text_of(YOLO.replace("classes=2", "classes=1").replace("filters=14", "filters=12")))
    metadata |= {"class_names": ["cell"], "anchors": [[1, 2], [3, 4], [5, 6], [7, 8.5]]}
    save_model(build_network(other), tmp_path / "trained.h5", metadata)
    assert convert("--to-darknet", tmp_path / "trained.h5", tmp_path / "t.cfg", tmp_path / "t.weights") == 0
    written = read_cfg(tmp_path / "t.cfg")
    assert [head.classes for head in yolo_heads(written)] == [1, 1]
    np.testing.assert_array_equal(yolo_heads(written)[0].anchors, [[1, 2], [3, 4], [5, 6], [7, 8.5]])
    assert open_weights(tmp_path / "t.weights", written).complete


def test_everything_that_the_file_says_and_a_cfg_can_say_goes_into_the_cfg(tmp_path, files):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    said = read_metadata(tmp_path / "m.h5")
    assert said["resize"] == "stretch"  # the cfg has a scale_x_y
    said |= {"input_shape": [96, 128], "resize": "letterbox", "anchor_mask": [[0, 3], [1, 2]]}
    said |= {"scale_x_y": [1.05, 1.2], "ignore_thresh": [0.7, 0.6]}
    save_model(build_network(read_cfg(cfg_path)), tmp_path / "trained.h5", said)

    assert convert("--to-darknet", tmp_path / "trained.h5", tmp_path / "t.cfg", tmp_path / "t.weights") == 0
    written = read_cfg(tmp_path / "t.cfg")
    assert written.input_shape == (96, 128, 3) and resize_of(written) == "letterbox"
    heads = yolo_heads(written)
    assert [head.mask for head in heads] == [(0, 3), (1, 2)]
    assert [head.scale_x_y for head in heads] == [1.05, 1.2]
    assert [head.ignore_thresh for head in heads] == [0.7, 0.6]
    assert "# mine" in written.text and written.text.count("\r\n") == written.text.count("\n")

    back = metadata_of(written, Header())
    assert all(back[key] == said[key] for key in ("input_shape", "resize", "anchors", "anchor_mask", "scale_x_y"))
    assert back["ignore_thresh"] == said["ignore_thresh"]


def test_heads_with_anchors_of_their_own_are_written_with_the_joined_anchors(tmp_path, files):
    cfg_path, weights_path, names_path = files
    cfg_path.write_text(text_of(YOLO.replace("10,13, 16,30, 33,23, 30,61", "1,2, 3,4, 5,6, 7,8", 1)))
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    said = read_metadata(tmp_path / "m.h5")
    assert (len(said["anchors"]), said["anchor_mask"]) == (8, [[2, 3], [4, 5]])
    said["anchors"] = [[side, side + 1] for side in range(1, 9)]
    save_model(build_network(read_cfg(cfg_path)), tmp_path / "trained.h5", said)
    assert convert("--to-darknet", tmp_path / "trained.h5", tmp_path / "t.cfg", tmp_path / "t.weights") == 0
    assert joined_anchors(yolo_heads(read_cfg(tmp_path / "t.cfg"))) == (said["anchors"], said["anchor_mask"])


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_a_described_network_says_how_its_images_are_resized(tmp_path, resize):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 1)(image)
    outputs = [keras.layers.Conv2D(21, 1)(keras.layers.MaxPooling2D(size)(x)) for size in (32, 16)]
    said = {"anchors": [[n, n] for n in range(10, 16)], "class_names": ["a", "b"], "input_shape": [96, 64]}
    save_model(keras.Model(image, outputs), tmp_path / "own.h5", {**said, "resize": resize, "scale_x_y": 1.1})
    assert convert("--to-darknet", tmp_path / "own.h5", tmp_path / "own.cfg", tmp_path / "own.weights") == 0
    written = read_cfg(tmp_path / "own.cfg")
    assert resize_of(written) == resize and written.input_shape == (96, 64, 3)


@pytest.mark.slow
def test_a_round_trip_of_a_network_of_another_size_than_its_cfg_evaluates_to_the_same_ap(tmp_path, files, shapes_set):
    cfg_path, weights_path, _ = files
    layers = YOLO.replace("10,13, 16,30, 33,23, 30,61", "20,20, 28,28, 36,36, 44,44")
    cfg_path.write_text(text_of(layers.replace("classes=2", "classes=3").replace("filters=14", "filters=16")))  # 16x16
    random_weights(weights_path, read_cfg(cfg_path))
    (tmp_path / "names").write_text("circle\nsquare\ntriangle\n")
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", tmp_path / "names") == 0
    network, said = load_network(tmp_path / "m.h5")
    for layer in ("conv_3", "conv_5"):  # boxes everywhere, some of which are right
        kernel, bias = network.get_layer(layer).get_weights()
        bias.reshape(2, 8)[:] = [0, 0, 0, 0, 3, 3, 0, 0]
        network.get_layer(layer).set_weights([0.1 * kernel, bias])
    save_model(network, tmp_path / "at_96.h5", said | {"input_shape": [96, 96], "resize": "letterbox"})

    back = tmp_path / "back.cfg", tmp_path / "back.weights"
    assert convert("--to-darknet", tmp_path / "at_96.h5", *back) == 0
    found = []
    for network in (["--weights", tmp_path / "at_96.h5"], ["--cfg", back[0], "--weights", back[1]]):
        words = [*network, "--data", shapes_set, "--classes", tmp_path / "names", "--json", tmp_path / "found.json"]
        assert evaluate_main([str(word) for word in words]) == 0
        found.append(json.loads((tmp_path / "found.json").read_text())["AP50"])
    assert found[0] > 0 and found[1] == pytest.approx(found[0], abs=1e-6)


@pytest.mark.slow
@needs_data
def test_a_trained_round_trip_at_another_size_evaluates_to_the_same_ap(tmp_path, shapes_set):
    cfg = DATA / "darknet" / "cfg" / "yolov3-tiny.cfg"
    weights = DATA / "darknet" / "weights" / "yolov3-tiny.weights"
    words = ["--data", shapes_set, "--cfg", cfg, "--weights", weights, "--input-size", 96, 96, "--precision", "float32"]
    words += ["--epochs", 20, "--batch-size", 4, "--evaluate-every", 20, "--mosaic", 0, "--output", tmp_path / "run"]
    assert train_main([str(word) for word in words]) == 0
    back = tmp_path / "back.cfg", tmp_path / "back.weights"
    assert convert("--to-darknet", tmp_path / "run" / "last.h5", *back) == 0
    assert read_cfg(back[0]).input_shape == (96, 96, 3)
    found = []
    names = tmp_path / "run" / "classes.txt"
    for network in (["--weights", tmp_path / "run" / "last.h5"], ["--cfg", back[0], "--weights", back[1]]):
        words = [*network, "--data", shapes_set, "--classes", names, "--json", tmp_path / "found.json"]
        assert evaluate_main([str(word) for word in words]) == 0
        found.append(json.loads((tmp_path / "found.json").read_text())["AP50"])
    assert found[0] > 0.5 and found[1] == pytest.approx(found[0], abs=1e-6)


def test_a_model_without_metadata_needs_anchors_and_classes(tmp_path, capsys):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 1)(image)  # Darknet reads the image once
    outputs = [keras.layers.Conv2D(21, 1)(keras.layers.MaxPooling2D(size)(x)) for size in (32, 16)]
    keras.Model(image, outputs).save(tmp_path / "own.keras")
    command = ["--to-darknet", tmp_path / "own.keras", tmp_path / "own.cfg", tmp_path / "own.weights"]
    assert convert(*command) == 1
    assert "give both (--anchors, --classes)" in capsys.readouterr().err
    with pytest.raises(ValueError, match="which Darknet's cfg needs; give both .anchors, class_names.$"):
        convert_to_darknet(*command[1:])
    (tmp_path / "anchors.txt").write_text("10,14, 23,27, 37,58, 81,82, 135,169, 344,319\n")
    (tmp_path / "names.txt").write_text("a\nb\n")
    assert convert(*command, "--anchors", tmp_path / "anchors.txt", "--classes", tmp_path / "names.txt") == 0
    assert yolo_heads(read_cfg(tmp_path / "own.cfg"))[1].mask == (0, 1, 2)


@pytest.mark.slow
@needs_data
def test_the_trained_network_converts_and_goes_back_to_the_same_bytes(tmp_path, capsys):
    weights = NANO.with_suffix(".weights")
    assert convert(NANO, weights, tmp_path / "nano.h5") == 0
    out = capsys.readouterr().out
    assert "class names: the 80 of" in out and "coco_classes.txt" in out
    assert read_metadata(tmp_path / "nano.h5")["resize"] == "stretch"
    assert convert("--to-darknet", tmp_path / "nano.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.cfg").read_bytes() == NANO.read_bytes()
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()
