"""Scripts in the idioms of public code for keras-yolo3, in ``scripts/``, run as they stand."""

import io
import runpy
import shutil
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.inference.test_detector import sample_image
from tests.keras2_model import write_keras2_weights
from yolo3.compat.weights import load_weights
from yolo3.compat.yolo import YOLO
from yolo3.datasets.formats.registry import read_dataset
from yolo3.inference.videos import VideoFile, read_frames
from yolo3.models.yolov3.networks import tiny_yolo_body

SCRIPTS = Path(__file__).parent / "scripts"
MODEL_DATA = Path(__file__).parents[2] / "model_data"


@pytest.fixture
def run_script(monkeypatch):
    """Run a script of this folder with arguments; return its names."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        return runpy.run_path(str(SCRIPTS / name))

    return run


@pytest.fixture
def checkout(tmp_path, monkeypatch, shapes_set, slim_tiny):
    """The files that a training script finds: annotations, classes, anchors, and weights of 80 classes by Keras 2."""
    monkeypatch.chdir(tmp_path)
    dataset = read_dataset(str(shapes_set))
    lines = []
    for annotation in dataset.annotations[:8]:
        boxes = zip(annotation.boxes.astype(int).tolist(), annotation.class_ids.tolist())
        lines.append(" ".join([annotation.image_path, *(",".join(map(str, [*box, number])) for box, number in boxes)]))
    Path("train.txt").write_text("\n".join(lines) + "\n")
    Path("model_data").mkdir()
    Path("model_data/voc_classes.txt").write_text("\n".join(dataset.class_names) + "\n")
    shutil.copy(MODEL_DATA / "tiny_yolo_anchors.txt", "model_data")
    published = tiny_yolo_body(keras.Input((None, None, 3)), 3, 80)
    write_keras2_weights(published, "model_data/tiny_yolo_weights.h5", first=1)
    return published


@pytest.mark.slow
def test_a_script_with_its_own_model_and_two_stages_trains(run_script, checkout, eagerly):
    names = run_script("two_stages.py")
    np.testing.assert_array_equal(names["loaded"], checkout.get_layer("conv_0").get_weights()[0])
    np.testing.assert_array_equal(names["after_first"], names["loaded"])
    assert np.abs(names["body"].get_layer("conv_0").get_weights()[0] - names["loaded"]).max() > 0
    assert names["first_stage"].epoch == [0] and names["second_stage"].epoch == [1]
    assert np.isfinite(names["second_stage"].history["val_loss"]).all()

    checkpoint = next(Path("logs/000").glob("ep001-loss*-val_loss*.weights.h5"))
    trained = names["body"].get_weights()
    for weights in (checkpoint, "logs/000/trained_weights_final.weights.h5", "logs/000/trained_weights_final.h5"):
        yolo = YOLO(
            model_path=str(weights),
            anchors_path="model_data/tiny_yolo_anchors.txt",
            classes_path="model_data/voc_classes.txt",
            model_image_size=(64, 64),
        )
        assert yolo.detect_image(Image.open(Path("train.txt").read_text().split()[0])).size == (96, 96)
        same = [np.array_equal(one, other) for one, other in zip(yolo.yolo_model.get_weights(), trained, strict=True)]
        assert all(same) or weights == checkpoint


@pytest.mark.slow
def test_a_notebook_that_tunes_the_last_layers_of_a_frozen_body_trains(run_script, checkout, eagerly):
    names = run_script("frozen_body.py")
    np.testing.assert_array_equal(names["before"][0], names["after"][0])
    assert np.abs(names["before"][1] - names["after"][1]).max() > 0
    body = tiny_yolo_body(keras.Input((None, None, 3)), 3, len(names["class_names"]))
    load_weights(body, "trained_weights_final.h5")
    np.testing.assert_array_equal(body.get_layer("conv_9").get_weights()[0], names["after"][1])


def test_a_subclass_with_its_own_defaults_counts_and_draws(run_script, folder, weights):
    names = run_script("own_detector.py", weights, "red.png", "green.png")
    assert names["counts"] == [2, 0]
    drawn = np.asarray(Image.open("counted.png"))
    assert drawn.shape == np.asarray(Image.open("green.png")).shape and drawn[..., 2].max() > 200  # the white text


def test_a_server_detects_in_the_threads_of_its_requests(run_script, weights):
    images = [Image.fromarray(sample_image(colour=colour)) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 0))] * 4
    names = run_script("server.py", weights)
    expected = [np.asarray(names["yolo"].detect_image(image)) for image in images[:3]] * 4
    thread = threading.Thread(target=names["server"].serve_forever)
    thread.start()

    def ask(image):
        content = io.BytesIO()
        image.save(content, "PNG")
        url = f"http://127.0.0.1:{names['server'].server_port}/detect"
        with urllib.request.urlopen(urllib.request.Request(url, content.getvalue())) as answer:
            return np.asarray(Image.open(io.BytesIO(answer.read())))

    try:
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(ask, images))
    finally:
        names["server"].shutdown()
        thread.join()
        names["server"].server_close()
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer, wanted)


def test_a_command_line_like_yolo_video_reads_images_and_videos(run_script, folder, weights, monkeypatch, capsys):
    typed = iter(["red.png", "none.png", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    run_script("detect_command.py", "--model", weights, "--image")
    assert "2 found\nOpen Error! Try again!" in capsys.readouterr().out

    video = VideoFile("in.mp4", 10)
    for number in range(2):
        video.add(sample_image(), number / 10)
    video.close()
    run_script("detect_command.py", "--model", weights, "--input", "in.mp4", "--output", "out.mp4")
    assert len(list(read_frames("out.mp4"))) == 2
