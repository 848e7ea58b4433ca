"""What is looked at: images, folders, patterns, videos and cameras, each with a name of its own for its results."""

import glob
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.detections import Detections
from yolo3.files import has_suffix, walk_files
from yolo3.inference.videos import VIDEO_SUFFIXES, count_frames, read_frames

_KNOWN_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)

OnError = Callable[[str | os.PathLike | np.ndarray, Exception], None]


@dataclass(frozen=True)
class Source:
    """An image, a video or a camera.

    ``kind``: "image", "video" or "camera". ``path``: the file as it was named, or "camera 0". ``name``: what its
    results are called, a path below the folder of results without suffix; no two images have the same, and no
    two videos or cameras.
    """

    kind: str
    path: str
    name: str


@dataclass(frozen=True, eq=False)
class Shot:
    """An image to look at: the whole of an image file, or a frame.

    ``image``: what a detector takes, a path or uint8 RGB [H, W, 3]. ``name``: unique among all shots, as
    :class:`Source` has it; for a frame that of its source as a folder, and its number. ``frame`` counts from 0,
    ``seconds`` from the first frame; ``rate``: frames a second that are looked at. All three are ``None`` for a
    image.
    """

    source: Source
    name: str
    image: str | np.ndarray
    frame: int | None = None
    seconds: float | None = None
    rate: float | None = None


# Finding


def find_sources(
    arguments: Iterable[str], cameras: Iterable[int] = (), results: Iterable[str | os.PathLike] = ()
) -> list[Source]:
    """Return the sources that the arguments name, each file once, in order, then the cameras.

    An argument is a file (what ends like a video is one, all else an image), a folder (with all below), or a
    pattern with ``*``, ``?``, ``[...]`` or ``**`` for any folders. Where a folder of ``results`` lies in one that is
    searched, it is left out: results are no input. Raises ``FileNotFoundError`` for what does not exist and
    ``ValueError`` where there is nothing to look at.
    """
    folders = [Path(folder).resolve() for folder in results]
    found: dict[str, tuple[str, str]] = {}
    for argument in arguments:
        for path, below in _files_of(argument, folders):
            found.setdefault(os.path.realpath(path), (path, below))
    return _named([*found.values()], sorted(set(cameras)))


def _files_of(argument: str, results: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (path, path below the folder that was named) of the files of an argument."""
    if os.path.isdir(argument):
        root, paths, got = argument, walk_files(argument), "a folder without any"
    elif glob.has_magic(argument) and not os.path.exists(argument):
        root, paths, got = _fixed_folder(argument), _matching_files(argument), "no such file that matches"
    else:
        _check_exists(argument)
        return [(argument, os.path.basename(argument))]
    hidden = [result for result in results if Path(root).resolve() in result.parents]
    found = [path for path in paths if has_suffix(path, _KNOWN_SUFFIXES) and not _lies_below(path, hidden)]
    if not found:
        suffixes = f"images ({', '.join(IMAGE_SUFFIXES)}) or videos ({', '.join(VIDEO_SUFFIXES)})"
        raise ValueError(f"{argument}: expected {suffixes}, got {got}")
    return [(path, _below(path, root)) for path in found]


def _check_exists(path: str) -> None:
    if not path:
        raise ValueError("'': expected the name of an image, got an empty one")
    if path.isdecimal() and not os.path.lexists(path):
        raise ValueError(f"{path}: no such file; the camera with this number is --camera {path}")
    os.stat(path)  # says what is wrong with it


def _fixed_folder(pattern: str) -> str:
    """Return the folder of a pattern before its first wildcard."""
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), PurePath(pattern).parts)
    return os.path.join(".", *fixed)


def _matching_files(pattern: str) -> Iterator[str]:
    """Yield the files that match a pattern, and those below folders that do, as a shell would hand them over."""
    for path in sorted(glob.glob(pattern, recursive=True)):
        yield from walk_files(path) if os.path.isdir(path) else [path]


def _lies_below(path: str, folders: Sequence[Path]) -> bool:
    return bool(folders) and not set(folders).isdisjoint(Path(path).resolve().parents)


def _below(path: str, root: str) -> str:
    below = os.path.relpath(path, root)
    return os.path.basename(path) if below.startswith(os.pardir) else below


# Naming


def _named(files: Sequence[tuple[str, str]], cameras: Sequence[int]) -> list[Source]:
    """Return the sources: "b" for b.jpg, "b_2" for a second image of that name in upper or lower case.

    The frames of a video or camera have its name as their folder, so it is that of no other folder.
    """
    wanted = [("video" if has_suffix(path, VIDEO_SUFFIXES) else "image", path, below) for path, below in files]
    wanted += [("camera", f"camera {number}", f"camera_{number}") for number in cameras]
    folders = {parent.as_posix().casefold() for _, _, below in wanted for parent in PurePath(below).parents}
    taken: dict[bool, set[str]] = {True: set(), False: folders}
    sources = []
    for kind, path, below in wanted:
        stem = below if kind == "camera" else PurePath(below).with_suffix("").as_posix()
        others = taken[kind == "image"]
        name = next(name for name in numbered(stem) if name.casefold() not in others)
        others.add(name.casefold())
        sources.append(Source(kind, path, name))
    return sources


def numbered(name: str) -> Iterator[str]:
    """Yield "name", "name_2", "name_3", ..."""
    return (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))


def result_paths(sources: Sequence[Source], folder: str | os.PathLike, suffixes: Sequence[str]) -> list[Path]:
    """Return where a result of each source goes, below ``folder``: its name and its suffix; never over an input."""
    taken = {os.path.realpath(source.path) for source in sources}
    paths = []
    for source, suffix in zip(sources, suffixes, strict=True):
        candidates = (Path(folder, name + suffix) for name in numbered(source.name))
        path = next(path for path in candidates if os.path.realpath(path) not in taken)
        taken.add(os.path.realpath(path))
        paths.append(path)
    return paths


# Looking


def read_shots(sources: Iterable[Source], every: int = 1, on_error: OnError | None = None) -> Iterator[Shot]:
    """Yield the images to look at, in order; of videos and cameras each ``every``-th frame.

    Images are left to the detector to read. With ``on_error`` a video or camera without a frame is given to it, as
    the detector does with images, and left out.
    """
    for source in sources:
        if source.kind == "image":
            yield Shot(source, source.name, source.path)
            continue
        try:
            for frame in read_frames(_for_opencv(source), every):
                name = f"{source.name}/{frame.number:06d}"
                yield Shot(source, name, frame.image, frame.number, frame.seconds, frame.rate)
        except ValueError as error:
            if on_error is None:
                raise
            on_error(source.path, error)


def look(
    detector: Any, shots: Iterable[Shot], on_error: OnError | None = None
) -> Iterator[tuple[Shot, np.ndarray, Detections]]:
    """Yield (shot, image uint8 RGB [H, W, 3], detections) in order.

    ``detector``: a :class:`yolo3.inference.detector.Detector`, or what has its ``detect_each``. Images that cannot be read go
    to ``on_error``.
    """
    waiting: deque[tuple[int, Shot]] = deque()

    def images():
        for index, shot in enumerate(shots):
            waiting.append((index, shot))
            yield shot.image

    for index, image, found in detector.detect_each(images(), on_error):
        while waiting[0][0] < index:  # unreadable
            waiting.popleft()
        yield waiting.popleft()[1], image, found


def _for_opencv(source: Source) -> str | int:
    return source.path if source.kind == "video" else int(source.path.removeprefix("camera "))


def count_shots(sources: Iterable[Source], every: int = 1) -> int | None:
    """Return how many shots there will be, as far as the headers of videos are right; ``None`` where none can say."""
    total = 0
    for source in sources:
        number = _count_of(source, every)
        if number is None:
            return None
        total += number
    return total


def _count_of(source: Source, every: int) -> int | None:
    if source.kind == "video":
        return count_frames(source.path, every)
    return 1 if source.kind == "image" else None
