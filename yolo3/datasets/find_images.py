"""Find the image that a name in an annotation file means: one rule for all formats.

1. The name as written, where the format says that images are.
2. The name unquoted ("images%20(1).jpg", Label Studio's "...?d=images/1.jpg"), composed and decomposed Unicode alike.
3. Of the images below the data folder with this file name, the one that shares the longest run of trailing path parts
   with the name, so that "C:\\set\\video1\\1.jpg" of another machine means "video1/1.jpg" here; of several, the one
   nearest to the annotation file.

Several that fit equally well are an error that lists them, and never a guess, unless they are copies byte by byte.
"""

from __future__ import annotations

import filecmp
import os
import unicodedata
import urllib.parse
from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.images import IMAGE_FOLDERS, IMAGE_SUFFIXES
from yolo3.files import base_name, has_suffix, stem_of, walk_files

_SHOWN = 5  # images that a message lists


class ImageIndex:
    """The images below a folder, found by file name or by stem.

    Args:
        folder: The data folder.

    Attributes:
        paths: All images, sorted.
    """

    def __init__(self, folder: str):
        self.paths = [path for path in walk_files(folder) if has_suffix(path, IMAGE_SUFFIXES)]
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(file_key(os.path.basename(path)), []).append(path)
            self._by_stem.setdefault(file_key(stem_of(path)), []).append(path)

    def find(self, name: str, near: str | None = None) -> list[str]:
        """Find the images that a name fits best.

        Args:
            name: File name or path, as an annotation file gives it.
            near: Path of the annotation file, or of the folder where it expects its images.

        Returns:
            One path if the name is clear, several if they fit equally well, [] if no image has this file name.
        """
        keys = dict.fromkeys(file_key(base_name(spelling)) for spelling in spellings(name))
        return _best(name, [path for key in keys for path in self._by_name.get(key, [])], near)

    def find_stem(self, name: str, near: str | None = None) -> list[str]:
        """Find the images whose name before the suffix is the last part of `name`; else as `find`."""
        keys = dict.fromkeys(file_key(base_name(spelling)) for spelling in spellings(name))
        return _best(name, [path for key in keys for path in self._by_stem.get(key, [])], near)


class ListedPaths:
    """Finds the images that a text file names, wherever the data has moved since it was written.

    As written, a name is an absolute path or lies below the text file's folder, the current folder, or the three
    folders above the text file (Darknet's lists are written from its own folder). Else it is searched below `root`.

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

    def existing(self, entry: str) -> str | None:
        """Return the path of the file that an entry names as written, None if there is none."""
        for name in dict.fromkeys((entry, *spellings(entry))):
            for base in self._bases:
                path = os.path.normpath(os.path.join(base, name))
                if os.path.isfile(path):
                    return path
        return None

    def find(self, entry: str) -> list[str]:
        """Find the images that an entry fits best, as `ImageIndex.find` returns them."""
        path = self.existing(entry)
        if path is not None:
            return [path]
        if self._index is None:
            self._index = ImageIndex(self.root)
        return self._index.find(entry)


def only_image(candidates: Sequence[str], name: str, where: str, findings: list[Finding]) -> str | None:
    """Return the image that a name means, or report why there is none.

    Args:
        candidates: Images that fit the name equally well.
        name: The name.
        where: Where it is written.
        findings: Takes an error if there is no image or several; copies byte by byte count as one.

    Returns:
        The path, None if it was reported.
    """
    if not candidates:
        message = f"expected an image, got '{name}', which does not exist; correct the path or remove the entry"
        findings.append(Finding("error", "missing-image", where, message))
        return None
    if all(filecmp.cmp(candidates[0], other, shallow=False) for other in candidates[1:]):
        return candidates[0]

    shown = ", ".join(candidates[:_SHOWN]) + (", ..." if len(candidates) > _SHOWN else "")
    message = (
        f"expected one image that '{name}' can mean, got {len(candidates)}: {shown}; write more of the path, or move "
        "the others elsewhere"
    )
    findings.append(Finding("error", "ambiguous-image", where, message))
    return None


def without_contested(
    annotations: Sequence[Annotation], names: Sequence[str], findings: list[Finding]
) -> list[Annotation]:
    """Leave out annotations whose image belongs to another name.

    If "video1/1.jpg" exists and "video2/1.jpg" does not, both names lead to the one image; it belongs to the name that
    shares more of its path, and to none if both share equally much. Names that are matched as a whole, and names of
    which one ends in the other, are left alone.

    Args:
        annotations: Annotations, each with the image that was found for its name.
        names: The name of each.
        findings: Takes an error for each annotation that is left out.

    Returns:
        The others, in order.
    """
    names_of: dict[str, set[str]] = {}
    for annotation, name in zip(annotations, names, strict=True):
        names_of.setdefault(annotation.image_path, set()).add(name)

    kept = []
    for annotation, name in zip(annotations, names, strict=True):
        path = annotation.image_path
        own = _num_fitting_parts(name, path) if len(names_of[path]) > 1 else num_parts(name)
        others = (
            _num_fitting_parts(other, path)
            for other in names_of[path]
            if num_shared_parts(name, other) < min(num_parts(name), num_parts(other))
        )
        if own >= num_parts(name) or all(own > number for number in others):
            kept.append(annotation)
            continue
        message = (
            f"expected an image of its own, got '{name}', for which only {annotation.image_path} was found, which "
            "another entry names too; add the image or remove the entry"
        )
        findings.append(Finding("error", "missing-image", annotation.source, message))
    return kept


def spellings(name: str) -> list[str]:
    """Return a name with slashes, then unquoted, and what follows Label Studio's "?d="; each once."""
    name = name.replace("\\", "/")
    unquoted = urllib.parse.unquote(name)
    return list(dict.fromkeys((name, unquoted, unquoted.rpartition("?d=")[2])))


def file_key(name: str) -> str:
    """Return a file name in composed Unicode and lower case, to compare names of any system by."""
    return unicodedata.normalize("NFC", name).lower()


def num_shared_parts(name: str, other: str) -> int:
    """Return how many trailing parts two paths share: 2 for "data/night/1.jpg" and "C:\\set\\night\\1.jpg"."""
    return len(os.path.commonprefix([_parts(name)[::-1], _parts(other)[::-1]]))


def num_parts(name: str) -> int:
    """Return the number of folders and file names in a path."""
    return len(_parts(name))


def folder_distance(path: str, near: str) -> tuple[int, int]:
    """Return a key that sorts files by how well their folders agree with those of `near`.

    Folders that agree from the top count first, then those that agree from the bottom (images/monday/1.jpg and
    xml/monday/1.xml); more agreement sorts first.
    """
    parts, target = _folders(path), _folders(near)
    shared = len(os.path.commonprefix([parts, target]))
    tail = len(os.path.commonprefix([parts[: shared - 1 : -1], target[: shared - 1 : -1]]))
    return -shared, -tail


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def _folders(path: str) -> list[str]:
    return os.path.dirname(os.path.abspath(path)).split(os.sep)


def _best(name: str, candidates: list[str], near: str | None) -> list[str]:
    """Return the candidates that share the most trailing parts with a name, of these the nearest to `near`."""
    if len(candidates) < 2:
        return candidates

    ranks = []
    for path in candidates:
        shared, *exact = _rank_of(name, path)
        nearness: tuple = ()
        if near is not None:
            above, below = folder_distance(path, near)
            own = _folders(path)[-above:]
            nearness = above, below, bool(own) and not any(part.lower() in IMAGE_FOLDERS for part in own)
        ranks.append((shared, *nearness, *exact))
    best = min(ranks)
    return [path for path, rank in zip(candidates, ranks, strict=True) if rank == best]


def _rank_of(name: str, path: str) -> tuple[int, int, int, int]:
    """Return a key that sorts images by how well a name fits them: shared parts, spelling, letter case, suffix."""
    names = spellings(name)
    stems, known = [_without_suffix(spelling) for spelling in names], _without_suffix(path)
    shared = [-num_shared_parts(file_key(stem), file_key(known)) for stem in stems]
    best = shared.index(min(shared))
    return shared[best], best, -num_shared_parts(stems[best], known), -num_shared_parts(names[best], path)


def _num_fitting_parts(name: str, path: str) -> int:
    """Return how many trailing parts a name shares with an image in its best spelling, suffixes left aside."""
    return -_rank_of(name, path)[0]


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0] if has_suffix(path, IMAGE_SUFFIXES) else path
