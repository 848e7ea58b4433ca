"""Temporary files beside the files that they become: whose they are, when they are cleared, how they take their place.

The name of a temporary file says which process on which host writes it. What a process that died has left is removed by
the next one that writes into the same folder; what a living one writes is left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
from pathlib import Path

_HOST = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())[:30] or "host"
_OWN_NAME = re.compile(rf"\..*\.{_HOST}-([0-9]+)(\..*)?", re.DOTALL)
_looked_through: set[str] = set()  # folders that this process has cleared; listing one for each file would be slow
_LONGEST_STEM = 30  # characters; names of files have at most 255 bytes


def temporary_path(path: str | os.PathLike, suffix: str = "") -> Path:
    """Return the path of this process' temporary file for a file, and remove what dead processes left beside it.

    Args:
        path: The file or folder to write; a link stands for what it points to.
        suffix: End of the temporary name, for libraries that go by it.

    Returns:
        A hidden name in the same folder, which need not exist.
    """
    target = Path(os.path.realpath(path))
    if str(target.parent) not in _looked_through:
        _looked_through.add(str(target.parent))
        remove_dead(target.parent)
    return target.with_name(f".{target.name[:_LONGEST_STEM]}.{_HOST}-{os.getpid()}{suffix}")


def remove_dead(folder: str | os.PathLike) -> None:
    """Remove the temporary files and folders, in a folder that need not exist, of processes that no longer run.

    Those of other hosts stay: whether they run cannot be seen from here.
    """
    if not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        match = _OWN_NAME.fullmatch(name)
        if match and not _is_running(int(match.group(1))):
            _remove(os.path.join(folder, name))


def put_in_place(temporary: str | os.PathLike, path: str | os.PathLike, durable: bool = True) -> None:
    """Let a temporary file take the place of a file, which keeps its mode; a link stays one.

    Args:
        temporary: From `temporary_path`, complete.
        path: The file.
        durable: Whether it is on the disk when this returns, so that after a power cut there is the old file or the
            new one. For thousands of small files that are made again easily this takes too long.

    Raises:
        IsADirectoryError: If there is a folder in its place.
        OSError: If the disk does not take it.
    """
    target = os.path.realpath(path)
    if os.path.isfile(target):
        os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
    if durable:
        _flush(temporary)
    os.replace(temporary, target)
    if durable:
        _flush(os.path.dirname(target))


def _flush(path: str | os.PathLike) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.path.isdir(path) and not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not os.path.isdir(path):
            raise  # some file systems flush no folders
    finally:
        os.close(handle)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        os.unlink(path)
    except OSError:
        pass  # another process was faster, or the folder is read-only
