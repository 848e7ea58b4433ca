"""Frames of videos and cameras, and videos written, with OpenCV."""

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from yolo3.temporary import put_in_place, temporary_path

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mts", ".m2ts",
)  # fmt: skip
_DEFAULT_RATE = 25.0  # frames per second, where a file or a camera gives none or an impossible one
_HIGHEST_RATE = 240.0  # slow motion of a telephone; containers without a rate claim 1000 and more


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video or camera.

    Args:
        image: uint8 [H, W, 3], RGB.
        number: Number of the frame, from 0.
        seconds: Time since the first frame.
        rate: Frames per second among those that are used.
    """

    image: np.ndarray
    number: int
    seconds: float
    rate: float


def read_frames(source: str | int, every: int = 1) -> Iterator[Frame]:
    """Yield the frames of a video file or camera, upright.

    They end where no further frame can be read, whatever the file's header says; damaged frames amid others are left
    out. The time of a file's frame is its number divided by the file's rate; that of a camera's frame is read from the
    clock.

    Args:
        source: Path of a video file, or number of a camera.
        every: Use every n-th frame.

    Yields:
        The frames.

    Raises:
        ValueError: If there is no frame at all; after the last frame, if frames amid the others could not be decoded,
            or if the camera went away.
    """
    read, damaged, first_damaged = 0, 0, 0
    with _opened(source) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate <= _HIGHEST_RATE else _DEFAULT_RATE
        stated = 0.0 if isinstance(source, int) else capture.get(cv2.CAP_PROP_FRAME_COUNT)
        start, number, last = None, 0, None
        while True:
            if number % every:
                there, image = capture.grab(), None
            else:
                there, image = capture.read()
                there = there and image is not None
            if not there:
                following = None
                if last is not None and not isinstance(source, int) and _is_at(capture, *last):
                    following = _next_readable(capture, number, stated)
                if following is None:
                    break
                first_damaged = first_damaged if damaged else number
                damaged, number = damaged + following - number, following
                continue

            if image is not None:
                last = number, image
                now = time.monotonic() if isinstance(source, int) else number / rate
                start = now if start is None else start
                yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), number, seconds=now - start, rate=rate / every)
            number, read = number + 1, read + 1

    if not read:
        raise ValueError(_no_frames(source))
    if isinstance(source, int):
        raise ValueError(f"camera {source}: expected further images, got none after {read}; is it still plugged in?")
    if damaged:
        words = f"expected a whole video, got {damaged} of {number} frames that cannot be decoded"
        raise ValueError(f"{source}: {words}, from frame {first_damaged} on; the other {read} were read")
    elif stated - number > max(2, stated / 100):  # headers round, and count frames that a container drops
        logger.warning(
            "%s: gave %d of the %d frames that its header states: it is cut short or damaged, or its header is wrong",
            source,
            read,
            stated,
        )


def _is_at(capture: cv2.VideoCapture, number: int, image: np.ndarray) -> bool:
    """Return whether a frame has this number, to which the capture is moved.

    It has not in containers that drop damaged frames without a word: all that follow count less than they should.
    """
    if not capture.set(cv2.CAP_PROP_POS_FRAMES, number):
        return False
    there, again = capture.read()
    return there and again is not None and np.array_equal(image, again)


def _next_readable(capture: cv2.VideoCapture, number: int, stated: float) -> int | None:
    """Return the number of a frame after a damaged one, to which the capture is moved; None if there is none.

    It is looked for 1, 2, 4, 8, ... frames further on, as decoding each frame of a long damaged part would take long.
    """
    step = 1
    while number + step < stated < 2**31:
        candidate = number + step
        if capture.set(cv2.CAP_PROP_POS_FRAMES, candidate) and capture.grab():
            position = round(capture.get(cv2.CAP_PROP_POS_FRAMES))  # some containers move to another one
            if position > candidate and capture.set(cv2.CAP_PROP_POS_FRAMES, candidate):
                return candidate
        step *= 2
    return None


def count_frames(path: str, every: int = 1) -> int | None:
    """Return how many frames :func:`read_frames` will yield, according to the file's header.

    Headers can be wrong: the number is good for a progress bar only.

    Args:
        path: Path of a video file.
        every: Use every n-th frame.

    Returns:
        The number; 0 for a file that is not a video, `None` if the header does not say.
    """
    try:
        with _opened(path) as capture:
            count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    except ValueError:
        return 0
    return math.ceil(count / every) if 0 < count < 2**31 else None


@contextlib.contextmanager
def _opened(source: str | int) -> Iterator[cv2.VideoCapture]:
    with _silence():
        capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise ValueError(_no_frames(source))
        if isinstance(source, int):
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # only the latest frame; drivers without this option ignore it
        yield capture
    finally:
        capture.release()


def _no_frames(source: str | int) -> str:
    if isinstance(source, int):
        return f"camera {source}: expected a camera that gives images, got none; is it plugged in and not in use?"
    return f"{source}: expected a video that OpenCV can decode, got no frame from {os.path.getsize(source)} bytes"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what OpenCV and FFmpeg write straight to file descriptor 2; what goes wrong is raised instead."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read once, for damaged frames later on
    sys.stderr.flush()
    own, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)
        os.close(nowhere)


class VideoFile:
    """A video file (MPEG-4 in .mp4) that grows under a temporary name until :meth:`close`.

    Its size is that of the first frame; OpenCV cuts off an odd last row or column.

    Args:
        path: Final path; its folder is created when needed.
        rate: Frames per second.
    """

    def __init__(self, path: str | os.PathLike, rate: float):
        # players expect at least 1 frame per second; MPEG-4's clock holds 16 bits, and so as many decimals as these
        self.path, self.rate = Path(path), max(1.0, round(rate, 3 if rate < 65 else 2))
        self._part = temporary_path(self.path, ".part.mp4")
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        self._written = 0

    def add(self, image: np.ndarray, seconds: float) -> None:
        """Write a frame, repeated or left out as needed to keep real time at the video's rate.

        Args:
            image: uint8 [H, W, 3], RGB; resized to the size of the first frame.
            seconds: Time since the first frame.

        Raises:
            ValueError: If OpenCV cannot write such a video.
        """
        if self._writer is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._size_wh = image.shape[1], image.shape[0]
            with _silence():
                codec = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(self._part), codec, fps=self.rate, frameSize=self._size_wh)
            if not writer.isOpened():
                self._part.unlink(missing_ok=True)
                size = f"{self._size_wh[0]} x {self._size_wh[1]} pixels"
                raise ValueError(f"{self.path}: OpenCV cannot write a video (mp4v) of {size} here")
            self._writer = writer

        if image.shape[1::-1] != self._size_wh:
            image = cv2.resize(image, self._size_wh, interpolation=cv2.INTER_AREA)
        frame = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        while self._written < round(seconds * self.rate) + 1:
            self._writer.write(frame)
            self._written += 1

    def close(self) -> None:
        """Move the video to its final path.

        Raises:
            OSError: If it was not written completely, as on a full disk.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if count_frames(str(self._part)) == 0:  # OpenCV reports no failed write
            self._part.unlink(missing_ok=True)
            raise OSError(f"{self.path}: the video could not be written completely; is the disk full?")
        put_in_place(self._part, self.path)

    def discard(self) -> None:
        """Delete a video that is not complete; after :meth:`close` this does nothing."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._part.unlink(missing_ok=True)
