"""Find the image that a name in an annotation file means: by path, by file name, or by stem."""

from __future__ import annotations

import os
from collections.abc import Iterable

from yolo3.datasets.annotation import Finding
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.files import base_name, has_suffix, stem_of, walk_files

# Folders that hold the images of a data set rather than masks or resized copies of them.
_IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")


class ImageIndex:
    """The images below a folder, found by file name or by stem, in any case.

    Args:
        folder: The data folder.
        files: Its files, if they were listed already.

    Attributes:
        paths: All images, sorted.
        ambiguous: (name, chosen path) of each name that fitted several images equally well.
    """

    def __init__(self, folder: str, files: Iterable[str] | None = None):
        self.paths = [
            path for path in (walk_files(folder) if files is None else files) if has_suffix(path, IMAGE_SUFFIXES)
        ]
        self.ambiguous: list[tuple[str, str]] = []
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(os.path.basename(path).lower(), []).append(path)
            self._by_stem.setdefault(stem_of(path).lower(), []).append(path)

    def find(self, name: str, near: str) -> str | None:
        """Return the image with this file name, of several the one nearest to the file `near`, None if absent."""
        return self._nearest(name, self._by_name.get(base_name(name).lower(), []), near)

    def find_stem(self, stem: str, near: str) -> str | None:
        """Return the image with this name before the suffix, as `find` does."""
        return self._nearest(stem, self._by_stem.get(stem.lower(), []), near)

    def find_unique(self, name: str) -> str | None:
        """Return the image with this file name if there is exactly one."""
        candidates = self._by_name.get(base_name(name).lower(), [])
        return candidates[0] if len(candidates) == 1 else None

    def _nearest(self, name: str, candidates: list[str], near: str) -> str | None:
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        ranked = sorted((_image_rank(path, near), path) for path in candidates)
        if ranked[0][0] == ranked[1][0]:
            self.ambiguous.append((name, ranked[0][1]))
        return ranked[0][1]


class ListedPaths:
    """Finds the images that a text file names, wherever the data has moved since it was written.

    Tried in this order: as an absolute path, below the text file's folder, below the current folder, below the three
    folders above the text file (Darknet's lists are written from its own folder), and last by file name anywhere below
    `root`, if just one image there has that name.

    Args:
        text_file: Path of the text file.
        root: The data folder; the text file's folder if None.
    """

    def __init__(self, text_file: str, root: str | None = None):
        self.folder = os.path.dirname(os.path.abspath(text_file))
        self.root = root if root is not None and os.path.isdir(root) else self.folder
        above = [os.path.join(self.folder, *[os.pardir] * count) for count in (1, 2, 3)]
        self._bases = [self.folder, os.curdir, *above]
        self._index: ImageIndex | None = None

    def find(self, entry: str) -> str | None:
        """Return the path of an existing file, or None."""
        for name in dict.fromkeys((entry, entry.replace("\\", "/"))):
            for base in self._bases:
                path = os.path.normpath(os.path.join(base, name))
                if os.path.isfile(path):
                    return path

        if self._index is None:
            self._index = ImageIndex(self.root)
        return self._index.find_unique(entry)


def num_shared_parts(name: str, other: str) -> int:
    """Return how many trailing parts two paths share: 2 for "data/night/1.jpg" and "C:\\set\\night\\1.jpg"."""
    return len(os.path.commonprefix([_parts(name)[::-1], _parts(other)[::-1]]))


def num_parts(name: str) -> int:
    """Return the number of folders and file names in a path."""
    return len(_parts(name))


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def folder_distance(path: str, near: str) -> tuple[int, int]:
    """Return a key that sorts files by how well their folders agree with those of `near`.

    Folders that agree from the top count first, then those that agree from the bottom (images/monday/1.jpg and
    xml/monday/1.xml); more agreement sorts first.
    """
    parts, target = _folders(path), _folders(near)
    shared = len(os.path.commonprefix([parts, target]))
    tail = len(os.path.commonprefix([parts[: shared - 1 : -1], target[: shared - 1 : -1]]))
    return -shared, -tail


def _folders(path: str) -> list[str]:
    return os.path.dirname(os.path.abspath(path)).split(os.sep)


def _image_rank(path: str, near: str) -> tuple[int, int, bool, int]:
    """Return a key that sorts images by the folders shared with `near`, usual folder names first, then suffix."""
    above, below = folder_distance(path, near)
    own = _folders(path)[-above:]
    unusual = bool(own) and not any(part.lower() in _IMAGE_FOLDERS for part in own)
    return above, below, unusual, IMAGE_SUFFIXES.index(os.path.splitext(path)[1].lower())


def ambiguity_findings(index: ImageIndex, where: str) -> list[Finding]:
    """Return one warning for all names that fitted several images equally well."""
    if not index.ambiguous:
        return []
    name, chosen = index.ambiguous[0]
    message = (
        f"expected one image for each name, got several for {len(index.ambiguous)} names, first '{name}' (took "
        f"{chosen}); move the copies elsewhere"
    )
    return [Finding("warning", "ambiguous-image", where, message)]


def missing_image(where: str, entry: str) -> Finding:
    """Return the finding for a listed image that does not exist."""
    message = f"expected an image, got '{entry}', which does not exist; correct the path or remove the line"
    return Finding("error", "missing-image", where, message)
