"""Files: written whole or not at all, also where the disk is full; text read whatever its encoding; paths found."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, size: int = 0) -> Iterator[Path]:
    """A name to write a file under, which becomes `path` when all is written, and is removed when anything fails.

    It ends as `path` does, for libraries that go by it. ``size``: bytes that are asked of the disk first, for HDF5 ends
    the whole process where the disk is full while it writes. Raises ``OSError`` with the name of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes)
    temporary = path.with_name(f".{path.name.removesuffix(suffix)}.{os.getpid()}{suffix}")
    try:
        with naming(path):
            if size:
                _reserve(temporary, size)
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Give an ``OSError`` from within the block the name of the file, where the system did not say one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _reserve(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


# Class names


def read_text(path: str) -> str:
    """Text of a file, with or without a byte order mark; what is not UTF-8 (or, by its mark, UTF-16) is read
    as Latin-1.
    """
    with open(path, "rb") as file:
        return decode_text(file.read())


def decode_text(content: bytes) -> str:
    """Text of the bytes of a file, as `read_text` reads it. PowerShell's `>` writes UTF-16."""
    if is_utf16(content):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def is_utf16(content: bytes) -> bool:
    """Whether bytes begin with the byte order mark of UTF-16."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def text_head(path: str, size: int) -> str:
    """Text of the first `size` bytes of a file; "" for files that are no text, such as images."""
    with open(path, "rb") as file:
        head = file.read(size)
    if is_utf16(head):
        return head.decode("utf-16", "ignore")
    return "" if b"\0" in head else head.decode("utf-8", "replace").lstrip("\ufeff")


def read_lines(path: str) -> list[str]:
    """Lines of a text file, ends of line of any system taken off."""
    return re.split(r"\r\n|\n|\r", read_text(path))


# Files


def replace_file(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text beside `path`, then put it in its place in one step: no reader sees half a file.

    Raises IsADirectoryError for a folder: the system's own error would name the file beside it.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def walk_files(folder: str) -> Iterator[str]:
    """Paths of all files below `folder` in a fixed order; links are followed once, hidden files and links to
    nothing never.
    """
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        paths = (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from filter(os.path.isfile, paths)


def has_suffix(path: str, suffixes: str | tuple[str, ...]) -> bool:
    """Whether a path ends so, in any case."""
    return path.lower().endswith(suffixes)


def stem_of(path: str) -> str:
    """File name without folder and without the last suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def base_name(path: str) -> str:
    """File name of a path written on any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def replace_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file beside its place, in a folder that is made if need be, then put it there in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
