"""`yolo3.evaluate`: the command's figures as a record. Network: test_detector's."""

import json
import math
from pathlib import Path

import keras
import pytest

import yolo3
from tests.inference.test_detector import sample_image
from yolo3.api.evaluate import evaluate
from yolo3.cli.main import main
from yolo3.datasets.images import write_image
from yolo3.evaluation.tables import without_nan
from yolo3.models.saving import save_model
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder. 1.png: red in two cells, both annotated; 2.png: green, one of its two cells is called red."""
    monkeypatch.chdir(tmp_path)
    write_image("1.png", sample_image())
    write_image("2.png", sample_image(colour=(0, 255, 0)))
    Path("train.txt").write_text("1.png 64,0,128,32,0 64,32,128,64,0\n2.png 64,0,128,32,0 64,32,128,64,1\n")
    return tmp_path


def test_the_figures_and_the_text_are_those_of_the_command(weights, folder, capsys):
    result = evaluate(weights, folder / "train.txt", verbose=False)
    assert capsys.readouterr().err == ""
    assert main(["evaluate", "--weights", weights, "--data", str(folder / "train.txt"), "--json", "a.json"]) == 0
    assert repr(result) == capsys.readouterr().out.rstrip("\n")

    figures = json.loads(Path("a.json").read_text())
    assert result.AP50 == figures["AP50"] and result.AP == figures["AP"] and set(result.figures) == set(figures)
    assert result.per_class["red"]["AP50"] == figures["per_class"]["red"]["AP50"]
    # four confident detections: two hits on red, one on green; the fourth is green on a red object
    assert (result.at_score["precision"], result.at_score["recall"]) == (0.75, 0.75)
    assert math.isnan(result.per_class["any"]["AP50"]) and yolo3.evaluate is evaluate


def test_a_report_and_detections_are_written_from_the_record(weights, folder):
    result = evaluate(weights, "train.txt", verbose=False, batch_size=2, at_score=0.5)
    result.save_report("r.html")
    result.save_detections("found.json")
    assert "precision" in Path("r.html").read_text() and len(json.loads(Path("found.json").read_text())) == 4
    assert result.at_score["score"] == 0.5


def test_errors_name_arguments(weights, folder, capsys):
    with pytest.raises(TypeError, match="needs weights and data, or run"):
        evaluate()
    with pytest.raises(TypeError, match="unexpected argument 'batchsize'; did you mean 'batch_size'"):
        evaluate(weights, "train.txt", batchsize=3)
    with pytest.raises(ValueError, match="nms: expected one of greedy, soft, diou, got 'hard'"):
        evaluate(weights, "train.txt", nms="hard")
    with pytest.raises(ValueError, match=r"input_shape: expected a list, got 3"):
        evaluate(weights, "train.txt", input_shape=3)
    with pytest.raises(ValueError, match=r"at_score: expected a number from score_threshold \(0.5\) to 1, got 0.2"):
        evaluate(weights, "train.txt", score_threshold=0.5, at_score=0.2)
    Path("train.txt").write_text("1.png 64,0,128,32,7\n")
    with pytest.raises(ValueError) as caught:
        evaluate(weights, "train.txt", verbose=False)
    assert "--" not in str(caught.value)


def test_a_data_set_is_read_with_its_classes_and_findings(folder):
    Path("train.txt").write_text("1.png 64,0,128,32,0 9,9,9,20,1\n")
    dataset = yolo3.read_dataset("train.txt")
    assert [Path(one.image_path).name for one in dataset.annotations] == ["1.png"]
    assert dataset.class_names == ["class_0", "class_1"] and dataset.format == "keras-yolo3"
    assert dataset.annotations[0].boxes.tolist()[0] == [64, 0, 128, 32]


def test_parts_of_detections_have_the_figures_of_the_network(slim_tiny, shapes_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    architecture = YoloV3.from_name("yolov3-tiny", 3, anchors=DEFAULT_TINY_ANCHORS)
    keras.utils.set_random_seed(1)
    metadata = {**architecture.metadata(), "class_names": ["circle", "square", "triangle"], "input_shape": [64, 64]}
    save_model(architecture.build_network((64, 64, 3)), "w.h5", {**metadata, "resize": "letterbox"})
    for part in ("1/2", "2/2"):
        words = ["--part", part, "--score-threshold", "0.001", "--no-images", "--json", f"{part[0]}.json"]
        assert main(["detect", "--weights", "w.h5", f"{shapes_set}/JPEGImages", *words]) == 0

    whole = evaluate("w.h5", shapes_set, list_name="train", verbose=False)
    parts = evaluate(from_detections=["2.json", Path("1.json")], data=shapes_set, list_name="train", verbose=False)
    assert 0 < whole.AP50 < 1 and sum(map(len, whole.detections)) > 1000
    assert without_nan(parts.figures) == without_nan(whole.figures)
    assert repr(parts).splitlines()[1:] == repr(whole).splitlines()[1:]
    parts.save_report("report.html")
    assert "1.json" in Path("report.html").read_text()


def test_what_belongs_to_a_network_does_not_go_with_detections(weights, folder):
    Path("d.json").write_text("[]")
    for name, value in (("weights", weights), ("anchors", "a.txt"), ("iou_threshold", 0.3), ("run", "r")):
        with pytest.raises(ValueError, match=f"^{name}: expected none with detections from files, got {value}$"):
            evaluate(from_detections=["d.json"], data="train.txt", **{name: value})
    with pytest.raises(TypeError, match="needs data"):
        evaluate(from_detections=["d.json"])
