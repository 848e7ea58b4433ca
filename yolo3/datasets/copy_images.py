"""Where a written data set keeps its images: copied or linked under a free name, or named where they are."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable

from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.files import replace_bytes


def path_for_list(path: str, folder: str) -> str:
    """Return an image's path as a list in `folder` names it: relative if it lies below, else absolute."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    return os.path.relpath(path, folder) if path.startswith(folder + os.sep) else path


class ImageCopies:
    """Copies of images in the folders of a data set that is being written.

    No two images of a folder get the same stem, because label files go by it: a second a.jpg or a.png becomes a_2. An
    image that several lists name is copied once. A file with the same bytes that was there before is not copied again.

    Args:
        link: Whether to make hard links instead, where the file system can.
        placed: Called with the number of images in place, after each.
    """

    def __init__(self, link: bool = False, placed: Callable[[int], None] | None = None):
        self.link = link
        self.placed = placed
        self._copies: dict[tuple[str, str], str] = {}  # (real path of the image, folder) to its copy
        self._taken: set[str] = set()

    def place(self, path: str, folder: str) -> str:
        """Copy an image into a folder, which is created if need be, and return the path of the copy."""
        key = os.path.realpath(path), folder
        if key in self._copies:
            return self._copies[key]
        os.makedirs(folder, exist_ok=True)
        stem, suffix = os.path.splitext(os.path.basename(path))
        suffixes = (suffix, *IMAGE_SUFFIXES, *(other.upper() for other in IMAGE_SUFFIXES))

        number = 1
        while True:
            name = stem if number == 1 else f"{stem}_{number}"
            target = os.path.join(folder, name + suffix)
            if os.path.exists(target):
                done = target not in self._taken and filecmp.cmp(path, target, shallow=False)
            else:
                done = not any(os.path.exists(os.path.join(folder, name + other)) for other in suffixes)
                if done:
                    self._write(path, target)
            if done:
                self._taken.add(target)
                self._copies[key] = target
                if self.placed is not None:
                    self.placed(len(self._copies))
                return target
            number += 1

    def _write(self, path: str, target: str) -> None:
        if self.link:
            try:
                os.link(os.path.realpath(path), target)
                return
            except OSError:
                pass  # another disk, or a file system without links
        with open(path, "rb") as file:
            replace_bytes(target, file.read(), durable=False)
