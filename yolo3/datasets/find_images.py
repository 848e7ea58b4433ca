"""Which image a name means: beside the annotations, by file name, or by stem."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterable, Sequence

from yolo3.datasets.annotation import Finding
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.files import base_name, has_suffix, stem_of, walk_files

# Folders that hold the photographs of a data set rather than masks or resized copies of them.
_IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")


def group_by_folder(paths: Sequence[str], root: str) -> dict[str, list[str]]:
    """Paths grouped by the folders that divide them, such as train/, valid/ and test/: {} when nothing does.

    The dividing folders are those directly below the deepest folder that holds all paths.
    """
    if not paths:
        return {}
    relative = [os.path.relpath(path, root).split(os.sep) for path in paths]
    depth = 0
    while all(len(parts) > depth + 1 for parts in relative) and len({parts[depth] for parts in relative}) == 1:
        depth += 1
    if any(len(parts) <= depth + 1 for parts in relative):
        return {}
    groups: dict[str, list[str]] = {}
    for path, parts in zip(paths, relative, strict=True):
        groups.setdefault(parts[depth], []).append(path)
    return groups


class ImageIndex:
    """The images below a folder, found by file name or by stem, in any case.

    `ambiguous` collects (name, chosen path) where several images fitted equally well.
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
        """The image with this file name, of several the one nearest to the file `near`; None when there is
        none.
        """
        return self._nearest(name, self._by_name.get(base_name(name).lower(), []), near)

    def find_stem(self, stem: str, near: str) -> str | None:
        """The image with this name before the suffix."""
        return self._nearest(stem, self._by_stem.get(stem.lower(), []), near)

    def find_unique(self, name: str) -> str | None:
        """The image with this file name if there is exactly one."""
        candidates = self._by_name.get(base_name(name).lower(), [])
        return candidates[0] if len(candidates) == 1 else None

    def _nearest(self, name: str, candidates: list[str], near: str) -> str | None:
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        ranked = sorted((_image_rank(path, near), path) for path in candidates)
        if ranked[0][0] == ranked[1][0]:
            self.ambiguous.append((name, ranked[0][1]))
        return ranked[0][1]


def num_shared_parts(name: str, other: str) -> int:
    """Return how many trailing parts two paths share: 2 for "data/night/1.jpg" and "C:\\\\set\\\\night\\\\1.jpg"."""
    return len(os.path.commonprefix([_parts(name)[::-1], _parts(other)[::-1]]))


def num_parts(name: str) -> int:
    """Return the number of folders and file names in a path."""
    return len(_parts(name))


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def folder_distance(path: str, near: str) -> tuple[int, int]:
    """Sorts files by how their folders agree with those of `near`: from the top first, then from the bottom
    (images/monday/1.jpg and xml/monday/1.xml).
    """
    parts, target = _folders(path), _folders(near)
    shared = len(os.path.commonprefix([parts, target]))
    tail = len(os.path.commonprefix([parts[: shared - 1 : -1], target[: shared - 1 : -1]]))
    return -shared, -tail


def _folders(path: str) -> list[str]:
    return os.path.dirname(os.path.abspath(path)).split(os.sep)


def _image_rank(path: str, near: str) -> tuple[int, int, bool, int]:
    """Sorts images by shared folders with `near`, usual folder names first, then the suffix."""
    above, below = folder_distance(path, near)
    own = _folders(path)[-above:]
    unusual = bool(own) and not any(part.lower() in _IMAGE_FOLDERS for part in own)
    return above, below, unusual, IMAGE_SUFFIXES.index(os.path.splitext(path)[1].lower())


def ambiguity_findings(index: ImageIndex, where: str) -> list[Finding]:
    """One warning for all names that fitted several images equally well."""
    if not index.ambiguous:
        return []
    name, chosen = index.ambiguous[0]
    return [
        Finding(
            "warning",
            "ambiguous-image",
            where,
            f"expected one image for each name, got several for {len(index.ambiguous)} of them, first "
            f"'{name}' (took {chosen}); move the copies elsewhere",
        )
    ]


class ListedPaths:
    """Finds the images that a text file names, wherever the data has moved since it was written.

    Tried in this order: as an absolute path, below the text file's folder, below the current folder, below
    the three folders above the text file (Darknet's lists are written from its own folder), and last by file
    name anywhere below `root` (the text file's folder, unless a data folder is given), when just one image
    there has that name.
    """

    def __init__(self, text_file: str, root: str | None = None):
        self.folder = os.path.dirname(os.path.abspath(text_file))
        self.root = root if root is not None and os.path.isdir(root) else self.folder
        self._index: ImageIndex | None = None

    def find(self, entry: str) -> str | None:
        """Path of an existing file, or None."""
        for name in dict.fromkeys((entry, entry.replace("\\", "/"))):
            for base in self._bases():
                path = os.path.normpath(os.path.join(base, name))
                if os.path.isfile(path):
                    return path
        if self._index is None:
            self._index = ImageIndex(self.root)
        return self._index.find_unique(entry)

    def _bases(self) -> list[str]:
        above = [os.path.join(self.folder, *[os.pardir] * count) for count in (1, 2, 3)]
        return [self.folder, os.curdir, *above]


def missing_image(where: str, entry: str) -> Finding:
    """The finding for a listed image that is nowhere."""
    return Finding(
        "error",
        "missing-image",
        where,
        f"expected an image, got '{entry}', which does not exist; correct the path or take the line out",
    )


def path_for_list(path: str, folder: str) -> str:
    """An image's path as a list in `folder` should name it: relative when it lies below, else absolute."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    return os.path.relpath(path, folder) if path.startswith(folder + os.sep) else path


def copy_image(path: str, folder: str, taken: set[str]) -> str:
    """Copy an image into `folder` and return the new path, which is added to `taken`.

    No two images get the same stem. One that is there already, with the same bytes, is not copied again.
    """
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(os.path.basename(path))
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        target = os.path.join(folder, name + suffix)
        if os.path.exists(target):
            done = target not in taken and filecmp.cmp(path, target, shallow=False)
        else:
            done = not any(os.path.exists(os.path.join(folder, name + other)) for other in _suffixes_of(suffix))
            if done:
                shutil.copyfile(path, target)
        if done:
            taken.add(target)
            return target
        number += 1


def _suffixes_of(suffix: str) -> tuple[str, ...]:
    return (suffix, *IMAGE_SUFFIXES, *(other.upper() for other in IMAGE_SUFFIXES))
