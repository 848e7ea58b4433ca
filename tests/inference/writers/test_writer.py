"""Files of all writers are there whole or not at all."""

import json

import pytest

from tests.inference.test_videos import new_video
from tests.inference.writers.examples import EMPTY, FOUND, IMAGE, NAMES, SHOTS, STILL, VIDEO, files_below, frame, write
from yolo3.inference.videos import read_frames
from yolo3.inference.writers.coco_results import CocoFile
from yolo3.inference.writers.drawn import DrawnFiles
from yolo3.inference.writers.json_csv import CsvFile, JsonFile
from yolo3.inference.writers.writer import writing


def all_writers(folder):
    drawn = {STILL: folder / "a.png", EMPTY: folder / "b.png", VIDEO: folder / "clip.mp4"}
    return [
        JsonFile(folder / "a.json", NAMES), CsvFile(folder / "a.csv", NAMES),
        CocoFile(folder / "coco.json", NAMES, [STILL, EMPTY, VIDEO]), DrawnFiles(drawn, NAMES),
    ]  # fmt: skip


def test_an_interrupted_run_leaves_whole_files_of_what_was_done(tmp_path):
    new_video(tmp_path / "probe.mp4").discard()
    writers = all_writers(tmp_path)
    with pytest.raises(KeyboardInterrupt), writing(writers):
        for shot, found in [SHOTS[0], (frame(0), FOUND), (frame(1), FOUND)]:
            for writer in writers:
                writer.add(shot, IMAGE, found)
        raise KeyboardInterrupt
    assert len(json.loads((tmp_path / "a.json").read_text())) == 3
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 7
    assert len(list(read_frames(str(tmp_path / "clip.mp4")))) == 2
    assert files_below(tmp_path) == ["a.csv", "a.json", "a.png", "clip.mp4", "coco.json"]


def test_a_failed_run_leaves_the_old_files_and_no_temporary_files(tmp_path):
    new_video(tmp_path / "probe.mp4").discard()
    (tmp_path / "a.json").write_text("old")
    writers = all_writers(tmp_path)
    with pytest.raises(OSError, match="disk"), writing(writers):
        for writer in writers:
            writer.add(frame(0), IMAGE, FOUND)
        raise OSError("disk")
    assert files_below(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_a_file_that_cannot_be_closed_does_not_affect_the_others(tmp_path):
    class Broken(JsonFile):
        def close(self):
            raise OSError("disk")

    first, last = JsonFile(tmp_path / "first.json", NAMES), JsonFile(tmp_path / "last.json", NAMES)
    with pytest.raises(OSError, match="disk"):
        write(first, Broken(tmp_path / "broken.json", NAMES), last)
    assert files_below(tmp_path) == ["first.json"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    try:
        (tmp_path / "a.json").symlink_to("real.json")
    except OSError:
        pytest.skip("no links here")
    write(JsonFile(tmp_path / "a.json", NAMES), shots=[])
    assert (tmp_path / "a.json").is_symlink() and json.loads((tmp_path / "real.json").read_text()) == []
