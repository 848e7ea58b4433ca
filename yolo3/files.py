"""Writing files where the disk may be full: errors that say which file, room taken before a library writes."""

import contextlib
import os


@contextlib.contextmanager
def naming(path: str | os.PathLike):
    """Give an ``OSError`` from within the block the name of the file, where the system did not say one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def reserve(path: str | os.PathLike, size: int) -> None:
    """Make a file of ``size`` bytes, to be written anew; raises ``OSError`` where there is no room for it.

    HDF5 ends the whole process where the disk is full while it writes.
    """
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
