"""Exported files in use: without Keras, without TensorFlow, and with as few packages as they need."""

import subprocess
import sys

import pytest

from tests.export.networks import cells, need, photographs
from yolo3.datasets.images import write_image
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.registry import RUNTIMES, find_runtime

HEAVY = "{'tensorflow', 'keras', 'matplotlib', 'jax', 'torch', 'tf2onnx', 'onnx'}"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Path of an ONNX file with decoded boxes."""
    need("onnx")
    from yolo3.export.export import export
    from yolo3.export.settings import ExportSettings

    path = tmp_path_factory.mktemp("exported") / "cells.onnx"
    export(cells(), path, ExportSettings(format="onnx"))
    return path


@pytest.mark.slow
def test_detect_and_evaluate_import_neither_tensorflow_nor_keras_nor_matplotlib(exported, tmp_path):
    write_image(tmp_path / "a.png", photographs()[0])
    (tmp_path / "data.txt").write_text("a.png 64,0,128,32,0 64,32,128,64,0\n")
    (tmp_path / "classes.txt").write_text("red\ngreen\nany\n")
    for command in (["detect", "a.png", "--json", "found.json"], ["evaluate", "--data", "data.txt"]):
        argv = [command[0], "--weights", str(exported), *command[1:]]
        script = (
            "import sys\n"
            "from yolo3.cli.main import main\n"
            f"status = main({argv!r})\n"
            f"print('heavy:', sorted({HEAVY} & set(sys.modules)))\n"
            "sys.exit(status)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "heavy: []"
    assert (tmp_path / "found.json").exists() and (tmp_path / "detections" / "a.png").exists()


@pytest.mark.slow
def test_detection_needs_numpy_opencv_and_onnxruntime_alone(exported, tmp_path):
    write_image(tmp_path / "a.png", photographs()[0])
    absent = (
        "tensorflow",
        "keras",
        "h5py",
        "matplotlib",
        "PIL",
        "tqdm",
        "lxml",
        "yaml",
        "jinja2",
        "pycocotools",
        "msgspec",
    )
    start = f"import sys\nsys.modules.update(dict.fromkeys({absent!r}))\nfrom yolo3.cli.main import main\n"
    argv = ["detect", "--weights", str(exported), "a.png", "--no-images", "--csv", "found.csv"]
    done = subprocess.run(
        [sys.executable, "-c", f"{start}sys.exit(main({argv!r}))"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 1 + len(cells()(photographs()[0]))

    done = subprocess.run(
        [sys.executable, "-c", f"{start}sys.exit(main({argv[:4]!r}))"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (
        done.returncode == 1 and done.stderr == "yolo3 detect: needs PIL, which is not installed: pip install pillow\n"
    )


def test_formats_are_told_by_their_names(tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    for name, expected in (
        ("a.ONNX", "onnx"),
        ("b.tflite", "litert"),
        ("c.xml", "openvino"),
        ("saved", "saved_model"),
        ("best.h5", None),
        ("no_folder", None),
    ):
        found = find_runtime(tmp_path / name)
        assert (found and found.name) == expected
    assert find_runtime(object()) is None


def test_a_missing_runtime_is_one_line_that_names_the_extra(tmp_path, monkeypatch):
    for name, suffix in (("onnx", ".onnx"), ("litert", ".tflite"), ("openvino", ".xml")):
        monkeypatch.setitem(sys.modules, RUNTIMES[name].package, None)
        path = tmp_path / f"m{suffix}"
        path.touch()
        with pytest.raises(ValueError, match=rf"m\{suffix}: .* is not installed: pip install 'yolo3\[{name}\]'"):
            Detector(path)


@pytest.mark.parametrize(("name", "suffix"), [("onnx", ".onnx"), ("litert", ".tflite"), ("openvino", ".xml")])
def test_files_of_another_kind_are_refused_in_one_line(name, suffix, tmp_path):
    need(name)
    path = tmp_path / f"m{suffix}"
    path.write_bytes(b"not a network")
    with pytest.raises(ValueError, match=rf"m\{suffix}: ") as error:
        Detector(path)
    assert "yolo3 export" in str(error.value) or "cannot open it" in str(error.value)
    with pytest.raises(FileNotFoundError):
        Detector(tmp_path / f"absent{suffix}")
