"""Fixtures of tests that run training: settings of short runs, eager steps, nothing drawn."""

import pytest

from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.training.settings import TrainConfig


@pytest.fixture
def undrawn(monkeypatch):
    """Runs within a test draw nothing, which saves time; those of shared fixtures, which are made before, do."""
    from yolo3.training import loop

    monkeypatch.setattr(loop, "write_curves", lambda *_: None)
    monkeypatch.setattr(loop, "write_images", lambda *_, **__: None)
    monkeypatch.setattr(loop, "write_run_report", lambda *_, **__: None)


@pytest.fixture(scope="session")
def settings(shapes_set, tmp_path_factory):
    """Settings of three epochs of the tiny network on twelve images of 64 pixels, without mosaic."""
    anchors = tmp_path_factory.mktemp("anchors") / "tiny.txt"
    write_anchors(anchors, DEFAULT_TINY_ANCHORS)
    return TrainConfig(
        anchors=str(anchors),
        data=shapes_set,
        input_size=(64, 64),
        batch_size=4,
        epochs=3,
        evaluate_every=1,
        precision="float32",
        seed=1,
        augment=Augmentation(mosaic=0.0),
    )
