"""The package as a wheel: built, installed in an empty environment, and used far from any checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.darknet.networks import random_weights
from yolo3.darknet.cfg import parse_cfg

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
COCO_CFG = """[net]
width=64
height=64
channels=3
[convolutional]
filters=8
size=3
stride=32
pad=1
activation=leaky
[convolutional]
filters=255
size=1
stride=1
activation=linear
[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
classes=80
num=3
"""

pytestmark = pytest.mark.slow


def run(*command, cwd, status=0):
    """Run a command without a trace of this checkout in its environment; return its standard output."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Wheel built from a source distribution, itself built from a copy of the sources."""
    pytest.importorskip("build", reason="needs the package build")
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    for folder in ("yolo3", "model_data"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--outdir", built, copy, cwd=built)
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder of the commands of a new environment that holds the wheel and sees the packages it depends on."""
    place = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(place)
    folders = {"base": str(place), "platbase": str(place)}
    purelib = sysconfig.get_path("purelib", "venv", vars=folders)
    (Path(purelib) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=folders))
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--no-index", "--no-deps"]
    run(*pip, wheel, cwd=tmp_path_factory.getbasetemp())
    return scripts


def test_the_wheel_holds_the_package_alone_with_its_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"yolo3"}
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "yolo3").rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert data and data <= set(names)
    assert "License-Expression: MIT" in metadata and "Requires-Python: <3.14,>=3.11" in metadata


def test_the_installed_package_trains_detects_and_exports_outside_any_checkout(installed, shapes_set, tmp_path):
    yolo3 = installed / "yolo3"
    where = run(installed / "python", "-c", "import yolo3; print(yolo3.__file__)", cwd=tmp_path)
    assert str(installed.parent) in where

    options = "--epochs 1 --batch-size 4 --input-size 64 64 --evaluate-every 1".split()
    run(yolo3, "train", "--data", shapes_set, *options, "--output", "run", cwd=tmp_path)
    image = next(Path(shapes_set).rglob("*.jpg"))
    command = [yolo3, "detect", "--weights", "run/best.h5", image, "--json", "found.json", "--score-threshold", "0"]
    run(*command, "--max-boxes", "3", cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())
    names = [detection["class_name"] for detection in found["detections"]]
    assert len(names) == 3 and set(names) <= {"circle", "square", "triangle"}

    format, file = ("onnx", "best.onnx") if find_spec("tf2onnx") else ("saved_model", "best_saved_model")
    run(yolo3, "export", "--weights", "run/best.h5", "--format", format, "--output", file, cwd=tmp_path)
    run(yolo3, "detect", "--weights", file, image, cwd=tmp_path)


def test_darknets_80_classes_have_cocos_names_outside_any_checkout(installed, shapes_set, tmp_path):
    (tmp_path / "coco.cfg").write_text(COCO_CFG)
    random_weights(tmp_path / "coco.weights", parse_cfg(COCO_CFG, "coco.cfg"))
    image = next(Path(shapes_set).rglob("*.jpg"))
    command = [installed / "yolo3", "detect", "--cfg", "coco.cfg", "--weights", "coco.weights", image]
    run(*command, "--score-threshold", "0", "--max-boxes", "3", "--json", "found.json", cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())
    names = (ROOT / "model_data" / "coco_classes.txt").read_text().splitlines()
    assert found["detections"] and {one["class_name"] for one in found["detections"]} <= set(names)


def test_keras_yolo3s_functions_are_importable_from_the_package(installed, tmp_path):
    run(installed / "python", "-c", "from yolo3.compat.train import create_model, get_classes", cwd=tmp_path)
