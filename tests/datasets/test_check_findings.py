"""What is printed of the findings of a data set, by every command alike."""

from pathlib import Path

import pytest

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.check_findings import check_findings

ANCHORS = str(Path(__file__).resolve().parents[2] / "model_data" / "tiny_yolo_anchors.txt")


def findings(severity, number, kind="no-area"):
    return [Finding(severity, kind, f"train.txt:{index}", f"{severity} {index}") for index in range(number)]


def test_errors_stop_a_command_after_findings_and_then_notes_are_printed(capsys):
    data = Dataset([], ["a"], "keras-yolo3", findings=findings("error", 22), notes=["took train.txt"])
    with pytest.raises(ValueError, match="train.txt: 22 invalid annotations, the first: .*error 0"):
        check_findings(data, "train.txt")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("error: 22 lines of train.txt") and first.endswith("; --findings FILE keeps all")
    assert last == "took train.txt"


def test_all_findings_are_kept_in_a_file_on_request(tmp_path, capsys):
    path = str(tmp_path / "all.txt")
    with pytest.raises(ValueError):
        check_findings(Dataset([], ["a"], "keras-yolo3", findings=findings("error", 22)), "train.txt", path)
    assert capsys.readouterr().err.endswith(f"; all in {path}\n")
    assert (tmp_path / "all.txt").read_text().splitlines()[21] == "error: train.txt:21: error 21"


def test_a_data_set_without_images_stops_a_command():
    with pytest.raises(ValueError, match="train.txt: expected annotated images, got none"):
        check_findings(Dataset([], ["a"], "keras-yolo3"), "train.txt")


@pytest.mark.parametrize("command", ["train", "evaluate", "anchors", "benchmark"])
def test_every_command_sums_up_missing_images_in_one_line(command, tmp_path, weights, capsys, monkeypatch):
    from tests.inference.test_detector import sample_image
    from yolo3.cli.main import main
    from yolo3.datasets.images import write_image

    monkeypatch.chdir(tmp_path)
    write_image("there.png", sample_image())
    missing = [f"missing{number}.png 1,1,30,30,0" for number in range(1500)]
    (tmp_path / "train.txt").write_text("\n".join(["there.png 1,1,30,30,0", *missing]))
    options = {
        "train": ["--check-only", "--anchors", ANCHORS],
        "evaluate": ["--weights", weights, "--findings", "findings.txt"],
        "anchors": ["--findings", "findings.txt"],
        "benchmark": ["input", "--findings", "findings.txt"],
    }
    assert main([command, "--data", "train.txt", *options[command]]) == 1

    said = "".join(capsys.readouterr()).splitlines()
    kept = "runs/check-001/findings.txt" if command == "train" else "findings.txt"
    (line,) = [line for line in said if "name images that are not there" in line]
    folder = f"{tmp_path}/" if command == "train" else ""  # a run keeps absolute paths
    start = (
        f"error: 1,500 lines of {folder}train.txt name images that are not there, first {folder}train.txt:2: expected"
    )
    assert line.startswith(start)
    assert line.endswith(f"; all in {kept}")
    assert len((tmp_path / kept).read_text().splitlines()) >= 1500
    assert len(said) < 10
