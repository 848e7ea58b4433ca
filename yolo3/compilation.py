"""What XLA compiles, kept by TensorFlow from one run to the next.

TensorFlow finds an entry by the computation, its shapes and the name of its function, which ends in the number of
tensors and functions that the process made before it (`stable_names`). It stops at an entry that is damaged. So each
has a digest beside it, and what does not match its digest is removed before TensorFlow starts.

The entries are machine code: they lie in the user's cache, in a folder for this processor and this TensorFlow. The
environment variable YOLO3_COMPILED_CACHE names another place, or is "off".
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from importlib import metadata, util
from pathlib import Path

from yolo3.files import free_bytes, user_cache

VARIABLE = "YOLO3_COMPILED_CACHE"
_FLAG = "--tf_xla_persistent_cache_directory"
_ROOM = 256 << 20  # bytes that have to be free: a full disk would stop the run
_MAX_ENTRIES = 64  # of a megabyte or so; a run makes four
_NAMES_FROM = 1 << 18  # more tensors and functions than a process makes before its first step


def compiled_folder() -> Path | None:
    """Return the folder of this processor and this TensorFlow, which need not exist; None if nothing is to be kept."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    return Path(chosen or os.path.join(user_cache(), "compiled"), _machine())


def _machine() -> str:
    """Return a digest of what compiled code depends on, besides the computation."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    processor = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    spec = util.find_spec("tensorflow")
    installed = os.stat(spec.origin).st_mtime_ns if spec and spec.origin else None
    try:
        version = metadata.version("tensorflow")
    except metadata.PackageNotFoundError:  # of another distribution, such as tensorflow-cpu
        version = ""
    parts = (platform.machine(), processor, os.cpu_count(), version, installed, os.environ.get("XLA_FLAGS"))
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def keep_compiled() -> None:
    """Let TensorFlow, which must not have started, keep what XLA compiles for processors, unless its flags say where.

    Its notes on loading an entry, which it writes as errors, are held back.
    """
    flags, folder = os.environ.get("TF_XLA_FLAGS", ""), compiled_folder()
    if folder is None or _FLAG in flags:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if free_bytes(folder) < _ROOM:
            return
        _remove_unsound(folder)
    except OSError:
        return
    os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}={folder} --tf_xla_persistent_cache_device_types=CPU".strip()
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") in "012":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def _remove_unsound(folder: Path) -> None:
    """Remove entries that do not match their digest, have none, or are the oldest beyond a number."""
    entries = sorted(folder.glob("*.pb"), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
    for place, entry in enumerate(entries):
        digest = _digest_file(entry)
        sound = digest.exists() and digest.read_text() == _digest(entry)
        if place >= _MAX_ENTRIES or not sound:
            entry.unlink(missing_ok=True)
            digest.unlink(missing_ok=True)


def seal_compiled() -> None:
    """Write the digests of new entries; what lacks one is removed at the next start."""
    folder = compiled_folder()
    try:
        for entry in folder.glob("*.pb") if folder else ():
            if not _digest_file(entry).exists():
                _digest_file(entry).write_text(_digest(entry))
    except OSError:  # a full disk: they are compiled again
        pass


def _digest_file(entry: Path) -> Path:
    return entry.with_suffix(".blake2b")


def _digest(entry: Path) -> str:
    return hashlib.blake2b(entry.read_bytes(), digest_size=16).hexdigest()


def stable_names() -> None:
    """Give the functions that TensorFlow traces next names that are the same in each process.

    It numbers names by a counter of all tensors and functions; a run that is resumed makes others before its first step
    than the one before. Here the counter is advanced to the next multiple of a number that is beyond them.
    """
    from tensorflow.python.framework import ops  # TensorFlow has no public way

    while ops.uid() % _NAMES_FROM:
        pass
