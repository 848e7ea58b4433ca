"""What XLA compiled is found by the next process; entries that are damaged are gone before TensorFlow meets them."""

import os
import subprocess
import sys

import pytest

from yolo3 import compilation

PROGRAM = """
import sys
from yolo3.compilation import keep_compiled, seal_compiled, stable_names
keep_compiled()
import tensorflow as tf
for number in range(int(sys.argv[1])):  # what is made before, as of a run that is resumed
    tf.constant(number)
stable_names()
compiled = tf.function(lambda x: tf.tanh(tf.matmul(x, x)) + 1, jit_compile=True, autograph=False)
print(float(tf.reduce_sum(compiled(tf.ones((8, 8))))))
seal_compiled()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of this machine, in a cache of its own."""
    monkeypatch.setenv(compilation.VARIABLE, str(tmp_path))
    for name in ("TF_XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL"):
        monkeypatch.setenv(name, "")  # restored, whatever is written into it
        monkeypatch.delenv(name)
    return compilation.compiled_folder()


def entries_after(folder, tensors):
    """Files of compiled code, with their times, after a process that makes so many tensors first."""
    found = subprocess.run([sys.executable, "-c", PROGRAM, str(tensors)], capture_output=True, text=True, check=True)
    assert float(found.stdout) == 128.0  # tanh(8) rounds to 1: 64 times 2
    return {entry: entry.stat().st_mtime_ns for entry in folder.glob("*.pb")}


@pytest.mark.slow
def test_another_process_compiles_nothing_anew_whatever_it_made_before(folder):
    first = entries_after(folder, 3)
    assert len(first) == 1
    assert entries_after(folder, 1000) == first


@pytest.mark.slow
def test_a_damaged_entry_is_compiled_again(folder):
    (entry,) = entries_after(folder, 0)
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    assert list(entries_after(folder, 0)) == [entry]
    assert len(entry.read_bytes()) == len(whole)


def test_entries_without_a_digest_with_another_one_or_beyond_a_number_are_removed(folder, monkeypatch):
    monkeypatch.setattr(compilation, "_MAX_ENTRIES", 3)
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.pb").write_bytes(b"code")
        os.utime(folder / f"{number}.pb", (number, number))
    compilation.seal_compiled()
    (folder / "new.pb").write_bytes(b"code")
    (folder / "4.pb").write_bytes(b"c0de")
    compilation.keep_compiled()
    # Of the newest three, new.pb has no digest and 4.pb another one.
    assert sorted(path.name for path in folder.iterdir()) == ["3.blake2b", "3.pb"]
    assert f"{folder}" in os.environ["TF_XLA_FLAGS"]


def test_nothing_is_kept_where_it_is_off_where_there_is_no_room_and_where_the_user_says_where(folder, monkeypatch):
    monkeypatch.setattr(compilation, "free_bytes", lambda _: 0)
    compilation.keep_compiled()
    assert "TF_XLA_FLAGS" not in os.environ
    monkeypatch.undo()

    monkeypatch.setenv(compilation.VARIABLE, "off")
    assert compilation.compiled_folder() is None
    monkeypatch.setenv(compilation.VARIABLE, str(folder))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=/mine")
    compilation.keep_compiled()
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory=/mine"


def test_other_flags_of_xla_and_another_tensorflow_have_folders_of_their_own(folder, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert compilation.compiled_folder() not in (folder, None)
