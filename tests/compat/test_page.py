"""What docs/keras-yolo3.md says in place of keras-yolo3's scripts and imports, run as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.darknet.networks import random_weights
from tests.test_package import COCO_CFG
from yolo3.cli.main import main
from yolo3.darknet.cfg import parse_cfg
from yolo3.inference.videos import VideoFile
from yolo3.models.saving import save_model
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.networks import tiny_yolo_body

PAGE = (Path(__file__).parents[2] / "docs" / "keras-yolo3.md").read_text()
COMMANDS = re.findall(r"^\| `python .* \| `yolo3 (.*)` \|$", PAGE, re.MULTILINE)
IMPORTS = re.findall(r"from yolo3\S* import \w+(?:, \w+)*", PAGE)
SCRIPTS = "train train_bottleneck kmeans voc_annotation coco_annotation yolo_video convert".split()
SHORT = "--epochs 1 --batch-size 4 --input-size 64 64 --cache none"  # of a training


def tiny(num_classes):
    return tiny_yolo_body(keras.Input((None, None, 3)), 3, num_classes)


@pytest.fixture
def workplace(tmp_path, monkeypatch, shapes_set, slim_tiny):
    """A folder like a checkout of keras-yolo3, with its data, weights, an image and a video."""
    monkeypatch.chdir(tmp_path)
    Path("VOCdevkit").mkdir()
    Path("VOCdevkit/VOC2007").symlink_to(shapes_set)
    assert main(["data", "convert", str(shapes_set), "text", "--format", "keras-yolo3"]) == 0
    Path("images").symlink_to("text/images")
    shutil.copy("text/train.txt", "train.txt")

    Path("model_data").mkdir()
    names = Path("text/classes.txt").read_text().split()
    shutil.copy("text/classes.txt", "model_data/voc_classes.txt")
    metadata = {"model": "yolov3-tiny", "class_names": names, "anchors": DEFAULT_TINY_ANCHORS, "input_shape": [64, 64]}
    save_model(tiny(len(names)), "model_data/yolo.h5", metadata)
    Path("yolov3.cfg").write_text(COCO_CFG)
    random_weights(Path("yolov3.weights"), parse_cfg(COCO_CFG, "yolov3.cfg"))

    image = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(image).save("photo.jpg")
    video = VideoFile("in.mp4", 10)
    video.add(image, 0)
    video.close()
    return tmp_path


def test_the_page_names_every_script_of_keras_yolo3():
    assert len(COMMANDS) == 8 and len(IMPORTS) > 3
    assert [name for name in SCRIPTS if f"| `python {name}.py" not in PAGE] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split()[:2]))
def test_the_command_in_place_of_a_script_runs(command, workplace, eagerly):
    words = shlex.split(command)
    if "coco/annotations/instances_train2017.json" in words:
        assert main(["data", "convert", "VOCdevkit/VOC2007", "coco", "--format", "coco", "--list", "train"]) == 0
        Path("coco/annotations/instances_train.json").rename("coco/annotations/instances_train2017.json")
        Path("coco/train").rename("coco/train2017")
    if "convert" == words[0]:
        Path("model_data/yolo.h5").unlink()
    assert main(words + (shlex.split(SHORT) if words[0] == "train" else [])) == 0
    written = {"anchors": "yolo_anchors.txt", "convert": "model_data/yolo.h5"}.get(words[0])
    written = written or (f"{words[3]}/train.txt" if words[0] == "data" else None)
    assert written is None or Path(written).stat().st_size > 0


@pytest.mark.parametrize("line", IMPORTS)
def test_the_import_in_place_of_an_old_one_works(line):
    exec(line)


def test_the_seven_edits_are_what_keras_asks_and_the_page_says():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile(optimizer="sgd", loss="mse", run_eagerly=True)
    pair = np.zeros((1, 2)), np.zeros((1, 1))

    with pytest.raises(ValueError, match="lr"):
        keras.optimizers.Adam(lr=1e-3)
    with pytest.raises(TypeError, match="period"):
        keras.callbacks.ModelCheckpoint("ep{epoch:03d}.weights.h5", save_weights_only=True, period=3)
    with pytest.raises(ValueError, match="weights.h5"):
        keras.callbacks.ModelCheckpoint("ep{epoch:03d}.h5", save_weights_only=True)
    with pytest.raises(ValueError, match="weights.h5"):
        model.save_weights("trained.h5")
    assert not hasattr(model, "fit_generator") and not hasattr(inputs.shape, "as_list")
    with pytest.raises(TypeError, match="max_queue_size"):
        model.fit(*pair, max_queue_size=1)
    with pytest.raises(TypeError, match="found <class 'list'>"):
        model.fit((([inputs], outputs) for inputs, outputs in [pair] * 2), steps_per_epoch=1, shuffle=False, verbose=0)

    edits = PAGE[PAGE.index("| before | after |") :]
    for before in ("lr=", "period=", ".h5", "fit_generator", "yield [", "max_queue_size", "as_list"):
        assert before in edits


def test_a_train_py_of_ones_own_does_not_stand_before_the_functions(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("raise SystemExit('the user's own')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    exec("from yolo3.compat.train import create_model, create_tiny_model, get_anchors, get_classes, data_generator")


@pytest.mark.slow
def test_the_lines_that_train_on_stored_features_run_as_they_stand(workplace):
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "bottleneck" in block)
    shutil.copy("model_data/yolo.h5", "model_data/yolo_weights.h5")
    lines = Path("train.txt").read_text().splitlines()
    names = Path("model_data/voc_classes.txt").read_text().split()
    scope = {"input_shape": (64, 64), "anchors": DEFAULT_TINY_ANCHORS, "num_classes": len(names), "lines": lines}
    exec(block.replace("epochs=30", "epochs=1"), scope)
    assert len(scope["features"][0]) >= len(lines)
