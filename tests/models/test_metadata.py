"""Metadata of network files: read without Keras, refused in one line."""

import subprocess
import sys

import h5py
import pytest

from yolo3.models.loading import load_network
from yolo3.models.metadata import read_metadata


def test_metadata_is_read_without_keras(tiny_files):
    code = (
        "import sys, yolo3.models.metadata as s\n"
        "print(s.read_metadata(sys.argv[1])['class_names'], s.read_metadata(sys.argv[2])['model'])\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    command = [sys.executable, "-X", "utf8", "-c", code, tiny_files / "m.h5", tiny_files / "m.keras"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['cat', 'dög'] yolov3-tiny\n"


def test_a_file_that_is_not_from_keras_is_reported_in_one_line(tiny_files, tmp_path):
    whole = (tiny_files / "m.h5").read_bytes()
    zipped = (tiny_files / "m.keras").read_bytes()
    cases = {
        "page.h5": (b"<!DOCTYPE html><html>", "a web page"),
        "empty.h5": (b"", "an empty file"),
        "pointer.keras": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        "yolov3.weights": (
            bytes([0, 0, 0, 0, 2, 0, 0, 0]),
            "a Darknet file; turn it into .h5 with 'yolo3 convert'",
        ),
        "other.h5": (b"something", "got something else"),
        "cut.h5": (whole[:5000], "damaged or truncated"),
        "cut.keras": (zipped[:5000], "damaged or truncated"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        for read in (read_metadata, load_network):
            with pytest.raises(ValueError, match=message) as error:
                read(tmp_path / name)
            assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "absent.h5")


@pytest.mark.parametrize(
    "text, words",
    [
        ("[1, 2]", "expected a JSON object as yolo3 metadata"),
        ("{", "its yolo3 metadata is not JSON"),
        ('{"class_names": 3}', "class_names: expected a list, got 3"),
        ('{"anchors": "x"}', "anchors: expected a list, got 'x'"),
    ],
)
def test_metadata_of_the_wrong_type_is_refused(tmp_path, text, words):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["yolo3"] = text
    with pytest.raises(ValueError, match=words):
        read_metadata(tmp_path / "m.h5")
