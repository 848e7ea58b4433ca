"""What decoding the images of a data set showed, kept from one start to the next.

Only images that are new or have changed are decoded again.

A fact is known by the image's path, size and times. Images with a fault are not kept: decoding them fails at once.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence

import numpy as np

from yolo3.datasets.cache import cache_folder, join_texts, read_cache, split_texts, write_cache
from yolo3.datasets.check_images import ImageCheck, Progress, check_images
from yolo3.datasets.image_groups import group_images
from yolo3.datasets.pixel_limit import exceeds_limit
from yolo3.file_states import FRESH_NS, file_state

_FILE = "images.npz"
_GROUPS_WORTH = 2000  # images below which groups are found at once
_KEPT_MORE = 4  # facts of images that are not asked for now are kept up to this multiple of those that are


def known_checks(
    paths: Sequence[str], root: str, workers: int = 0, progress: Progress | None = None
) -> list[ImageCheck]:
    """Check images as `check_images` does, and decode only those that are not known or have changed.

    Args:
        paths: Paths of the images.
        root: Folder of the data set, "" to keep nothing.
        workers: Number of threads, 0 for one a core.
        progress: Called with (done, all) after each image that is decoded.

    Returns:
        One `ImageCheck` for each path, in order.
    """
    folder = cache_folder(root)
    if folder is None:
        return list(check_images(paths, workers, progress))

    # Images below the data set are known by their place in it, so that it can be moved.
    start = os.path.join(os.path.abspath(root), "")
    names = [os.path.abspath(path).removeprefix(start) for path in paths]
    states = [file_state(path) for path in paths]
    file = os.path.join(folder, _FILE)
    known = _read(file)
    good = {
        index: known[name][1]
        for index, (name, state) in enumerate(zip(names, states, strict=True))
        if name in known and known[name][0] == state and not _exceeds_limit(known[name][1])
    }

    began = time.time_ns()
    missing = [index for index in range(len(paths)) if index not in good]
    decoded = dict(zip(missing, check_images([paths[index] for index in missing], workers, progress), strict=True))

    learned: dict[str, Fact] = {}
    for index, check in decoded.items():
        state = states[index]
        unchanged = state is not None and file_state(paths[index]) == state
        if state is not None and unchanged and max(state[1:]) < began - FRESH_NS and check.fault is None:
            learned[names[index]] = state, check
    if learned:
        asked = set(names)
        others = {name: fact for name, fact in known.items() if name not in asked}
        kept = others if len(others) <= _KEPT_MORE * len(names) else {}
        _write(file, {**kept, **{names[index]: known[names[index]] for index in good}, **learned})
    return [good[index] if index in good else decoded[index] for index in range(len(paths))]


def known_groups(
    paths: Sequence[str], checks: Sequence[ImageCheck], root: str, progress: Progress | None = None
) -> np.ndarray:
    """Return what `group_images` returns, from the cache for images that were grouped before.

    Args:
        paths: Path of each image.
        checks: What decoding them showed.
        root: Folder of the data set, "" to keep nothing.
        progress: As for `group_images`.
    """
    folder = cache_folder(root)
    if folder is None or len(paths) < _GROUPS_WORTH:
        return group_images(paths, checks, progress)

    digest = hashlib.blake2b(digest_size=8)
    for path, check in zip(paths, checks, strict=True):
        digest.update(f"{path}\0{check.digest}\0".encode("utf-8", "surrogateescape"))
    file = os.path.join(folder, f"groups-{digest.hexdigest()}.npz")
    found = read_cache(file)
    if found is not None and found[1].keys() == {"groups"} and found[1]["groups"].shape == (len(paths),):
        return found[1]["groups"]
    groups = group_images(paths, checks, progress)
    write_cache(file, None, {"groups": groups})
    return groups


def _exceeds_limit(check: ImageCheck) -> bool:
    """Return whether an image has more pixels than are allowed now; it may have been decoded under another limit."""
    return check.shape is not None and exceeds_limit(check.shape)


Fact = tuple[tuple[int, int, int], ImageCheck]


def _read(file: str) -> dict[str, Fact]:
    found = read_cache(file)
    if found is None:
        return {}
    count, arrays = found
    try:
        names = split_texts(arrays["names"], count)
        states, shapes = arrays["states"].tolist(), arrays["shapes"].tolist()
        checks = (
            ImageCheck(tuple(shape), digest.tobytes().hex(), None, thumbnail.tobytes())
            for shape, digest, thumbnail in zip(shapes, arrays["digests"], arrays["thumbnails"], strict=True)
        )
        return {name: (tuple(state), check) for name, state, check in zip(names, states, checks, strict=True)}
    except (KeyError, ValueError, TypeError):
        return {}


def _write(file: str, facts: dict[str, Fact]) -> None:
    checks = [check for _, check in facts.values()]
    digests = b"".join(bytes.fromhex(check.digest) for check in checks)
    arrays = {
        "names": join_texts(list(facts)),
        "states": np.array([state for state, _ in facts.values()], np.int64).reshape(-1, 3),
        "shapes": np.array([check.shape for check in checks], np.int32).reshape(-1, 2),
        "digests": np.frombuffer(digests, np.uint8).reshape(len(checks), -1),
        "thumbnails": np.frombuffer(b"".join(check.thumbnail for check in checks), np.uint8).reshape(len(checks), -1),
    }
    write_cache(file, len(facts), arrays)
