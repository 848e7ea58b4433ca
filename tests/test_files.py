"""Files on full disks: which one is named, and nothing is left."""

import errno
import os
import subprocess
import sys

import keras
import pytest

from yolo3.files import (
    atomic_path,
    naming,
    parent_unless_root,
    read_text,
    real_paths,
    replace_file,
    text_head,
    walk_files,
)
from yolo3.models.saving import save_model


def test_an_error_without_a_name_is_given_the_files_and_others_pass():
    with pytest.raises(OSError, match="No space left on device: 'a.txt'") as error, naming("a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert error.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError, match="'b.txt'"), naming("a.txt"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "b.txt")
    with pytest.raises(OSError, match="^words alone$"), naming("a.txt"):
        raise OSError("words alone")


def test_a_temporary_file_has_the_suffix_and_the_space_it_asked_for(tmp_path):
    with atomic_path(tmp_path / "new" / "m.weights.h5", 5000) as temporary:
        assert temporary.name.startswith(".m.") and temporary.name.endswith(".weights.h5")
        assert temporary.stat().st_size == 5000
        temporary.write_text("all")
    assert (tmp_path / "new" / "m.weights.h5").read_text() == "all"
    assert os.listdir(tmp_path / "new") == ["m.weights.h5"]


def test_a_network_without_disk_space_leaves_the_previous_file(tmp_path, monkeypatch):
    def full(handle, start, size):
        assert size > 4 * 3 * 1000
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1000)])
    (tmp_path / "m.h5").write_text("former")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/m\.h5'"):
        save_model(model, tmp_path / "m.h5", {})
    assert os.listdir(tmp_path) == ["m.h5"] and (tmp_path / "m.h5").read_text() == "former"


def test_text_that_utf8_cannot_hold_names_file_and_text(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(
        ValueError, match=r"a\.txt: expected text that UTF-8 can hold, got 'caf\\udce9\.jpg'; rename it"
    ):
        replace_file(tmp_path / "a.txt", "caf\udce9.jpg")
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


PROGRAM = """
import resource, sys
import keras
from yolo3.models.saving import save_model
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(100_000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_model(model, sys.argv[1], {})
except OSError as error:
    print(error.strerror, error.filename)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m.h5", "m.keras", "m.weights.h5"])
def test_a_process_with_a_file_size_limit_continues(tmp_path, name):
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("File too large") and not os.listdir(tmp_path)


def test_hidden_files_and_cycles_of_links_are_skipped(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "b.jpg").write_bytes(b"x")
    (tmp_path / "._a.jpg").write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.jpg").write_bytes(b"x")
    (tmp_path / "ring").symlink_to(tmp_path)
    assert list(walk_files(str(tmp_path))) == [str(tmp_path / "a.jpg")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_is_read_in_the_encodings_that_editors_use(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Käfer\r\n".encode(encoding))
    assert read_text(str(tmp_path / "a.txt")) == "Käfer\r\n"


def test_the_head_of_a_file_that_is_not_text_is_empty(tmp_path):
    (tmp_path / "a.txt").write_bytes("one\ntwo\n".encode("utf-16"))
    # A mark of two bytes, three characters of two, and half a one.
    assert text_head(str(tmp_path / "a.txt"), 9) == "one"
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r")
    assert text_head(str(tmp_path / "a.png"), 4096) == ""


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"a\.txt: expected text that UTF-8 can hold, got 'new \\ud800'"):
        replace_file(path, "new \ud800")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_in_place_of_a_file_is_reported(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        replace_file(tmp_path / "out", "x")
    assert error.value.filename == str(tmp_path / "out") and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_folder_above_is_never_the_root_of_the_disk():
    assert parent_unless_root("/data/set") == "/data"
    assert parent_unless_root("/data") == "/data" and parent_unless_root("/") == "/"


def test_real_paths_of_many_files_are_those_of_each(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    for name in ("1.txt", "2.txt"):
        (tmp_path / "a" / name).write_text("")
    os.symlink(tmp_path / "a", tmp_path / "b")
    os.symlink(tmp_path / "a" / "1.txt", tmp_path / "a" / "link.txt")
    monkeypatch.chdir(tmp_path)
    paths = [
        "a/1.txt",
        "b/1.txt",
        "b/../a/2.txt",
        "a/link.txt",
        "b/link.txt",
        "absent/x.txt",
        "a/absent.txt",
        "a/",
        ".",
    ]
    paths += ["1.txt", "..", str(tmp_path / "b" / "2.txt"), "/"]
    assert real_paths(paths) == [os.path.realpath(path) for path in paths]
