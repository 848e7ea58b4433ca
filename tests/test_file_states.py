"""What is read is recorded, and any change of it is noticed."""

import os

import pytest

from yolo3.file_states import list_folder, one_look, recording
from yolo3.files import files_in, is_file, is_folder, read_lines, text_head, walk_files


@pytest.fixture
def data(tmp_path):
    for name in ("b.txt", "a.jpg", "sub/c.txt", "sub/deep/d.jpg", "z/e.txt", ".hidden/f.txt", "__MACOSX/g.txt", ".h"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text(name)
    (tmp_path / "outside.txt").write_text("x")
    return tmp_path / "set"


def test_files_are_walked_in_one_order_whether_recorded_or_not(data):
    os.symlink(data / "sub", data / "twice")
    os.symlink(data / "nothing", data / "broken.txt")
    os.mkfifo(data / "pipe.jpg")
    plain = [os.path.relpath(path, data) for path in walk_files(str(data))]
    assert plain == ["a.jpg", "b.txt", "sub/c.txt", "sub/deep/d.jpg", "z/e.txt"]
    with recording():
        assert [os.path.relpath(path, data) for path in walk_files(str(data))] == plain
    assert files_in(str(data)) == [str(data / "a.jpg"), str(data / "b.txt")]


CHANGES = {
    "nothing": (lambda data: None, True),
    "written beside, hidden": (lambda data: (data / ".cache").mkdir(), True),
    "content": (lambda data: (data / "sub/c.txt").write_text("other"), False),
    "time": (lambda data: os.utime(data / "a.jpg", (5, 5)), False),
    "added": (lambda data: (data / "sub/deep/n.jpg").write_text(""), False),
    "removed": (lambda data: os.remove(data / "z/e.txt"), False),
    "renamed": (lambda data: os.rename(data / "z", data / "y"), False),
    "read outside": (lambda data: (data.parent / "outside.txt").write_text("y"), False),
    "looked for and now there": (lambda data: (data.parent / "absent.txt").write_text(""), False),
    "folder looked for": (lambda data: (data.parent / "folder").mkdir(), False),
    "hidden but read": (lambda data: (data / ".h").write_text("more"), False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_holds_until_something_changes_that_was_looked_at(data, change):
    with recording() as inputs:
        list(walk_files(str(data)))
        read_lines(str(data / "b.txt"))
        text_head(str(data.parent / "outside.txt"), 10)
        text_head(str(data / ".h"), 10)
        assert not is_file(str(data.parent / "absent.txt")) and not is_folder(str(data.parent / "folder"))
    assert inputs.hold()
    act, holds = CHANGES[change]
    act(data)
    assert inputs.hold() == holds


def test_files_that_a_listed_folder_tells_of_are_not_recorded_one_by_one(data):
    with recording() as inputs:
        list(walk_files(str(data)))
        read_lines(str(data / "b.txt"))
        is_file(str(data / "sub" / ".." / "new.txt"))
    assert inputs.files == {} and list(inputs.folders) == [(str(data), True)]


def test_the_newest_time_of_all_that_was_looked_at_is_known(data):
    later = 4_000_000_000
    os.utime(data / "sub/c.txt", (later, later))
    with recording() as inputs:
        list(walk_files(str(data)))
    assert inputs.newest == later * 10**9
    with recording() as inputs:
        read_lines(str(data / "sub/c.txt"))
    assert inputs.newest == later * 10**9


def test_within_one_look_a_folder_is_listed_once(data):
    with one_look():
        first = list_folder(str(data))
        (data / "new.txt").write_text("")
        assert list_folder(str(data)) is first
        with recording() as inputs:
            assert list(walk_files(str(data))) == first.paths
        assert inputs.hold() and not inputs.hold(again=True)
    assert len(list_folder(str(data)).paths) == len(first.paths) + 1
