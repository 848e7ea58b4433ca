"""The lock of a run folder: one process at a time trains there.

The kernel holds the lock and releases it when the process ends, however it ends. The file says who holds it.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


class RunLock:
    """A lock on a folder.

    Args:
        folder: The folder, which is made when the lock is taken.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = Path(folder) / LOCK
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def acquire(self) -> bool:
        """Take the lock, unless another process has it; on file systems without locks it counts as taken.

        Returns:
            Whether it is held now.

        Raises:
            OSError: If the folder cannot be written.
        """
        while not self.held:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            if not _lock(handle):
                os.close(handle)
                return False
            if not _is_at(handle, self.path):  # its former holder has just removed it
                os.close(handle)
                continue
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock back, and remove the folder if there is nothing in it."""
        if self._handle is None:
            return
        self.path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None
        try:
            self.path.parent.rmdir()
        except OSError:
            pass  # there are files in it

    def holder(self) -> str:
        """Return who holds the lock, in words: "process 4711 on host"."""
        try:
            return self.path.read_text(errors="replace").strip()[:200] or "another process"
        except OSError:
            return "another process"


def _lock(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)  # else: no locks on this file system
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
