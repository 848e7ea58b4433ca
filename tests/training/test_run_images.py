"""What a run shows of an evaluation: files in its folder, images in TensorBoard, the page."""

from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest

from yolo3.datasets.formats.registry import read_dataset
from yolo3.detections import Detections
from yolo3.evaluation.measures import measure
from yolo3.training.preparation import Prepared, prepare
from yolo3.training.run_folder import RunFolder
from yolo3.training.run_images import objects_by_class, write_images, write_run_report, write_targets_sheet
from yolo3.training.settings import TrainConfig


@pytest.fixture(scope="module")
def prepared(shapes_set):
    train, val = (read_dataset(shapes_set, list_name=name) for name in ("train", "val"))
    names = train.class_names
    return Prepared(train.annotations, val.annotations, names, SimpleNamespace(name="some network"))


@pytest.fixture(scope="module")
def found(prepared):
    """Everything that is there, but the first box of each image."""
    return [
        Detections(item.boxes[1:].astype(np.float32), np.full(len(item.boxes) - 1, 0.9, np.float32), item.class_ids[1:])
        for item in prepared.val
    ]


@pytest.fixture(scope="module")
def measures(prepared, found):
    return measure(prepared.val, found, prepared.class_names)


def test_images_go_into_the_folder_and_to_tensorboard(prepared, found, measures, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = RunFolder(tmp_path)
    callbacks = [keras.callbacks.Callback(), keras.callbacks.TensorBoard(str(tmp_path / "board"))]
    write_images(folder, prepared, measures=measures, detections=found, callbacks=callbacks, epoch=7)
    names = {"predictions", "precision_recall", "confusion"}
    assert {path.name for path in tmp_path.glob("*.png")} == {f"{name}.png" for name in names}
    events = accumulator.EventAccumulator(str(tmp_path / "board" / "images"), {"images": 0, "tensors": 0})
    events.Reload()
    assert set(events.Tags()["tensors"]) == names
    assert events.Tensors("confusion")[0].step == 7


def test_without_tensorboard_only_the_files_are_written(prepared, found, measures, tmp_path):
    write_images(RunFolder(tmp_path), prepared, measures=measures, detections=found, callbacks=[], epoch=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_report_says_what_was_trained(prepared, found, tmp_path):
    config = TrainConfig(anchors="a.txt", epochs=17, optimizer="sgd", batch_size=4, accumulate=3)
    folder = RunFolder(tmp_path / "run-3")
    write_run_report(folder, config, prepared, detections=found, precision="float32", epoch=9)
    page = (tmp_path / "run-3" / "report.html").read_text()
    for words in (
        "Training run run-3",
        "17 epochs",
        "best.h5: epoch 9,",
        "sgd, learning rate 0.001, cosine",
        "some network",
        "<dd>12</dd>",
    ):
        assert words in page, words


def test_objects_are_counted_by_class(prepared):
    counts = objects_by_class(prepared)
    assert list(counts) == prepared.class_names
    assert sum(counts.values()) == sum(len(item.boxes) for item in prepared.train)
    nothing = Prepared([], [], ["a", "b"], SimpleNamespace())
    assert objects_by_class(nothing) == {"a": 0, "b": 0}


def test_the_sheet_of_targets_shows_the_training_images(settings, tmp_path):
    write_targets_sheet(settings, prepare(settings), tmp_path / "targets.png")
    image = cv2.imread(str(tmp_path / "targets.png"))
    assert image.shape[0] >= 3 * 64 and image.shape[1] >= 4 * 64  # twelve images of 64 pixels, four in a row
    assert image.std() > 20
