"""yolo3.inference.loading: files that come with weights have to agree with them."""

import numpy as np
import pytest

from tests.inference.test_detector import METADATA, cell_network
from yolo3.cli.main import main
from yolo3.compat.yolo import YOLO
from yolo3.datasets import pixel_limit
from yolo3.datasets.images import write_image
from yolo3.inference.detector import Detector
from yolo3.inference.loading import load_detector
from yolo3.models.saving import save_model


def test_files_that_disagree_with_the_weights_are_named(tmp_path):
    weights = tmp_path / "m.h5"
    save_model(cell_network(), weights, METADATA)
    classes, anchors = tmp_path / "c.txt", tmp_path / "a.txt"
    classes.write_text("red\ngreen\nany\n")
    anchors.write_text("32,32\n")
    assert load_detector(weights, classes, anchors).class_names == ["red", "green", "any"]
    for text, message in (
        ("red\ngreen\n", f"{classes} names 2 classes, but {weights} has 3"),
        ("red\nany\ngreen\n", f"{classes} calls class 1 'any', but {weights} calls it 'green'"),
    ):
        classes.write_text(text)
        with pytest.raises(ValueError) as error:
            load_detector(weights, classes)
        assert message in str(error.value)
    for text, message in (
        ("32,32, 64,64", f"{anchors} holds 2 anchors, but {weights} has 1"),
        ("32,33", f"{anchors} says 32,33 for anchor 0, but {weights} says 32,32"),
    ):
        anchors.write_text(text)
        with pytest.raises(ValueError) as error:
            load_detector(weights, None, anchors)
        assert message in str(error.value)


def message_of(call, *arguments, **named):
    with pytest.raises(ValueError) as error:
        call(*arguments, **named)
    return str(error.value)


def test_calls_name_their_own_arguments_and_the_command_its_options(tmp_path, capsys):
    weights = str(tmp_path / "m.keras")
    cell_network().save(weights)
    image = tmp_path / "red.png"
    write_image(image, np.zeros((32, 32, 3), np.uint8))

    missing = f"{weights}: carries no class names; give them "
    assert message_of(Detector, weights) == missing + "(class_names, anchors)"
    assert message_of(load_detector, weights) == missing + "(classes_path, anchors_path)"
    assert main(["detect", "--weights", weights, str(image)]) == 1
    assert capsys.readouterr().err == f"yolo3 detect: {missing}(--classes, --anchors)\n"

    save_model(cell_network(), weights, METADATA)
    assert message_of(Detector, weights, score_threshold=3).startswith("score_threshold: expected a number from 0")
    assert message_of(YOLO, model_path=weights, score=3).startswith("score: expected a number from 0 to 1, got 3")


def test_a_cfg_of_classes_without_names_asks_for_them(tmp_path, capsys):
    cfg, weights, image = tmp_path / "net.cfg", tmp_path / "net.weights", tmp_path / "red.png"
    layers = "[convolutional]\nfilters=16\nsize=1\nstride=32\nactivation=linear\n"
    cfg.write_text(f"[net]\nwidth=32\nheight=32\n{layers}[yolo]\nmask=0,1\nanchors=8,8, 9,9\nclasses=3\nnum=2\n")
    weights.write_bytes(np.array([0, 2, 5, 0, 0], np.int32).tobytes() + np.zeros(16 + 16 * 3, np.float32).tobytes())
    write_image(image, np.zeros((32, 32, 3), np.uint8))
    words = f"{cfg}: gives 3 classes but not their names; give "
    assert message_of(load_detector, weights, cfg_path=str(cfg)) == words + "classes_path=FILE"
    assert main(["detect", "--weights", str(weights), "--cfg", str(cfg), str(image)]) == 1
    assert capsys.readouterr().err == f"yolo3 detect: {words}--classes FILE\n"


def test_an_image_of_too_many_pixels_is_allowed_by_a_function_or_by_an_option(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pixel_limit, "_max_pixels", 1000)
    image = tmp_path / "red.png"
    write_image(image, np.zeros((64, 32, 3), np.uint8))
    detector = Detector(cell_network(), METADATA)
    words = f"{image}: expected an image, got 32x64 pixels, more than the 1,000 allowed; "
    allows = "yolo3.datasets.pixel_limit.limit_pixels allows up to 2^30"
    assert message_of(detector, str(image)) == message_of(detector.candidates, str(image)) == words + allows

    weights = str(tmp_path / "m.h5")
    save_model(cell_network(), weights, METADATA)
    assert main(["detect", "--weights", weights, "--max-pixels", "1000", str(image)]) == 1
    assert f"{words}--max-pixels allows up to 2^30\n" in capsys.readouterr().err
