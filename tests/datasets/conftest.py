"""In all tests of data sets: what a reader looks at is recorded, or a kept result would outlive a change of it."""

import os
import sys
from pathlib import Path

import pytest

from yolo3.datasets.cache import FOLDER
from yolo3.datasets.formats import registry
from yolo3.file_states import record_file, recorded_listing, recording

_READERS = tuple(path.name for path in Path(registry.__file__).parents[1].rglob("*.py"))
_watched = []  # lists of paths that are opened or listed, while a reader runs


def _note(event, arguments):
    if _watched and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
        _watched[-1].append(arguments[0])


sys.addaudithook(_note)


@pytest.fixture(autouse=True)
def _all_that_readers_look_at_is_recorded(monkeypatch, tmp_path):
    read = registry._read

    def checked(path, *arguments):
        looked_at = []
        _watched.append(looked_at)
        with recording() as inputs, monkeypatch.context() as patch:
            record_file(path)
            if os.path.isdir(path):
                recorded_listing(path)
            for name in ("isfile", "isdir", "exists", "getsize"):
                patch.setattr(os.path, name, _noting(getattr(os.path, name), looked_at))
            try:
                dataset = read(path, *arguments)
            finally:
                _watched.pop()

        known = {*inputs.files, *(folder for folder, _ in inputs.folders)}
        # That a folder is there follows from the files in it.
        known |= {str(folder) for file, state in inputs.files.items() if state for folder in Path(file).parents}
        below = tuple(os.path.join(folder, "") for folder, _ in inputs.folders)
        for other in map(os.path.abspath, looked_at):
            if other.startswith(str(tmp_path)) and not other.startswith(below) and FOLDER not in other:
                assert other in known, f"{other} was looked at and not recorded"
        return dataset

    monkeypatch.setattr(registry, "_read", checked)


def _noting(call, looked_at):
    def noted(path):
        if isinstance(path, str) and sys._getframe(1).f_code.co_filename.endswith(_READERS):
            looked_at.append(path)
        return call(path)

    return noted
