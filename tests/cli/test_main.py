"""The commands as a user types them; the network is that of test_detector."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from yolo3.cli.main import COMMANDS, main


def fails_in_one_line(argv, capsys):
    """Return the line on stderr of a command that ends with status 1."""
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    return error


# The command itself


def test_help_needs_neither_tensorflow_nor_keras():
    for argv in (["--help"], ["detect", "--help"], ["evaluate", "--help"]):
        code = (
            "import sys\nfrom yolo3.cli.main import main\n"
            f"try:\n    main({argv})\nexcept SystemExit as end:\n    assert end.code == 0\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert all(name in done.stdout for name in (COMMANDS if argv == ["--help"] else ["--weights"]))


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "yolo3", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("yolo3 ")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["detect"],
        ["detect", "--weights", "m.h5"],
        ["detect", "--weights", "m.h5", "--input-size", "0", "100", "a.jpg"],
        ["detect", "--weights", "m.h5", "--score-threshold", "1.5", "a.jpg"],
        ["detect", "--weights", "m.h5", "--batch-size", "0", "a.jpg"],
        ["evaluate", "--weights", "m.h5"],
        ["evaluate", "--weights", "m.h5", "--data", ".", "--resize", "crop"],
    ],
)
def test_wrong_options_end_with_status_2(argv, capsys):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    assert "usage: yolo3" in capsys.readouterr().err


def test_packages_that_evaluate_lacks_are_named_at_once(monkeypatch, capsys):
    def lacks_lxml(name):
        raise ModuleNotFoundError("No module named 'lxml.etree'", name="lxml.etree")

    absent = ("lxml", "yaml")
    monkeypatch.setattr(sys.modules["yolo3.cli.main"], "find_spec", lambda name: None if name in absent else object())
    monkeypatch.setattr(importlib, "import_module", lacks_lxml)
    line = fails_in_one_line(["evaluate"], capsys)
    assert line == "yolo3 evaluate: needs lxml, yaml, which are not installed: pip install lxml pyyaml\n"
    line = fails_in_one_line(["detect"], capsys)
    assert line == "yolo3 detect: needs lxml, which is not installed: pip install lxml\n"


# evaluate


@pytest.mark.slow
def test_evaluate_prints_a_table_and_writes_json(weights, folder, capsys):
    Path("train.txt").write_text("red.png 64,0,128,32,0 64,32,128,64,0\ngreen.png 64,0,128,32,1\n")
    files = ["--json", "ap.json", "--save-detections", "found.json"]
    assert main(["evaluate", "--weights", weights, "--data", "train.txt", *files]) == 0
    what, *lines = capsys.readouterr().out.splitlines()
    assert what.endswith("on 2 images of train.txt")
    table = [line.split() for line in lines]
    assert table[0] == ["class", "AP50", "AP", "objects"]
    assert table[1] == ["red", "1.000", "1.000", "2"]
    assert table[3] == ["any", "-", "-", "0"] and table[4][0] == "all" and table[4][3] == "3"
    results = json.loads(Path("ap.json").read_text())
    assert results["per_class"]["red"] == pytest.approx({"AP50": 1, "AP": 1, "num_truths": 2})
    assert results["per_class"]["any"]["AP50"] is None
    assert results["AP50"] == pytest.approx((1 + results["per_class"]["green"]["AP50"]) / 2)
    assert len(json.loads(Path("found.json").read_text())) == 4


def test_user_errors_of_evaluate_end_in_one_line(weights, folder, capsys):
    argv = ["evaluate", "--weights", weights, "--data"]
    assert "nowhere" in fails_in_one_line([*argv, "nowhere"], capsys)
    Path("train.txt").write_text("red.png 64,0,128,32,3\n")
    assert main([*argv, "train.txt"]) == 1
    error = capsys.readouterr().err
    assert "error: train.txt:1: expected a class id from 0 to 2" in error and "Traceback" not in error
    assert main([*argv, "train.txt", "--skip-bad"]) == 1  # ids that start at 1 are all wrong, not only the largest
    assert "class ids seem to start at 1" in capsys.readouterr().err


def test_evaluate_stops_at_annotations_that_cannot_be_used(weights, folder, capsys):
    Path("train.txt").write_text("red.png 64,0,128,32,0\nabsent.png 1,2,3,4,0\n")
    assert main(["evaluate", "--weights", weights, "--data", "train.txt"]) == 1
    error = capsys.readouterr().err
    assert "train.txt: 1 invalid annotation, the first: train.txt:2" in error
    assert main(["evaluate", "--weights", weights, "--data", "train.txt", "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert "skipped: 1 " in said.err and "all " in said.out


# Where results go


def test_outputs_that_cannot_be_written_are_refused_before_the_work(weights, folder, capsys):
    Path("train.txt").write_text("red.png 64,0,128,32,0\n")
    Path("results").mkdir()
    evaluate = ["evaluate", "--weights", weights, "--data", "train.txt"]
    detect = ["detect", "--weights", weights, "red.png"]
    for argv in ([*evaluate, "--json"], [*evaluate, "--save-detections"], [*detect, "--json"]):
        line = fails_in_one_line([*argv, "results"], capsys)
        assert "results: expected a file to write, got a folder" in line
    for argv in ([*evaluate, "--json", "train.txt/a.json"], [*detect, "--output", "train.txt"]):
        line = fails_in_one_line(argv, capsys)
        assert "expected a folder at" in line and "train.txt, got a file" in line
    assert not Path("detections").exists()


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_imports_nothing_that_takes_long(words):
    heavy = {"numpy", "cv2", "PIL", "yaml", "lxml", "msgspec", "tqdm", "h5py", "keras", "tensorflow", "matplotlib"}
    program = f"""
import sys
from yolo3.cli.main import main
try:
    main({words})
except SystemExit:
    print(sorted({heavy} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "usage: yolo3" in found.stdout
    assert found.stdout.splitlines()[-1] == "[]"
