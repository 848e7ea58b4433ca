"""The folder of a run: files that appear whole, the log, the round trip of the state, folders that are in use."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import yolo3
from yolo3.datasets.annotation import Box, Finding, build_annotation
from yolo3.datasets.class_names import read_class_names
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, read_anchors
from yolo3.training import run_folder
from yolo3.training.data_summary import DataSummary, summarize
from yolo3.training.run_folder import RunFolder, new_run_folder, read_settings
from yolo3.training.settings import TrainConfig

CONFIG = TrainConfig(anchors="a.txt", input_size=(320, 256), seed=5)


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_starts_by_writing_its_settings_and_data(tmp_path):
    folder = RunFolder(tmp_path / "new" / "run")
    finding = Finding("warning", "small", "a.txt:3", "too small")
    folder.start(CONFIG, class_names=["cat", "dog"], anchors=DEFAULT_TINY_ANCHORS, findings=[finding])
    assert read_settings(folder.path) == CONFIG
    assert read_class_names(folder.file("classes.txt")) == ["cat", "dog"]
    np.testing.assert_array_equal(read_anchors(folder.file("anchors.txt")), DEFAULT_TINY_ANCHORS)
    assert folder.file("findings.txt").read_text() == "warning: a.txt:3: too small\n"


def test_columns_added_later_are_empty_in_earlier_rows(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log({"epoch": 1, "loss": 2.5})
    folder.log({"epoch": 2, "loss": 1.5, "AP50": 0.25})
    folder.log({"epoch": 3, "loss": 1.25})
    rows = read_rows(folder.file("log.csv"))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["AP50"] for row in rows] == ["", "0.25", ""]
    assert [float(row["loss"]) for row in rows] == [2.5, 1.5, 1.25]


ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64), np.zeros((0, 2), np.float16)]


def test_a_state_comes_back_with_its_arrays_and_the_log(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log({"epoch": 1, "loss": 2.5})
    folder.save_state(ARRAYS, {"epoch": 1, "share": float("nan"), "taken": ["conv_0"]})
    again = RunFolder(tmp_path)
    arrays, progress = again.load_state()
    assert again.rows == [{"epoch": 1, "loss": 2.5}]
    assert progress["epoch"] == 1 and np.isnan(progress["share"]) and progress["taken"] == ["conv_0"]
    assert len(arrays) == len(ARRAYS)
    for array, expected in zip(arrays, ARRAYS):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_many_arrays_keep_their_order(tmp_path):
    folder = RunFolder(tmp_path)
    folder.save_state([np.array(number) for number in range(25)], {})
    assert [int(array) for array in folder.load_state()[0]] == list(range(25))


def test_a_restored_log_is_continued(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log({"epoch": 1})
    folder.save_state([], {})
    folder.log({"epoch": 2})  # lost: the state was not written after it
    again = RunFolder(tmp_path)
    again.load_state()
    again.log({"epoch": 2})
    assert [row["epoch"] for row in read_rows(again.file("log.csv"))] == ["1", "2"]


def test_a_state_that_cannot_be_written_leaves_the_previous_one_and_nothing_else(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.save_state(ARRAYS, {"epoch": 1})

    def half(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError):
        folder.save_state(ARRAYS, {"epoch": 2})
    assert folder.load_state()[1]["epoch"] == 1
    assert os.listdir(tmp_path) == ["state.npz"]


def test_a_log_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.log({"epoch": 1})
    before = folder.file("log.csv").read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        folder.log({"epoch": 2})
    assert folder.file("log.csv").read_bytes() == before and os.listdir(tmp_path) == ["log.csv"]


def test_a_folder_without_a_state_is_refused(tmp_path):
    with pytest.raises(ValueError, match="state.npz: expected the state of a run to resume"):
        RunFolder(tmp_path).load_state()


def test_a_folder_without_settings_is_not_a_run(tmp_path):
    with pytest.raises(ValueError, match="settings.json in it, found none"):
        read_settings(tmp_path)


def test_a_folder_that_holds_a_run_is_not_used_again(tmp_path):
    RunFolder(tmp_path / "run").start(CONFIG, class_names=["cat"], anchors=DEFAULT_TINY_ANCHORS)
    with pytest.raises(ValueError, match="found a run in it; resume it with --resume"):
        new_run_folder(str(tmp_path / "run"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    assert new_run_folder(str(tmp_path / "other")).path == tmp_path / "other"


def test_without_a_name_the_first_unused_number_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = new_run_folder(None)
    assert str(folder.path) == os.path.join("runs", "train-001")
    folder.lock.release()
    for number in (1, 2, 4):
        (tmp_path / "runs" / f"train-{number:03d}").mkdir(parents=True)
    assert new_run_folder(None).path.name == "train-003"
    # data that could not be trained on left its findings and takes no number
    (tmp_path / "runs" / "train-002" / "findings.txt").write_text("error: a\n")
    assert new_run_folder(None).path.name == "train-002"


def test_the_settings_are_readable_json(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start(CONFIG, class_names=["cat"], anchors=DEFAULT_TINY_ANCHORS)
    assert json.loads(folder.file(run_folder.SETTINGS).read_text())["input_size"] == [320, 256]


def test_leftovers_of_a_killed_run_are_removed_and_a_users_files_stay(tmp_path):
    folder = RunFolder(tmp_path)
    mine = [tmp_path / "decoded" / "mine.txt", tmp_path / "notes.h5"]
    names = (".decoded.123/0.raw", ".state.123.npz", ".best.123.h5")
    left = [*(tmp_path / name for name in names), folder.decoded / "1.raw"]
    for path in (*mine, *left):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    folder.remove_decoded()
    assert not folder.decoded.exists() and left[0].exists()
    folder.remove_leftovers()
    assert all(path.exists() for path in mine) and sorted(os.listdir(tmp_path)) == ["decoded", "notes.h5"]


# Two runs in one folder


def test_two_starts_at_once_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [new_run_folder(None) for _ in range(3)]
    assert [folder.path.name for folder in folders] == ["train-001", "train-002", "train-003"]
    for folder in folders:
        folder.lock.release()
    assert os.listdir("runs") == []  # nothing was written there


def test_a_second_run_in_a_folder_says_who_trains_there(tmp_path):
    folder = new_run_folder(str(tmp_path / "run"))
    words = rf"run: expected a run that nobody trains, got one that process {os.getpid()} on "
    with pytest.raises(ValueError, match=words):
        new_run_folder(str(tmp_path / "run"))
    with pytest.raises(ValueError, match=words), RunFolder(tmp_path / "run").locked():
        pass
    with folder.locked():
        pass  # one's own lock is no other's, and stays
    assert folder.lock.held
    folder.lock.release()
    new_run_folder(str(tmp_path / "run")).lock.release()


def test_the_lock_of_a_process_that_died_is_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "import os; from yolo3.training.run_folder import new_run_folder; new_run_folder(None); os._exit(9)"
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": os.path.dirname(yolo3.__path__[0])})
    assert os.listdir("runs/train-001") == [".lock"]
    folder = new_run_folder(None)
    assert folder.path.name == "train-001"
    folder.lock.release()


def test_what_a_living_run_writes_is_not_removed_by_a_second_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.decoded.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    living = folder.decoded.with_name(folder.decoded.name.replace(str(os.getpid()), str(other.pid)))
    living.mkdir()
    folder.remove_leftovers()
    assert living.exists() and folder.decoded.exists()
    other.communicate(b"\n")
    folder.remove_leftovers()
    assert not living.exists()


def test_data_that_has_moved_is_written_down(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start(CONFIG, class_names=["cat"], anchors=DEFAULT_TINY_ANCHORS)
    folder.move_data("new/place", None)
    assert read_settings(tmp_path).data == "new/place" and read_settings(tmp_path).val == CONFIG.val


def test_data_that_has_changed_is_told(tmp_path):
    def summary(x_max, names=("a.jpg",)):
        boxes = [Box((1, 2, x_max, 4), 0)]
        return DataSummary(train=summarize([build_annotation(name, boxes, "a.txt") for name in names]))

    folder = RunFolder(tmp_path)
    assert folder.data_summary() is None
    folder.start(CONFIG, class_names=["cat"], anchors=DEFAULT_TINY_ANCHORS, data=summary(9))
    before = folder.data_summary()
    assert before is not None and before.changes(summary(9)) == []
    changed = "The train list is not that of the run so far: "
    assert before.changes(summary(8)) == [f"{changed}still 1 images with 1 boxes, but others."]
    more = summary(9, names=("a.jpg", "b.jpg"))
    assert before.changes(more) == [f"{changed}it was 1 images with 1 boxes and is 2 images with 2 boxes."]
    folder.file("data.json").write_text('{"train": 5}')
    assert folder.data_summary() is None
