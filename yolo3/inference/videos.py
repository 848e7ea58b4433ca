"""Videos and cameras frame by frame, videos written, and a window: what OpenCV leaves to those who use it."""

import contextlib
import itertools
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mts", ".m2ts",
)  # fmt: skip
_USUAL_RATE = 25.0  # frames a second where a file or a camera does not say, or says what cannot be
_HIGHEST_RATE = 240.0  # slow motion of a telephone; containers without a rate claim 1000 and more
_ESCAPE = 27


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame: uint8 RGB [H, W, 3]; its number, from 0; its time in seconds; frames a second of what is looked at."""

    image: np.ndarray
    number: int
    seconds: float
    rate: float


def read_frames(source: str | int, every: int = 1) -> Iterator[Frame]:
    """Yield each ``every``-th frame of a video file, or of the camera with this number, upright.

    It ends where no further frame can be read, whatever the file's header says of their number. The time of a file's
    frame is its number over the file's rate, that of a camera's is by the clock. Raises ``ValueError`` when there is
    no frame at all, at the first one asked for.
    """
    with _opened(source) as capture:
        rate = _frame_rate(capture)
        start = None
        for number in itertools.count():
            if number % every:
                if not capture.grab():
                    break
                continue
            there, image = capture.read()
            if not there or image is None:
                break
            now = time.monotonic() if isinstance(source, int) else number / rate
            start = now if start is None else start
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), number, now - start, rate / every)
    if number == 0:
        raise ValueError(_without_frames(source))


def count_frames(path: str, every: int = 1) -> int | None:
    """Return how many frames :func:`read_frames` will yield, as the file's header has it; ``None`` if it says nothing.

    0 for a file that is no video. Headers lie: good for a progress bar, no more.
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
            raise ValueError(_without_frames(source))
        if isinstance(source, int):
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use; drivers that cannot, ignore it
        yield capture
    finally:
        capture.release()


def _without_frames(source: str | int) -> str:
    if isinstance(source, int):
        return f"camera {source}: expected a camera that gives images, got none; is it plugged in, and not in use?"
    return f"{source}: expected a video that OpenCV can decode, got no frame from {os.path.getsize(source)} bytes"


def _frame_rate(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate <= _HIGHEST_RATE else _USUAL_RATE


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the notes that OpenCV and FFmpeg write straight to file descriptor 2: what went wrong is raised."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read once, for damaged frames later on
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
    """A video (MPEG-4 in .mp4) that is written beside its place and put there by :meth:`close`.

    ``rate``: frames a second. The size is that of the first frame, even numbers: OpenCV cuts a last odd row or column
    off. Raises ``ValueError`` where OpenCV cannot write such a file.
    """

    def __init__(self, path: str | os.PathLike, rate: float):
        self.path, self.rate = Path(path), _fitting_rate(rate)
        self._part = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part.mp4")
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        self._written = 0

    def add(self, image: np.ndarray, seconds: float) -> None:
        """Write a frame, uint8 RGB [H, W, 3], at its time in seconds from the first one.

        Where frames come slower than ``rate`` it is repeated, where they come faster left out, so that the video of a
        camera plays as fast as life.
        """
        if self._writer is None:
            self._writer = self._open(image)
        if image.shape[1::-1] != self._size_wh:
            image = cv2.resize(image, self._size_wh, interpolation=cv2.INTER_AREA)
        frame = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        while self._written < round(seconds * self.rate) + 1:
            self._writer.write(frame)
            self._written += 1

    def _open(self, image: np.ndarray) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._size_wh = image.shape[1], image.shape[0]
        with _silence():
            writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, self._size_wh)
        if not writer.isOpened():
            self._part.unlink(missing_ok=True)
            raise ValueError(
                f"{self.path}: OpenCV cannot write a video of {self._size_wh[0]} x {self._size_wh[1]} pixels here "
                "(mp4v); --no-images does without"
            )
        return writer

    def close(self) -> None:
        """Put the video in its place. Raises ``OSError`` when it was not written whole, as on a full disk."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if count_frames(str(self._part)) == 0:  # OpenCV reports no failed write
            self._part.unlink(missing_ok=True)
            raise OSError(f"{self.path}: the video could not be written whole; is the disk full?")
        os.replace(self._part, self.path)

    def discard(self) -> None:
        """Leave no trace of a video that is not whole; after :meth:`close` it does nothing."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._part.unlink(missing_ok=True)


def _fitting_rate(rate: float) -> float:
    """Return a rate that players like, at least 1, with as many decimals as the 16 bits of MPEG-4's clock can hold."""
    return max(1.0, round(rate, 3 if rate < 65 else 2))


def check_window() -> None:
    """Raise ``OSError`` where OpenCV would fail at a window, or end the process."""
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        raise OSError(
            "this OpenCV opens no windows; 'pip uninstall opencv-python-headless', then 'pip install opencv-python'"
        )
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OSError("expected a screen, got none (DISPLAY is not set)")


class Window:
    """A window that shows one image after the other. Raises ``OSError`` where none can be opened."""

    def __init__(self, title: str):
        check_window()
        self.title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise OSError(f"OpenCV cannot open a window: {' '.join(str(error).split())}") from error

    def show(self, image: np.ndarray, wait: bool = False) -> bool:
        """Show an image, uint8 RGB [H, W, 3]; with ``wait`` until a key is pressed.

        Returns False when the user wants no more: Esc, q, or the window closed.
        """
        cv2.imshow(self.title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1)
        while key < 0 and wait and self._is_open():
            key = cv2.waitKey(50)
        return key not in (_ESCAPE, ord("q")) and self._is_open()

    def close(self) -> None:
        with contextlib.suppress(cv2.error):  # closed by hand
            cv2.destroyWindow(self.title)

    def _is_open(self) -> bool:
        return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
