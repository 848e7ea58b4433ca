"""Detections in JSON and CSV, read back."""

import csv
import json
import os
from pathlib import Path

import pytest

from tests.inference.writers.examples import FOUND, NAMES, write
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.json_csv import CsvFile, JsonFile


def test_json_holds_the_detections_of_each_image_and_frame(tmp_path):
    write(JsonFile(tmp_path / "new" / "found.json", NAMES))
    image, empty, video = json.loads((tmp_path / "new" / "found.json").read_text())
    assert image == {
        "image": "in/a.png", "width": 80, "height": 40,
        "detections": [
            {"class_id": 1, "class_name": "žába/frog", "score": 0.875, "box": [8, 10, 24, 30]},
            {"class_id": 0, "class_name": "dog", "score": 0.5, "box": [0, 0, 80, 40]},
        ],
    }  # fmt: skip
    assert empty == {"image": "in/b.png", "width": 80, "height": 40, "detections": []}
    assert (video["image"], video["frame"], video["seconds"]) == ("in/clip.avi", 7, 0.7)


def test_csv_has_one_line_per_detection(tmp_path):
    write(CsvFile(tmp_path / "found.csv", NAMES))
    with open(tmp_path / "found.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["in/a.png", "in/a.png", "in/clip.avi", "in/clip.avi"]
    assert list(rows[0].values()) == ["in/a.png", "", "", "1", "žába/frog", "0.875", "8.0", "10.0", "24.0", "30.0"]
    assert (rows[2]["frame"], rows[2]["seconds"]) == ("7", "0.7")


def test_files_without_detections_are_written_too(tmp_path):
    write(JsonFile(tmp_path / "a.json", NAMES), CsvFile(tmp_path / "a.csv", NAMES), shots=[])
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert (tmp_path / "a.csv").read_text() == ",".join(CsvFile.COLUMNS) + "\n"
    assert Path(tmp_path / "a.json").stat().st_mode & 0o444 == 0o444


def test_the_name_of_an_image_that_is_not_utf8_keeps_its_bytes(tmp_path):
    path = os.fsdecode(b"caf\xe9.png")
    shots = [(Shot(Source("image", path, "a"), "a", path), FOUND)]
    write(CsvFile(tmp_path / "a.csv", NAMES), JsonFile(tmp_path / "a.json", NAMES), shots=shots)
    assert (tmp_path / "a.csv").read_bytes().splitlines()[1].startswith(b"caf\xe9.png,")
    assert json.loads((tmp_path / "a.json").read_text())[0]["image"] == path


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
@pytest.mark.parametrize("kind", [CsvFile, JsonFile])
def test_a_full_disk_is_an_error_that_names_the_file(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("yolo3.inference.writers.writer.temporary_path", lambda *_: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(OSError, match=r"No space left on device: '.*found'"):
        write(kind(tmp_path / "found", NAMES))
