"""How much memory a process may still take: of the machine, of its control group, and of its address space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = 4 << 30
"""Bytes that are taken for free where the system does not say."""


def free_memory(root: str | os.PathLike = "/") -> int:
    """Return the bytes of memory that are free: of the machine, or of the control group whose limit is nearer.

    Args:
        root: Folder with `proc` and `sys`.
    """
    root = Path(root)
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = UNKNOWN
    return max(min([free, *_free_in_groups(root)]), 0)


def _free_in_groups(root: Path) -> Iterator[int]:
    """Yield what is free in each control group with a limit that the process is in; caches of files count as free."""
    versions = (
        ("", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for controller, mounted, limit, used, cached in versions:
        place = _group_of(root, controller)
        for group in (Path(place), *Path(place).parents):
            folder = root / mounted / group
            try:
                statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                taken = int((folder / used).read_text()) - int(statistics.get(cached, 0))
                yield int((folder / limit).read_text()) - taken
            except (OSError, ValueError):  # no such group here, or "max"
                continue


def _group_of(root: Path, controller: str) -> str:
    """Return the path of the process' control group below the mounted folder; "" where it is not said."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ""
    places = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    return next((path.strip("/") for names, path in places.items() if controller in names.split(",")), "")


def free_address_space() -> int | None:
    """Return the bytes that the process may still map under its limit (`ulimit -v`); None without a limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(limit - mapped, 0)


def resident_memory(process: int) -> int:
    """Return the bytes of memory that a process takes; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
