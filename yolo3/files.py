"""Files that appear whole or not at all, text in any encoding, and walking folders."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from yolo3.file_states import record_file, recorded_listing, walk
from yolo3.temporary import put_in_place, temporary_path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, size: int = 0, durable: bool = True) -> Iterator[Path]:
    """Provide a temporary path whose file takes the place of `path` when the block ends, and is removed if it fails.

    The temporary name ends as `path` does, for libraries that go by the suffix.

    Args:
        path: The file to write; its folder is created if need be.
        size: Bytes to reserve on the disk first: HDF5 ends the whole process if the disk fills up while it writes.
        durable: See :func:`yolo3.temporary.put_in_place`.

    Yields:
        The temporary path.

    Raises:
        OSError: With the name of `path`, if it cannot be written.

    Example:
        >>> with atomic_path("weights.h5") as temporary:
        ...     model.save(temporary)
    """
    path = Path(path)
    if path.is_dir():  # the system's own error would name the temporary file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    temporary = temporary_path(path, "".join(path.suffixes))
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with naming(path):
            if size:
                with open(temporary, "wb") as file:
                    if hasattr(os, "posix_fallocate"):
                        os.posix_fallocate(file.fileno(), 0, size)
            yield temporary
            put_in_place(temporary, path, durable)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Give an ``OSError`` from within the block the name of the file, if the system did not give one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def replace_file(path: str | os.PathLike, text: str, durable: bool = True) -> None:
    """Write a UTF-8 text file in one step: no reader sees half a file.

    Args:
        path: The file; its folder is created if need be.
        text: The text; lines end as they are given.
        durable: See :func:`yolo3.temporary.put_in_place`.

    Raises:
        IsADirectoryError: If `path` is a folder.
        ValueError: For text that UTF-8 cannot hold, as names of files that are not UTF-8; names it.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        around = text[max(error.start - 30, 0) : error.end + 30]
        where = os.fspath(path)
        raise ValueError(f"{where}: expected text that UTF-8 can hold, got {ascii(around)}; rename it") from error
    replace_bytes(path, content, durable)


def replace_bytes(path: str | os.PathLike, content: bytes, durable: bool = True) -> None:
    """Write a binary file in one step, as `replace_file` does with text."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def read_text(path: str) -> str:
    """Read a text file as `decode_text` decodes it."""
    record_file(path)
    with open(path, "rb") as file:
        return decode_text(file.read())


def read_lines(path: str) -> list[str]:
    """Read the lines of a text file, without ends of line of any system."""
    return re.split(r"\r\n|\n|\r", read_text(path))


def decode_text(content: bytes) -> str:
    """Decode UTF-8 with or without a byte order mark, UTF-16 with one (PowerShell's `>`), and else Latin-1."""
    if is_utf16(content):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def is_utf16(content: bytes) -> bool:
    """Return whether bytes begin with the byte order mark of UTF-16."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def text_head(path: str, size: int) -> str:
    """Return the text of the first `size` bytes of a file, "" for files that are not text, such as images."""
    record_file(path)
    with open(path, "rb") as file:
        head = file.read(size)
    if is_utf16(head):
        return head.decode("utf-16", "ignore")
    return "" if b"\0" in head else head.decode("utf-8", "replace").lstrip("\ufeff")


def printable(text: str) -> str:
    """Return text on one line, with escapes for what ends a line, commands a terminal or cannot be encoded.

    Example:
        >>> print(printable("two\\nlines.jpg"))
        two\\nlines.jpg
    """
    if text.isprintable():
        return text
    kinds = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of such characters
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in kinds else c for c in text)


def existing_parent(path: str | os.PathLike) -> Path:
    """Return the path itself if there is something, else the nearest folder above it that there is."""
    path = Path(path).absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def free_bytes(path: str | os.PathLike) -> int:
    """Return how much room there is on the disk where a file or folder will be, which need not exist yet."""
    return shutil.disk_usage(existing_parent(path)).free


def user_cache() -> str:
    """Return the folder of this package in the user's cache: XDG_CACHE_HOME, else ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "yolo3")


def walk_files(folder: str) -> Iterator[str]:
    """Yield the paths of all files below a folder in a fixed order.

    Linked folders are followed once. Hidden files, links to nothing and `__MACOSX` are skipped.
    """
    return walk(folder)


def is_file(path: str) -> bool:
    """Return whether there is a file; readers of annotations ask here, so that their answers can be kept."""
    record_file(path)
    return os.path.isfile(path)


def is_folder(path: str) -> bool:
    """Return whether there is a folder; asked here for the same reason as `is_file`."""
    record_file(path)
    return os.path.isdir(path)


def is_there(path: str) -> bool:
    """Return whether there is a file or folder; asked here for the same reason as `is_file`."""
    record_file(path)
    return os.path.exists(path)


def files_in(folder: str) -> list[str]:
    """Return the paths of the files in a folder, not of those in folders in it; skips what `walk_files` skips."""
    return recorded_listing(folder, deep=False).paths


def real_paths(paths: Iterable[str]) -> list[str]:
    """Return each path without links; a folder that many files share is looked at once."""
    folders: dict[str, tuple[str, frozenset[str]]] = {}  # the real folder, and the names of the links in it
    found = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.join(os.path.realpath(folder), ""), _links_in(folder)
        real, links = folders[folder]
        found.append(os.path.realpath(path) if name in links or name in ("", os.curdir, os.pardir) else real + name)
    return found


def _links_in(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # no such folder, so no links
        return frozenset()


def parent_unless_root(folder: str) -> str:
    """Return the folder above, but the folder itself where that would be the root, below which is the whole disk."""
    parent = os.path.dirname(folder)
    return folder if os.path.dirname(parent) == parent else parent


def has_suffix(path: str, suffixes: str | tuple[str, ...]) -> bool:
    """Return whether a path ends in one of the suffixes, given in lower case, in any case."""
    return path.lower().endswith(suffixes)


def stem_of(path: str) -> str:
    """Return the file name without folder and without the last suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def base_name(path: str) -> str:
    """Return the file name of a path written on any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
