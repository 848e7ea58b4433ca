"""Which files are there, answered from a listing of their folder: a data set asks some of it for each of its images."""

from __future__ import annotations

import os
from collections.abc import Iterable

from yolo3.files import is_file, is_folder


class KnownFiles:
    """Answers whether files are there; the disk is asked only about folders that were not listed.

    Args:
        listed: Paths of files, as `walk_files` yields them: of a folder with one of them, all that are not hidden.
    """

    def __init__(self, listed: Iterable[str]):
        self._names: dict[str, set[str] | None] = {}
        for path in listed:
            folder, name = os.path.split(path)
            if folder not in self._names:
                self._names[folder] = self._names[os.path.abspath(folder)] = set()
            self._names[folder].add(name)  # type: ignore[union-attr]

    def names_in(self, folder: str) -> set[str] | None:
        """Return the names of the files in a folder, hidden ones aside; None if each of them has to be looked for."""
        if folder not in self._names:
            self._names[folder] = None if is_folder(folder) else set()
        return self._names[folder]

    def may_hold(self, folder: str, suffix: str) -> bool:
        """Return whether files with a suffix may be in a folder; False is certain, hidden files aside."""
        names = self.names_in(folder)
        return names is None or any(name.endswith(suffix) for name in names)

    def has(self, path: str) -> bool:
        """Return whether there is a file."""
        folder, name = os.path.split(path)
        names = self.names_in(folder)
        return is_file(path) if names is None or name.startswith(".") else name in names
