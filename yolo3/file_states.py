"""What a computation looks at on the disk: recorded while it runs, and compared later to tell whether its result holds.

A file is known by its size and its times. As in git's index, a file that changed just before it was looked at is not
relied on: it may change again within the resolution of the clock, and keep its size and times.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# Nanoseconds for which a changed file is not relied on. FAT's times have a resolution of two seconds, the coarsest.
FRESH_NS = 2_000_000_000

State = tuple[int, int, int]


@dataclass(frozen=True)
class Listing:
    """The files in or below a folder.

    Attributes:
        paths: Their paths, in a fixed order.
        digest: Digest of their paths, sizes and times.
        newest: The latest of their times, in nanoseconds.
    """

    paths: list[str]
    digest: str
    newest: int


@dataclass(eq=False)
class Inputs:
    """The files and folders that a computation looked at, by absolute path.

    Attributes:
        folders: Digest of the listing of each folder, by (path, whether folders in it are listed too).
        files: State of each file, None for one that was looked for and is not there.
        newest: The latest time of all, in nanoseconds.
    """

    folders: dict[tuple[str, bool], str] = field(default_factory=dict)
    files: dict[str, State | None] = field(default_factory=dict)
    newest: int = 0

    def add_file(self, path: str) -> None:
        """Record a file before it is read, or a path before it is tested, unless a listed folder tells of it."""
        path = os.path.abspath(path)
        if path in self.files or any(_is_listed(path, folder) for folder, deep in self.folders if deep):
            return
        state = file_state(path)
        self.files[path] = state
        self.newest = max(self.newest, *(state or (0, 0, 0))[1:])

    def add_listing(self, folder: str, deep: bool, listing: Listing) -> None:
        """Record a folder as it was listed."""
        self.folders.setdefault((os.path.abspath(folder), deep), listing.digest)
        self.newest = max(self.newest, listing.newest)

    def to_plain(self) -> dict:
        """Return the record as JSON can hold it; inverse of `from_plain`."""
        return {"folders": [[*key, digest] for key, digest in self.folders.items()], "files": self.files}

    @classmethod
    def from_plain(cls, plain: dict) -> Inputs:
        """Return the record that `to_plain` was called of."""
        files = {path: None if state is None else tuple(state) for path, state in plain["files"].items()}
        return cls({(path, deep): digest for path, deep, digest in plain["folders"]}, files)

    def hold(self, again: bool = False) -> bool:
        """Return whether every file and folder is as it was; `again` looks at the disk even within `one_look`."""
        listed = _list_again if again else list_folder
        return all(file_state(path) == state for path, state in self.files.items()) and all(
            listed(folder, deep).digest == digest for (folder, deep), digest in self.folders.items()
        )


_recordings: list[Inputs] = []
_watchers: list[Callable[[], None]] = []
_looks: list[dict[tuple[str, bool], Listing]] = []


@contextlib.contextmanager
def recording() -> Iterator[Inputs]:
    """Record what is read through :mod:`yolo3.files` within the block, in which each folder is listed once.

    Yields:
        The record, which grows within the block.
    """
    inputs = Inputs()
    _recordings.append(inputs)
    try:
        with one_look():
            yield inputs
    finally:
        _recordings.remove(inputs)


@contextlib.contextmanager
def one_look() -> Iterator[None]:
    """List each folder once within the block, and answer from memory when it is listed again."""
    _looks.append(_looks[-1] if _looks else {})
    try:
        yield
    finally:
        _looks.pop()


@contextlib.contextmanager
def watching(watcher: Callable[[], None]) -> Iterator[None]:
    """Call a function for each file that is read or looked for within the block, to show progress."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def record_file(path: str | os.PathLike) -> None:
    """Tell the recordings in progress that a file is about to be read, or that it is tested for being there."""
    for watcher in _watchers:
        watcher()
    for inputs in _recordings:
        inputs.add_file(os.fspath(path))


def walk(folder: str) -> Iterator[str]:
    """Yield what :func:`yolo3.files.walk_files` documents."""
    if _recordings or _looks:
        yield from recorded_listing(folder).paths
    else:
        yield from (entry.path for entry, is_file in _entries(folder, True) if is_file)


def recorded_listing(folder: str, deep: bool = True) -> Listing:
    """Return the listing of a folder as `list_folder` does, and record it."""
    listing = list_folder(folder, deep)
    for inputs in _recordings:
        inputs.add_listing(folder, deep, listing)
    return listing


def list_folder(folder: str, deep: bool = True) -> Listing:
    """List the files in a folder, and in the folders in it if `deep`; from memory within `one_look`."""
    if not _looks:
        return _list_again(folder, deep)
    if (folder, deep) not in _looks[-1]:
        _looks[-1][folder, deep] = _list_again(folder, deep)
    return _looks[-1][folder, deep]


def _list_again(folder: str, deep: bool) -> Listing:
    digest = hashlib.blake2b(digest_size=16)
    paths, newest = [], 0
    start = len(os.path.join(folder, ""))
    for entry, is_file in _entries(folder, deep):
        if not is_file:
            digest.update(f"{entry.path[start:]}\0\0".encode("utf-8", "surrogateescape"))
            continue
        try:
            found = entry.stat()
        except OSError:
            continue
        paths.append(entry.path)
        line = f"{entry.path[start:]}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\0"
        digest.update(line.encode("utf-8", "surrogateescape"))
        newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
    return Listing(paths, digest.hexdigest(), newest)


def file_state(path: str) -> State | None:
    """Return (size, time of its content, time of its record) of a file, times in nanoseconds; None if there is none.

    The second time, which tools cannot set, tells of an archive that was unpacked over the file with old times.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    # A folder changes whenever something is written into it, as the caches are.
    return (-1, 0, 0) if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _entries(folder: str, deep: bool) -> Iterator[tuple[os.DirEntry, bool]]:
    """Yield (entry, whether it is a file) of a folder, in the order of their names, then those of each folder in it."""
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        real = os.path.realpath(parent)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
        except OSError:
            continue

        inner = []
        for entry in entries:
            try:
                if entry.name.startswith("."):
                    continue
                if entry.is_file():
                    yield entry, True
                elif deep and entry.name != "__MACOSX" and entry.is_dir():
                    yield entry, False
                    inner.append(entry.path)
            except OSError:
                continue
        waiting += reversed(inner)


def _is_listed(path: str, folder: str) -> bool:
    """Return whether the listing of a folder would show a file at this path."""
    if not path.startswith(os.path.join(folder, "")):
        return False
    parts = path[len(folder) :].split(os.sep)
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
