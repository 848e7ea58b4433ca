"""Temporary files: those of dead processes go, those of living ones stay; links and modes of the files are kept."""

import os
import stat
import subprocess
import sys

import pytest

from yolo3 import temporary
from yolo3.files import atomic_path, replace_file
from yolo3.temporary import put_in_place, remove_dead, temporary_path


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize("name", ["last.h5", "state.npz", "boxes.json", "out.mp4", "decoded"])
def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_stays(name, tmp_path):
    suffix = os.path.splitext(name)[1]
    mine = temporary_path(tmp_path / name, suffix)
    kept = mine.with_name(mine.name.replace(f"-{os.getpid()}", f"-{os.getppid()}"))
    foreign = mine.with_name(mine.name.replace(temporary._HOST, "another"))
    left = mine.with_name(mine.name.replace(f"-{os.getpid()}", f"-{dead_process()}"))
    for path in (mine, kept, foreign, left):
        if suffix:
            path.write_text("half")
        else:
            path.mkdir()
            (path / "part").write_text("half")
    remove_dead(tmp_path)
    assert {path for path in (mine, kept, foreign, left) if path.exists()} == {mine, kept, foreign}


def test_the_first_file_written_into_a_folder_clears_it(tmp_path):
    left = tmp_path / f".state.{temporary._HOST}-{dead_process()}.npz"
    left.write_text("half")
    replace_file(tmp_path / "log.csv", "epoch\n")
    assert os.listdir(tmp_path) == ["log.csv"]


def test_a_hidden_file_of_the_user_is_no_temporary_one(tmp_path):
    for name in (".a.123.h5", ".profile", f".{temporary._HOST}-", f"a.{temporary._HOST}-99999999.h5"):
        (tmp_path / name).write_text("mine")
    remove_dead(tmp_path)
    assert len(os.listdir(tmp_path)) == 4


def test_a_link_stays_a_link_and_its_file_keeps_its_mode(tmp_path):
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "real.txt"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    replace_file(link, "new")
    assert link.is_symlink() and target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "disk") == ["real.txt"]


def test_a_link_to_nothing_gets_its_file(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "far" / "real.txt")
    replace_file(tmp_path / "link.txt", "new")
    assert (tmp_path / "far" / "real.txt").read_text() == "new" and (tmp_path / "link.txt").is_symlink()


def test_file_and_folder_are_flushed_around_the_replacement(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    replace_file(tmp_path / "a.txt", "new")
    assert done == ["file", "replace", "folder"]
    replace_file(tmp_path / "b.txt", "new", durable=False)
    assert done[3:] == ["replace"]


def test_a_file_that_the_disk_does_not_take_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"):
        replace_file(tmp_path / "a.txt", "new")
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


def test_long_names_and_folders_in_the_place_of_the_file(tmp_path):
    name = "ö" * 120 + ".txt"
    replace_file(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.txt"), atomic_path(tmp_path / "folder.txt"):
        pass
    part = temporary_path(tmp_path / "x.bin", ".part")
    part.write_bytes(b"1")
    put_in_place(part, tmp_path / "x.bin")
    assert (tmp_path / "x.bin").read_bytes() == b"1"
