"""Checks of the files that a command will write, before its work begins."""

import os


def check_outputs(*paths: str | os.PathLike | None) -> None:
    """Check that files can be written, in folders that exist or can be made.

    Args:
        paths: Files to write; None is passed over.

    Raises:
        ValueError: Naming the first path that cannot be written, and why.
    """
    for path in paths:
        if path is None:
            continue
        if os.path.isdir(path):
            raise ValueError(f"{path}: expected a file to write, got a folder")
        if os.path.lexists(path) and not os.path.isfile(path):
            raise ValueError(f"{path}: expected a file to write, got a device, a pipe or a broken link")

        folder = os.path.dirname(os.path.abspath(path))
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise ValueError(f"{path}: expected a folder at {folder}, got a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{path}: expected a folder that can be written to, got {folder}")


def require_new_folder(path: str) -> None:
    """Raise ValueError if a path is something else than an empty folder or nothing."""
    if os.path.lexists(path) and (not os.path.isdir(path) or os.listdir(path)):
        found = "a folder that holds something" if os.path.isdir(path) else "a file"
        raise ValueError(f"{path}: expected a new or empty folder to write to, got {found}")
