"""Inputs of detection: images, folders, patterns, videos and cameras, each with a unique name for its results."""

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

OnError = Callable[[str | os.PathLike | np.ndarray, Exception], None]


@dataclass(frozen=True)
class Source:
    """An image, a video or a camera.

    Args:
        kind: "image", "video" or "camera".
        path: The file as it was named, or "camera 0".
        name: What its results are called: a path below the folder of results, without suffix. No two images have the
            same name, and no two videos or cameras.
    """

    kind: str
    path: str
    name: str


@dataclass(frozen=True, eq=False)
class Shot:
    """One image to detect in: a whole image file, or a frame of a video or camera.

    Args:
        source: Where it comes from.
        name: Name that is unique among all shots: that of the source, and for a frame, below it, the frame's number.
        image: What a detector accepts: a path, or uint8 [H, W, 3], RGB.
        frame: Number of the frame, from 0; `None` for an image.
        seconds: Time since the first frame; `None` for an image.
        rate: Frames per second among those that are detected in; `None` for an image.
    """

    source: Source
    name: str
    image: str | np.ndarray
    frame: int | None = None
    seconds: float | None = None
    rate: float | None = None


def find_sources(
    arguments: Iterable[str], cameras: Iterable[int] = (), results: Iterable[str | os.PathLike] = ()
) -> list[Source]:
    """Return the sources that the arguments name, each file once, in order, then the cameras.

    Args:
        arguments: Files (a video by its suffix, otherwise an image), folders (searched with all below), or patterns
            with `*`, `?`, `[...]`, or `**` for any number of folders.
        cameras: Numbers of cameras.
        results: Folders of results. Those within a folder that is searched are skipped, so that the results of an
            earlier run are not read.

    Returns:
        The sources, with names for their results.

    Raises:
        FileNotFoundError: For a file that does not exist.
        ValueError: For a folder or pattern without images and videos.
    """
    folders = [Path(folder).resolve() for folder in results]
    found: dict[str, tuple[str, str]] = {}  # real path to (path, path below the folder that was named)
    for argument in arguments:
        for path, below in _files_of(argument, folders):
            found.setdefault(os.path.realpath(path), (path, below))
    return _name_sources([*found.values()], sorted(set(cameras)))


def _files_of(argument: str, results: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (path, path below the folder that was named) of each file of an argument."""
    paths: Iterable[str]
    if os.path.isdir(argument):
        root, paths, got = argument, walk_files(argument), "a folder without any"
    elif glob.has_magic(argument) and not os.path.exists(argument):
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), PurePath(argument).parts)
        root, got = os.path.join(".", *fixed), "no such file that matches"
        matches = sorted(glob.glob(argument, recursive=True))  # a folder stands for all files below it
        paths = itertools.chain.from_iterable(walk_files(path) if os.path.isdir(path) else [path] for path in matches)
    else:
        if not argument:
            raise ValueError("'': expected the path of an image, got an empty one")
        if argument.isdecimal() and not os.path.lexists(argument):
            raise ValueError(f"{argument}: no such file; the camera with this number is --camera {argument}")
        os.stat(argument)  # raises the error that says what is wrong with it
        return [(argument, os.path.basename(argument))]

    hidden = {result for result in results if Path(root).resolve() in result.parents}
    found = []
    for path in paths:
        if not has_suffix(path, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            continue
        if hidden and not hidden.isdisjoint(Path(path).resolve().parents):
            continue
        below = os.path.relpath(path, root)
        found.append((path, os.path.basename(path) if below.startswith(os.pardir) else below))
    if not found:
        suffixes = f"images ({', '.join(IMAGE_SUFFIXES)}) or videos ({', '.join(VIDEO_SUFFIXES)})"
        raise ValueError(f"{argument}: expected {suffixes}, got {got}")
    return found


def _name_sources(files: Sequence[tuple[str, str]], cameras: Sequence[int]) -> list[Source]:
    """Return the sources: "b" for b.jpg, "b_2" for a second image of that name in upper or lower case.

    The frames of a video or camera have its name as their folder, so no other folder has that name.
    """
    wanted = [("video" if has_suffix(path, VIDEO_SUFFIXES) else "image", path, below) for path, below in files]
    wanted += [("camera", f"camera {number}", f"camera_{number}") for number in cameras]
    folders = {parent.as_posix().casefold() for _, _, below in wanted for parent in PurePath(below).parents}
    taken: dict[bool, set[str]] = {True: set(), False: folders}  # of images; of videos and cameras

    sources = []
    for kind, path, below in wanted:
        stem = below if kind == "camera" else PurePath(below).with_suffix("").as_posix()
        others = taken[kind == "image"]
        name = next(name for name in numbered(stem) if name.casefold() not in others)
        others.add(name.casefold())
        sources.append(Source(kind, path, name))
    return sources


def numbered(name: str) -> Iterator[str]:
    """Yield "name", "name_2", "name_3" and so on."""
    return (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))


def result_paths(sources: Sequence[Source], folder: str | os.PathLike, suffixes: Sequence[str]) -> list[Path]:
    """Return a path for a result of each source.

    Args:
        sources: Images, videos and cameras.
        folder: Folder of the results.
        suffixes: Suffix of each result, with its dot.

    Returns:
        Paths below `folder` with the sources' names, all different, none of them an input.
    """
    taken = {os.path.realpath(source.path) for source in sources}
    paths = []
    for source, suffix in zip(sources, suffixes, strict=True):
        candidates = (Path(folder, name + suffix) for name in numbered(source.name))
        path = next(path for path in candidates if os.path.realpath(path) not in taken)
        taken.add(os.path.realpath(path))
        paths.append(path)
    return paths


def read_shots(sources: Iterable[Source], every: int = 1, on_error: OnError | None = None) -> Iterator[Shot]:
    """Yield the images and frames of sources, in order.

    Images are left for the detector to read.

    Args:
        sources: Images, videos and cameras.
        every: Use every n-th frame of videos and cameras.
        on_error: Called with the path and the error of a video or camera that has no frame, that holds damaged frames,
            or that went away; what it had before is used.

    Yields:
        The shots.

    Raises:
        ValueError: As `read_frames`, unless `on_error` is given.
    """
    for source in sources:
        if source.kind == "image":
            yield Shot(source, source.name, source.path)
            continue

        video = source.path if source.kind == "video" else int(source.path.removeprefix("camera "))
        try:
            for frame in read_frames(video, every):
                name = f"{source.name}/{frame.number:06d}"
                yield Shot(source, name, frame.image, frame=frame.number, seconds=frame.seconds, rate=frame.rate)
        except ValueError as error:
            if on_error is None:
                raise
            on_error(source.path, error)


def detect_shots(
    detector: Any, shots: Iterable[Shot], on_error: OnError | None = None
) -> Iterator[tuple[Shot, np.ndarray, Detections]]:
    """Yield the detections in each shot, in order.

    Args:
        detector: A :class:`yolo3.inference.detector.Detector`, or anything with its `detect_each`.
        shots: As from :func:`read_shots`.
        on_error: Called with an image that cannot be read, and the error; it is then skipped.

    Yields:
        Tuples of shot, image (uint8 [H, W, 3], RGB) and :class:`yolo3.detections.Detections`.
    """
    waiting: deque[tuple[int, Shot]] = deque()

    def images():
        for index, shot in enumerate(shots):
            waiting.append((index, shot))
            yield shot.image

    for index, image, found in detector.detect_each(images(), on_error):
        while waiting[0][0] < index:  # could not be read
            waiting.popleft()
        yield waiting.popleft()[1], image, found


def count_shots(sources: Iterable[Source], every: int = 1) -> int | None:
    """Return how many shots there will be, as far as the headers of videos are right.

    Args:
        sources: Images, videos and cameras.
        every: Use every n-th frame of videos.

    Returns:
        The number; `None` if there is a camera, or a video whose header does not say.
    """
    total = 0
    for source in sources:
        number = 1 if source.kind == "image" else None
        if source.kind == "video":
            number = count_frames(source.path, every)
        if number is None:
            return None

        total += number
    return total
