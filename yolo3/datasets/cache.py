"""Files that keep what is known of a data set from one start to the next: where they lie, and plain arrays in them.

They lie in the folder `.yolo3-cache` in the data set, or under the user's cache folder where that cannot be written to.
The environment variable YOLO3_DATA_CACHE names another place for all of them, or is "off".

A file is NumPy's .npz without pickled objects. One that is damaged, of another version of this package's readers, or
of anything else counts as absent, and is replaced.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo3.arrays import read_arrays, write_arrays
from yolo3.files import user_cache

FOLDER = ".yolo3-cache"
VARIABLE = "YOLO3_DATA_CACHE"
_MAX_FILES = 24  # in a folder, the least recently used go first
_MAX_BYTES = 1 << 31  # of a file; COCO's takes 60 MB
_HEADER = "header"


def cache_folder(root: str) -> str | None:
    """Return the folder for the cache files of a data set, which need not exist, or None if there is to be none.

    Args:
        root: The folder of the data set.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off" or not root:
        return None
    root = os.path.abspath(root)
    own = os.path.join(root, FOLDER)
    if not chosen and os.access(own if os.path.isdir(own) else root, os.W_OK):
        return own
    name = f"data-{hashlib.blake2b(os.fsencode(root), digest_size=8).hexdigest()}"
    return os.path.join(chosen or user_cache(), name)


def write_cache(path: str, header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a cache file in one step, and remove the oldest ones of its folder beyond a number.

    A disk that is full, or a folder that cannot be written to, is no error: the file is left out.

    Args:
        path: The file; its folder is created if need be.
        header: What JSON can hold.
        arrays: Plain arrays by name.
    """
    text = json.dumps({"version": code_version(), "header": header})
    try:
        write_arrays(path, {_HEADER: np.frombuffer(text.encode(), np.uint8), **arrays})
        others = sorted(Path(path).parent.glob("*.npz"), key=lambda other: other.stat().st_mtime_ns, reverse=True)
        for other in others[_MAX_FILES:]:
            other.unlink(missing_ok=True)
    except OSError:
        pass


def read_cache(path: str) -> tuple[Any, dict[str, np.ndarray]] | None:
    """Read a cache file.

    Returns:
        (header, arrays) as they were written, None unless the file is whole and of this version.
    """
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            return None
        arrays = read_arrays(path)
        content = json.loads(arrays.pop(_HEADER).tobytes())
        return (content["header"], arrays) if content["version"] == code_version() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def join_texts(texts: list[str]) -> np.ndarray:
    """Return texts without NUL, such as paths, as one array of bytes; inverse of `split_texts`."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def split_texts(joined: np.ndarray, count: int) -> list[str]:
    """Return the texts that `join_texts` joined.

    Raises:
        ValueError: If there are not as many as expected.
    """
    texts = joined.tobytes().decode("utf-8", "surrogateescape").split("\0") if count else []
    if len(texts) != count:
        raise ValueError(f"cache: expected {count} texts, got {len(texts)}")
    return texts


@functools.cache
def code_version() -> str:
    """Return a digest of the code that reads and checks data: whatever changes in it makes caches void."""
    import yolo3

    digest = hashlib.blake2b(f"{yolo3.__version__} {np.__version__} {sys.byteorder}".encode(), digest_size=8)
    folder = Path(yolo3.__file__).parent
    for path in sorted([folder / "files.py", *(folder / "datasets").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def module_version(module: str) -> str:
    """Return a digest of the source of a module, "" where it has none; for formats that other packages add."""
    file = getattr(importlib.import_module(module), "__file__", None)
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=8).hexdigest() if file else ""
