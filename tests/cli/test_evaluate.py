"""`yolo3 evaluate` as a user types it: formats, the files it writes, user errors. Network: test_detector's."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_report import Page
from tests.inference.test_detector import METADATA, sample_image
from yolo3.cli.main import main
from yolo3.datasets.annotation import Box, Dataset, build_annotation
from yolo3.datasets.formats.registry import write_dataset
from yolo3.datasets.images import write_image
from yolo3.evaluation.tables import format_line, format_table

pytestmark = pytest.mark.usefixtures("eagerly")  # the network is a layer, whose graph takes longer to build than to run
RED = [Box((64, 0, 128, 32), 0), Box((64, 32, 128, 64), 0)]  # the two cells that the network sees as red


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder. 1.png: red in two cells, both annotated; 2.png: green, one of its two cells is called red."""
    monkeypatch.chdir(tmp_path)
    write_image("1.png", sample_image())
    write_image("2.png", sample_image(colour=(0, 255, 0)))
    Path("train.txt").write_text("1.png 64,0,128,32,0 64,32,128,64,0\n2.png 64,0,128,32,0 64,32,128,64,1\n")
    return tmp_path


def dataset(folder):
    boxes = {"1.png": RED, "2.png": [Box(RED[0].xyxy, 0), Box(RED[1].xyxy, 1)]}
    annotations = [build_annotation(str(folder / name), boxes[name], name, (64, 128)) for name in boxes]
    return Dataset(annotations, METADATA["class_names"], "keras-yolo3")


def fails(argv, capsys):
    """Return the line on stderr of a command that ends with status 1."""
    assert main(["evaluate", *argv]) == 1
    error = capsys.readouterr().err
    assert error.startswith("yolo3 evaluate: ") and error.count("\n") == 1 and "Traceback" not in error
    return error


def test_a_report_json_and_detections_are_written_and_agree(weights, folder, capsys):
    files = ["--report", "out/r.html", "--json", "out/ap.json", "--save-detections", "out/found.json"]
    assert main(["evaluate", "--weights", weights, "--data", "train.txt", *files]) == 0
    # four confident detections: two hits on red, one on green; the fourth is green on a red object
    said = capsys.readouterr().out
    assert "at a score of 0.3: precision 0.750, recall 0.750, F1 0.750; best F1 0.750 at" in said
    assert "report: out/r.html" in said
    figures, page = json.loads(Path("out/ap.json").read_text()), Page(Path("out/r.html").read_text())
    assert page.figures["AP"] == figures["AP"] and page.figures["AP50"] == figures["AP50"]
    at_score = figures["at_score"]
    assert at_score["precision"] == page.figures["precision"] == 0.75 and at_score["score"] == 0.3
    assert at_score["errors"] == {"missed": 0, "wrong_class": 1, "badly_placed": 0, "duplicate": 0, "background": 0}
    assert len(json.loads(Path("out/found.json").read_text())) == 4
    for words in ("/m.h5 on ", "train.txt (keras-yolo3)", "64 x 64 pixels", "stretch", "AP 0.001", "SHA-256"):
        assert words in page.text, words
    assert [image["alt"] for image in page.of("img") if image.get("class") != "chart"] == [
        "2.png: 1 hit, 1 misclassified"
    ]
    assert str(folder.parent) not in Path("out/r.html").read_text()  # where files lie is private


@pytest.mark.slow
@pytest.mark.parametrize("format", ["keras-yolo3", "voc", "coco", "yolo"])
def test_every_format_gives_the_same_figures(format, weights, folder):
    write_dataset(dataset(folder), "data", format)
    assert main(["evaluate", "--weights", weights, "--data", "data", "--json", "ap.json"]) == 0
    figures = json.loads(Path("ap.json").read_text())
    assert figures["at_score"]["precision"] == 0.75 and figures["per_class"]["red"]["num_truths"] == 3
    # red: 2 of 3 found without a mistake: 67 of 101 points; green: one hit, one false of the same score
    assert figures["per_class"]["red"]["AP50"] == pytest.approx(67 / 101)


def test_detections_of_coco_data_give_pycocotools_the_same_figures(weights, folder):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    write_dataset(dataset(folder), "data", "coco")
    (truth,) = Path("data").rglob("*.json")
    argv = ["--data", str(truth), "--json", "ap.json", "--save-detections", "found.json"]
    assert main(["evaluate", "--weights", weights, *argv]) == 0
    with contextlib.redirect_stdout(io.StringIO()):
        own = COCO(str(truth))
        evaluation = COCOeval(own, own.loadRes("found.json"), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = json.loads(Path("ap.json").read_text())
    np.testing.assert_allclose([figures["AP"], figures["AP50"]], evaluation.stats[:2], atol=1e-6)


def test_the_score_threshold_of_errors_cannot_be_below_that_of_the_detections(weights, folder, capsys):
    argv = ["evaluate", "--weights", weights, "--data", "train.txt"]
    assert main([*argv, "--score-threshold", "0.5"]) == 0
    assert "at a score of 0.5: precision" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main([*argv, "--score-threshold", "0.5", "--at-score", "0.2"])
    assert end.value.code == 2
    assert "--at-score: expected --score-threshold (0.5) or more" in capsys.readouterr().err


def test_classes_without_objects_have_rows_while_they_are_few():
    part = {"AP50": float("nan"), "AP": float("nan"), "num_truths": 0}
    classes = {"cat": {"AP50": 0.5, "AP": 0.25, "num_truths": 2}} | {f"class {index}": part for index in range(6)}
    few, many = (
        format_table({"AP50": 0.5, "AP": 0.25, "per_class": dict(list(classes.items())[:count])}).splitlines()
        for count in (6, 7)
    )
    assert len(few) == 8 and few[2].split() == ["class", "0", "-", "-", "0"]
    assert many[1:] == [
        "cat     0.500   0.250        2",
        "all     0.500   0.250        2",
        "(6 classes have no objects)",
    ]


def test_files_that_would_be_overwritten_are_refused_before_anything_is_read(folder, capsys):
    Path("m.h5").write_text("no network")  # the files are looked at first, or this would be the message
    argv = ["--weights", "m.h5", "--data", "train.txt"]
    assert "r.pdf: expected a name that ends in .html for --report" in fails([*argv, "--report", "r.pdf"], capsys)
    assert "/dev/null: expected a file to write, got a device" in fails([*argv, "--json", "/dev/null"], capsys)
    assert "l.txt: expected a name that ends in .json" in fails([*argv, "--save-detections", "l.txt"], capsys)
    Path("data.json").write_text("no data")
    own = "expected a separate output file"
    data = ["--weights", "m.h5", "--data", "data.json"]
    assert f"./data.json: {own}" in fails([*data, "--json", "./data.json"], capsys)
    assert f"data.json: {own}" in fails([*data, "--save-detections", "data.json"], capsys)
    assert f"a.json: {own}" in fails([*argv, "--json", "a.json", "--save-detections", "./a.json"], capsys)
    Path("r.html").mkdir()
    assert "r.html: expected a file to write, got a folder" in fails([*argv, "--report", "r.html"], capsys)
    assert "expected a folder at" in fails([*argv, "--report", "train.txt/r.html"], capsys)
    assert "nowhere.txt: No such file" in fails(["--weights", "m.h5", "--data", "nowhere.txt"], capsys)
    assert "none.h5: No such file" in fails(["--weights", "none.h5", "--data", "train.txt"], capsys)
    assert Path("m.h5").read_text() == "no network"


def test_an_unwritable_folder_is_reported_before_the_work(folder, capsys, monkeypatch):
    def refuse(dir):
        raise OSError(30, "Read-only file system", dir)

    Path("m.h5").write_text("no network")
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    error = fails(["--weights", "m.h5", "--data", "train.txt", "--json", "a.json"], capsys)
    assert f"a.json: expected a folder that can be written to, got {folder} (Read-only" in error


def test_annotations_in_the_data_folder_are_not_overwritten(weights, folder, capsys):
    write_dataset(dataset(folder), "data", "coco")
    (truth,) = Path("data").rglob("*.json")
    before = truth.read_bytes()
    error = fails(["--weights", weights, "--data", "data", "--json", f"./{truth}"], capsys)
    assert "got one that holds the annotations" in error and truth.read_bytes() == before


def test_data_errors_end_in_one_line(weights, folder, capsys):
    argv = ["--weights", weights, "--data"]
    assert "got 'test'" in fails([*argv, "train.txt", "--list", "test"], capsys)
    Path("empty").mkdir()
    assert "an empty folder" in fails([*argv, "empty"], capsys)
    Path("empty.txt").write_text("")
    assert "empty.txt" in fails([*argv, "empty.txt", "--format", "keras-yolo3"], capsys)


def test_classes_unknown_to_the_network_are_reported_in_one_line(weights, folder, capsys):
    Path("classes.txt").write_text("red\nblue\n")  # names the ids of train.txt
    argv = ["--weights", weights, "--data", "train.txt"]
    error = fails(argv, capsys)
    assert f"train.txt: expected classes that {weights} knows (red, green, any), got 'blue'; " in error
    assert "--skip-bad" in error
    assert main(["evaluate", *argv, "--skip-bad"]) == 0
    assert "skipped: 1 unknown-class" in capsys.readouterr().err


def test_images_without_objects_cannot_be_evaluated_on(weights, folder, capsys):
    Path("train.txt").write_text("1.png\n2.png\n")
    argv = ["--weights", weights, "--data", "train.txt", "--format", "keras-yolo3"]
    error = fails([*argv, "--report", "r.html"], capsys)
    assert "train.txt: expected annotated objects in 2 images, got none; use `yolo3 detect`" in error
    assert not Path("r.html").exists()


def test_an_interrupted_evaluation_leaves_old_files_as_they_are(weights, folder, capsys, monkeypatch):
    def interrupt(detector, annotations, progress):
        progress(1, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("yolo3.evaluation.evaluate.detect_annotations", interrupt)
    files = {"--report": "r.html", "--json": "a.json", "--save-detections": "d.json"}
    for name in files.values():
        Path(name).write_text("before")
    argv = ["--weights", weights, "--data", "train.txt", *[word for option in files.items() for word in option]]
    assert main(["evaluate", *argv]) == 130
    assert capsys.readouterr().err.endswith("yolo3 evaluate: interrupted\n")
    assert {Path(name).read_text() for name in files.values()} == {"before"}
    assert {path.suffix for path in folder.iterdir()} == {".png", ".txt", ".html", ".json"}


def test_the_summary_line_says_when_there_is_no_hit():
    figures = {"score": 0.3, "precision": 0.0, "recall": 0.0, "F1": 0.0, "best_F1": float("nan")}
    line = format_line(figures | {"best_score": float("nan")})
    assert line == "at a score of 0.3: precision 0.000, recall 0.000, F1 0.000; no hit at any score"


# Detections from files


def test_detections_of_two_parts_give_the_lines_of_one_process(weights, folder, capsys):
    Path("classes.txt").write_text("red\ngreen\nany\n")
    assert main(["evaluate", "--weights", weights, "--data", "train.txt", "--json", "whole.json"]) == 0
    whole = capsys.readouterr().out.splitlines()
    for part in (1, 2):
        words = ["--part", f"{part}/2", "--score-threshold", "0.001", "--json", f"{part}.json", "--no-images"]
        assert main(["detect", "--weights", weights, "1.png", "2.png", *words]) == 0
    capsys.readouterr()

    words = ["--data", "train.txt", "--classes", "classes.txt"]
    assert main(["evaluate", "--from-detections", "1.json", "2.json", *words, "--json", "parts.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1.json, 2.json on 2 images of train.txt" and lines[1:] == whole[-len(lines) + 1 :]
    assert json.loads(Path("parts.json").read_text()) == json.loads(Path("whole.json").read_text())

    error = fails(["--from-detections", "1.json", *words], capsys)
    assert "2.png: expected its detections in one of the files, got 1 others" in error
    error = fails(["--from-detections", "1.json", "2.json", "1.json", *words], capsys)
    assert "1.json: expected each image once, got 1.png again, after 1.json" in error
    Path("train.txt").write_text("1.png 64,0,128,32,0\n")
    assert main(["evaluate", "--from-detections", "1.json", "2.json", *words]) == 0
    assert "1 of 2 images with detections are not in train.txt: they are left out." in capsys.readouterr().err


def test_weights_do_not_go_with_detections(weights, folder, capsys):
    words = ["--from-detections", "1.json", "--data", "train.txt"]
    assert "weights: expected none with detections from files" in fails([*words, "--weights", weights], capsys)
    assert "nms: expected none with detections from files, got soft" in fails([*words, "--nms", "soft"], capsys)
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--from-detections", "1.json"])
    assert "required: --data; or --run" in capsys.readouterr().err
