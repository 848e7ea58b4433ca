"""Find the file that a name in an annotation file means as it is written, seen from the folders it may be seen from."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable

from yolo3.datasets.images import UNREAD_SUFFIXES
from yolo3.datasets.known_files import KnownFiles
from yolo3.files import has_suffix, is_file


class Places:
    """Finds the files that names mean as written, seen from a few folders, as `file_in` does, for very many names.

    Args:
        folders: The folders; the first that has a file counts.
        known: The files of the data set.
    """

    def __init__(self, folders: Iterable[str], known: KnownFiles):
        self._places = list(folders)
        self._known = known
        self._seen_from: dict[str, list[tuple[str, set[str] | None]]] = {}  # by the folders in a name

    def find(self, name: str) -> str | None:
        """Return the file that a name means as written, or else unquoted, in the first folder that has it."""
        inner, _, base = name.rpartition("/")
        if not _is_simple(name, base) or has_suffix(name, UNREAD_SUFFIXES):
            return file_in(self._places, name)
        if inner not in self._seen_from:
            folders = [os.path.normpath(os.path.join(place, inner)) for place in self._places]
            self._seen_from[inner] = [(os.path.join(folder, ""), self._known.names_in(folder)) for folder in folders]
        for start, names in self._seen_from[inner]:
            if base in names if names is not None else is_file(start + base):
                return start + base
        return None


def _is_simple(name: str, base: str) -> bool:
    """Return whether a name has one spelling, and a file name that a listing would show."""
    return not (
        base.startswith(".") or not base or name.startswith("/") or "%" in name or "\\" in name or "?d=" in name
    )


def file_in(folders: Iterable[str], name: str) -> str | None:
    """Return the file that a name means as written, or else unquoted, in the first folder that has it.

    Args:
        folders: Folders that the name may be seen from.
        name: File name or path, as an annotation file gives it.

    Returns:
        The path, None if there is none, or if it is an image of a kind that is not read.
    """
    if has_suffix(name, UNREAD_SUFFIXES):
        return None
    folders = list(folders)
    for spelling in dict.fromkeys((name, *spellings(name))):
        for folder in folders:
            path = os.path.normpath(os.path.join(folder, spelling))
            if is_file(path):
                return path
    return None


def spellings(name: str) -> list[str]:
    """Return a name with slashes, then unquoted, and what follows Label Studio's "?d="; each once."""
    name = name.replace("\\", "/")
    unquoted = urllib.parse.unquote(name)
    return list(dict.fromkeys((name, unquoted, unquoted.rpartition("?d=")[2])))
