"""yolo3.inference.loading: files that come with weights have to agree with them."""

import pytest

from tests.inference.test_detector import METADATA, cell_network
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
