"""The examples of docs/extending.md run as they are."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from yolo3.cli import train
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.images import write_image
from yolo3.models import registry as models

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)


@pytest.fixture
def extended(monkeypatch):
    """Run the three examples, for one test."""
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS.copy())
    monkeypatch.setitem(DESCRIPTIONS, "boxes", "")  # and taken out after the test
    monkeypatch.setattr(models, "MODELS", models.MODELS.copy())
    for example in EXAMPLES:
        exec(compile(example, "<docs/extending.md>", "exec"), {"__name__": "example"})


@pytest.fixture
def data(tmp_path):
    """A file in the format of the example, with eight images of one light object each."""
    lines = []
    for number in range(8):
        image = np.random.default_rng(number).integers(0, 60, (64, 96, 3), np.uint8)
        image[10:50, 20:80] += 150
        write_image(tmp_path / f"{number}.png", image)
        box = [20, 10, 80, 50, "cat" if number % 2 else "dog"]
        lines.append(json.dumps({"image": f"{number}.png", "boxes": [box]}))
    (tmp_path / "cells.boxes").write_text("\n".join(lines) + "\n")
    return tmp_path / "cells.boxes"


def test_there_is_one_example_each_of_a_format_a_network_and_an_architecture():
    assert len(EXAMPLES) == 3


def test_the_format_is_recognised_read_and_written_back(extended, data, tmp_path):
    dataset = formats.read_dataset(data)
    assert dataset.format == "boxes" and dataset.class_names == ["cat", "dog"] and len(dataset.annotations) == 8
    formats.write_dataset(dataset, tmp_path / "again.boxes", "boxes")
    again = formats.read_dataset(tmp_path / "again.boxes")
    for one, other in zip(dataset.annotations, again.annotations, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        assert (one.image_path, one.class_ids.tolist()) == (other.image_path, other.class_ids.tolist())


def test_help_describes_what_was_registered(extended, capsys):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, description in [
        ("boxes", "JSON, an image per line"),
        ("yolov3-small", "five convolutions and two scales"),
        ("one-box", "a single box per cell"),
    ]:
        assert name in text and description in text


def test_the_architecture_decodes_its_targets_to_the_boxes(extended):
    architecture = models.named_architecture("one-box", 2)
    boxes = np.array([[[0.3, 0.4, 0.2, 0.5, 1], [0, 0, 0, 0, 0]]], np.float32)
    targets = np.asarray(architecture.build_targets(boxes, (64, 96)))  # [1, 2 * 3, 7]: cell 0 holds the centre
    assert targets[0, 0].tolist() == pytest.approx([0.3, 0.4, 0.2, 0.5, 1, 0, 1]) and not targets[0, 1:].any()

    # The logits whose sigmoids are the targets: objectness and classes far out.
    logits = np.log(np.clip(targets, 1e-6, 1 - 1e-6) / (1 - np.clip(targets, 1e-6, 1 - 1e-6))).reshape(1, 2, 3, 7)
    decoded, scores = (np.asarray(array) for array in architecture.decode([logits], (64, 96)))
    np.testing.assert_allclose(decoded[0, 0], [0.2 * 96, 0.15 * 64, 0.4 * 96, 0.65 * 64], rtol=1e-4)
    assert scores[0, 0, 1] > 0.99 and scores[0, 1:].max() < 0.01
    assert all(float(term) < 1e-3 for term in architecture.loss_terms([logits], targets, (64, 96)).values())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolov3-small", "one-box"])
def test_registered_entries_train_and_detect(extended, data, tmp_path, model, capsys):
    from yolo3.inference.detector import Detector

    options = ["--input-size", "64", "96", "--epochs", "2", "--batch-size", "4", "--precision", "float32"]
    status = train.main(["--model", model, "--data", str(data), *options, "--output", str(tmp_path / "run")])
    assert status == 0, capsys.readouterr()
    assert model in capsys.readouterr().out
    detector = Detector(str(tmp_path / "run" / "best.h5"), score_threshold=0.0)
    assert len(detector(str(tmp_path / "0.png"))) > 0
