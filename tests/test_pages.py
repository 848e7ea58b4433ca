"""The commands of the documentation, run as they stand: blocks below a line ``<!-- runs -->``."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.darknet.networks import random_weights
from tests.test_package import COCO_CFG
from yolo3.cli.main import main
from yolo3.darknet.cfg import parse_cfg

ROOT = Path(__file__).parents[1]
SHORT = "--epochs 1 --batch-size 4 --input-size 64 64 --cache none"  # a page trains for hours, a test for seconds
UNSURE = "--score-threshold 0.001"  # what a network finds that has been trained for one epoch
RUNS = re.compile(r"^<!-- runs -->\n```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if RUNS.search(page.read_text())]


def commands_of(page):
    """Commands of the blocks of a page that say that they run."""
    lines = "\n".join(RUNS.findall(page.read_text())).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_pages_have_commands_that_run():
    assert {"start.md", "your-data.md", "darknet.md"} <= {page.name for page in PAGES}
    assert all(words[0] == "yolo3" for page in PAGES for words in commands_of(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_as_they_stand(page, shapes_set, tmp_path, monkeypatch, slim_tiny, eagerly):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("DATA").symlink_to(shapes_set)
    Path("IMAGES").symlink_to(next(Path(shapes_set).rglob("*.jpg")).parent)
    Path("yolov3.cfg").write_text(COCO_CFG)
    random_weights(Path("yolov3.weights"), parse_cfg(COCO_CFG, "yolov3.cfg"))

    for _, *words in commands_of(page):
        if ("onnx" in words or any(word.endswith(".onnx") for word in words)) and find_spec("tf2onnx") is None:
            continue
        trains = words[0] == "train" and "--check-only" not in words
        words += shlex.split(SHORT) if trains else []
        words += ["--data", "DATA"] if trains and "--data" not in words else []  # not the 700 rendered shapes
        words += shlex.split(UNSURE) if "--dataset" in words else []
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
        assert status == 0, words
