"""Which images belong together: equal ones, nearly equal ones, frames of one film, copies made by augmentation.

Images are compared by thumbnails of 16 x 16 grey values, brought to mean 0 and standard deviation 1. Measured on BCCD
and the chess photographs of Roboflow: saved again as JPEG of quality 40, at half the size, stretched, with noise or
brighter, an image differs from itself by less than `SAME_LOOK` everywhere. Other photographs of BCCD differ by 1.5
somewhere, a chess board with a piece on another square by more than .25; a hash of a few bits (dHash, pHash) cannot
tell such boards apart.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Protocol

import cv2
import numpy as np

from yolo3.datasets.lists import list_role
from yolo3.files import stem_of

THUMBNAIL_SIDE = 16
SAME_LOOK = 0.25  # largest difference of two thumbnails at which images count as nearly equal
# Correlation of the thumbnails of neighbours in a numbered series at which they count as frames of one film. A camera
# that pans by 5 % of the image leaves .83; of all 66,066 pairs of BCCD's images the one with more than .66 shows the
# same cells twice.
FILM_LOOK = 0.8
_LEAST_DEVIATION = 5.0  # grey levels; what has less is plain
_STEPS = 32  # per standard deviation, of whole numbers in place of fractions
# Roboflow's copies of "a.jpg" are "a_jpg.rf.<hash>.jpg".
_ROBOFLOW = re.compile(r"[_.](jpe?g|png|bmp|webp|tiff?|mpo|heic|avif)\.rf\.\w+$", re.IGNORECASE)

# The search for nearly equal images: sides of a cell, axes that cells divide, images of a cell to compare one with.
_CELL, _AXES, _LEAST_COMPARED, _ALL_COMPARED = 2.5, 6, 50, 4_000_000
_CHUNK = 8192


class Looked(Protocol):
    """What decoding showed of an image, as :class:`yolo3.datasets.check_images.ImageCheck` does."""

    @property
    def digest(self) -> str:
        """Digest of the file."""

    @property
    def thumbnail(self) -> bytes:
        """What `thumbnail` returned, b"" for an image that cannot be used."""


def thumbnail(image: np.ndarray) -> bytes:
    """Return the grey values of an image shrunk to 16 x 16, by which nearly equal images are found.

    Args:
        image: uint8 [H, W, 3], RGB.

    Returns:
        256 bytes, row by row.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA).tobytes()


def group_images(
    paths: Sequence[str], images: Sequence[Looked], progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Group images that have to stay on one side of a split.

    In one group are files with the same bytes; images that look nearly the same; neighbours in a numbered series
    ("drive_0001.jpg", "drive_0002.jpg") that look alike, as frames of a film do; Roboflow's copies of one image.

    Args:
        paths: Path of each image.
        images: What decoding them showed.
        progress: Is called with (about how many images are compared, their number).

    Returns:
        int64 [N], for each image the index of the first image of its group.
    """
    groups = _Groups(len(paths))
    usable = [index for index, image in enumerate(images) if image.thumbnail]
    groups.join_equal((index, images[index].digest) for index in usable)
    groups.join_equal(
        (index, (_without_lists(os.path.dirname(path)), _source_of(path)))
        for index, path in enumerate(paths)
        if _ROBOFLOW.search(stem_of(path))
    )

    if len(usable) > 1:
        joined = b"".join(images[index].thumbnail for index in usable)
        looks, has_contrast = _normalized(np.frombuffer(joined, np.uint8).reshape(len(usable), -1))  # [U, 256], [U]
        for first, second in _film_frames([paths[index] for index in usable], looks):
            groups.join(usable[first], usable[second])
        comparable = np.flatnonzero(has_contrast)
        for first, second in _nearly_equal(looks[comparable], progress or (lambda done, total: None)):
            groups.join(usable[comparable[first]], usable[comparable[second]])
    return np.array([groups.find(index) for index in range(len(paths))], np.int64)


def describe_groups(groups: np.ndarray) -> str:
    """Return how many groups there are and of how many images, in words, "" if there is none."""
    sizes = np.bincount(groups)
    sizes = sizes[sizes > 1]
    if not len(sizes):
        return ""
    plural = "" if len(sizes) == 1 else "s"
    return f"{len(sizes)} group{plural} of equal or nearly equal images or frames of one film ({sizes.sum()} images)"


class _Groups:
    """Disjoint sets of indices; the smallest index stands for its set."""

    def __init__(self, count: int):
        self.parents = list(range(count))

    def find(self, index: int) -> int:
        while self.parents[index] != index:
            self.parents[index] = self.parents[self.parents[index]]
            index = self.parents[index]
        return index

    def join(self, first: int, second: int) -> None:
        one, other = sorted((self.find(first), self.find(second)))
        self.parents[other] = one

    def join_equal(self, keyed: Iterable[tuple[int, Hashable]]) -> None:
        """Join the indices that have the same key."""
        seen: dict[Hashable, int] = {}
        for index, key in keyed:
            self.join(seen.setdefault(key, index), index)


@functools.lru_cache
def _without_lists(folder: str) -> str:
    """Return a folder without those of lists in it: frames of one film lie in train/ and valid/."""
    return os.sep.join(part for part in folder.split(os.sep) if not list_role(part))


def _source_of(path: str) -> str:
    """Return the name of an image without its suffix and without what Roboflow adds."""
    return _ROBOFLOW.sub("", stem_of(path))


def _normalized(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int16 [N, 256], grey values less their mean in 1 / `_STEPS` of their standard deviation, and bool [N].

    The latter says which images have contrast enough to be compared; plain ones all look alike.
    """
    looks = np.empty(thumbnails.shape, np.int16)
    has_contrast = np.empty(len(thumbnails), bool)
    for start in range(0, len(thumbnails), _CHUNK):
        values = thumbnails[start : start + _CHUNK].astype(np.float32)
        values -= values.mean(axis=1, keepdims=True)
        deviation = values.std(axis=1, keepdims=True)
        values *= _STEPS / np.maximum(deviation, _LEAST_DEVIATION)
        looks[start : start + _CHUNK] = np.round(values)
        has_contrast[start : start + _CHUNK] = deviation[:, 0] >= _LEAST_DEVIATION
    return looks, has_contrast


def _film_frames(paths: Sequence[str], looks: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of neighbours in a numbered series of a folder that look alike.

    A series alone proves nothing: the photographs of many data sets are numbered.
    """
    series: dict[tuple[str, str], list[tuple[list[int], int]]] = {}
    for index, path in enumerate(paths):
        name = _source_of(path)
        numbers = [int(number) for number in re.findall("[0-9]+", name)]
        if numbers:
            key = _without_lists(os.path.dirname(path)), re.sub("[0-9]+", "#", name)
            series.setdefault(key, []).append((numbers, index))

    for members in series.values():
        order = np.array([index for _, index in sorted(members)])
        for start in range(0, len(order) - 1, _CHUNK):
            chunk = looks[order[start : start + _CHUNK + 1]].astype(np.float32) / _STEPS
            correlation = (chunk[:-1] * chunk[1:]).mean(axis=1)
            for at in np.flatnonzero(correlation >= FILM_LOOK) + start:
                yield int(order[at]), int(order[at + 1])


def _nearly_equal(looks: np.ndarray, progress: Callable[[int, int], None]) -> Iterator[tuple[int, int]]:
    """Yield pairs of images whose thumbnails differ by less than `SAME_LOOK` everywhere.

    Images are put into cells by where they lie along the axes in which the data differs most. Of axes + 1 divisions
    into cells, each shifted against the others, one at least has two images less than cell / (axes + 1) apart in one
    cell. In crowded cells of large data sets an image is compared with those that follow it, not with all.
    """
    if len(looks) < 2:
        return
    some = looks[:: max(1, len(looks) // 4096)].astype(np.float32) / _STEPS
    centre = some.mean(axis=0)
    axes = np.linalg.eigh((some - centre).T @ (some - centre))[1][:, -_AXES:]  # of the largest variances
    places = np.concatenate(
        [
            (looks[start : start + _CHUNK].astype(np.float32) / _STEPS - centre) @ axes
            for start in range(0, len(looks), _CHUNK)
        ]
    )

    most = max(_LEAST_COMPARED, _ALL_COMPARED // len(looks))
    for shift in range(_AXES + 1):
        cells = np.floor(places / _CELL + shift / (_AXES + 1)).astype(np.int64)
        order = np.lexsort(cells.T)
        cell_of = np.cumsum((np.diff(cells[order], axis=0, prepend=cells[order[:1]]) != 0).any(axis=1))
        for step in range(1, min(most, len(order) - 1) + 1):
            progress(int(len(looks) * (shift + step / most) / (_AXES + 1)), len(looks))
            at = np.flatnonzero(cell_of[step:] == cell_of[:-step])
            if not len(at):
                break
            for start in range(0, len(at), _CHUNK):
                first, second = order[at[start : start + _CHUNK]], order[at[start : start + _CHUNK] + step]
                close = np.abs(looks[first] - looks[second]).max(axis=1) < SAME_LOOK * _STEPS
                yield from zip(first[close].tolist(), second[close].tolist(), strict=True)
