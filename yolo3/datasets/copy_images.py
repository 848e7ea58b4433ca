"""Where a written data set keeps its images: copied under a free name, or named where they are."""

from __future__ import annotations

import filecmp
import os
import shutil

from yolo3.datasets.images import IMAGE_SUFFIXES


def path_for_list(path: str, folder: str) -> str:
    """Return an image's path as a list in `folder` names it: relative if it lies below, else absolute."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    return os.path.relpath(path, folder) if path.startswith(folder + os.sep) else path


def copy_image(path: str, folder: str, taken: set[str]) -> str:
    """Copy an image into a folder.

    No two images get the same stem, because label files go by it: a second a.jpg or a.png becomes a_2. A file with the
    same bytes that was there before is not copied again.

    Args:
        path: Path of the image.
        folder: Target folder, created if need be.
        taken: Paths copied so far; the new one is added.

    Returns:
        Path of the copy.
    """
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(os.path.basename(path))
    suffixes = (suffix, *IMAGE_SUFFIXES, *(other.upper() for other in IMAGE_SUFFIXES))

    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        target = os.path.join(folder, name + suffix)
        if os.path.exists(target):
            done = target not in taken and filecmp.cmp(path, target, shallow=False)
        else:
            done = not any(os.path.exists(os.path.join(folder, name + other)) for other in suffixes)
            if done:
                shutil.copyfile(path, target)
        if done:
            taken.add(target)
            return target
        number += 1
