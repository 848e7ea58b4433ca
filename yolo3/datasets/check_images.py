"""Decode every image of a data set once and report those that are missing, empty, truncated or unreadable."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.image_groups import thumbnail
from yolo3.datasets.image_header import read_header
from yolo3.datasets.images import ImageError, check_header, decode_image, image_fault, open_image

_PART = 8  # images a task, so that handing tasks out costs little
_TASKS = 4  # handed out at a time for each thread, to bound the memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """Result of decoding an image.

    Attributes:
        shape: (height, width) of the upright image, None if it cannot be used.
        digest: Digest of the file's bytes, "" if it cannot be read.
        fault: (kind, message), None for a good image; of an image with a shape it is a warning.
        thumbnail: What :func:`yolo3.datasets.image_groups.thumbnail` makes of it, b"" if it cannot be used.
    """

    shape: tuple[int, int] | None
    digest: str
    fault: tuple[str, str] | None
    thumbnail: bytes = b""


def check_images(paths: Sequence[str], workers: int = 0, progress: Progress | None = None) -> Iterator[ImageCheck]:
    """Decode each image once, on all cores.

    Leaving the iterator early waits for no thread, as in :meth:`yolo3.inference.detector.Detector.detect_each`.

    Args:
        paths: Paths of the images.
        workers: Number of threads, 0 for one a core.
        progress: Called with (done, all) after each image.

    Yields:
        One `ImageCheck` for each path, in order.
    """
    workers = workers or available_cores()
    parts = [paths[start : start + _PART] for start in range(0, len(paths), _PART)]
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[list[ImageCheck]]] = deque()
    done = 0

    own_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # else each of the threads here has as many of OpenCV's
    try:
        for number in range(len(parts)):
            while len(waiting) < min(workers * _TASKS, len(parts) - number):
                waiting.append(pool.submit(_check_part, parts[number + len(waiting)]))
            for result in waiting.popleft().result():
                done += 1
                if progress is not None:
                    progress(done, len(paths))
                yield result
    finally:
        cv2.setNumThreads(own_threads)
        pool.shutdown(wait=False, cancel_futures=True)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_part(paths: Sequence[str]) -> list[ImageCheck]:
    return [check_image(path) for path in paths]


def check_image(path: str) -> ImageCheck:
    """Decode one image as training does and return its shape, digest, fault and thumbnail; never raises."""
    digest = ""
    try:
        with open_image(path) as file:
            content = file.read()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        header = read_header(io.BytesIO(content))
        if header is not None:
            check_header(header, len(content), path)
        check_complete(content, path)
        image = decode_image(content, path)
    except (OSError, ValueError) as error:
        kind, message = image_fault(error)
        return ImageCheck(None, digest, (kind, f"{path}: {message}"))

    fault = None
    if header is not None and header.several:
        text = f"{path}: expected one image, got an animation or several pages, of which only the first is used"
        fault = "several-images", text
    return ImageCheck(image.shape[:2], digest, fault, thumbnail(image))


def image_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    """Return an error for each annotation whose image cannot be used, a warning where only a part of it is."""
    return [
        Finding(
            "error" if image.shape is None else "warning",
            image.fault[0],
            annotation.source,
            image.fault[1],
            annotation=index,
        )
        for index, (annotation, image) in enumerate(zip(annotations, images, strict=True))
        if image.fault is not None
    ]


def check_complete(content: bytes, path: str) -> None:
    """Check that the bytes of a JPEG or BMP go to its end; decoders fill what is missing and report nothing.

    That of a PNG is known from its header (:func:`yolo3.datasets.images.check_header`).

    Args:
        content: The bytes.
        path: Their file, for messages.

    Raises:
        ImageError: If they are none, or end too early.
    """
    if not content:
        raise ImageError("empty-image", path, "an empty file")
    complete = True
    if content[:2] == b"\xff\xd8":
        complete = _jpeg_is_complete(content)
    elif content[:2] == b"BM" and len(content) >= 34:
        # An uncompressed BMP holds all its rows, each padded to four bytes.
        offset = int.from_bytes(content[10:14], "little")
        width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
        bits, compression = (int.from_bytes(content[at : at + size], "little") for at, size in ((28, 2), (30, 4)))
        complete = compression != 0 or len(content) >= offset + (width * bits + 31) // 32 * 4 * abs(height)
    if not complete:
        raise ImageError("truncated-image", path, f"a file that ends too early, after {len(content)} bytes")


# A marker that is not byte stuffing (00), a restart (D0 to D7) or a fill byte.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


def _jpeg_is_complete(content: bytes) -> bool:
    """Return whether the end-of-image marker follows the scans, not a thumbnail's own (ISO/IEC 10918-1 B.1.1)."""
    at = 2
    while (found := _MARKER.search(content, at)) is not None:
        marker, at = found.group(1), found.end()
        if marker == b"\xd9":
            return True
        if marker in (b"\xd8", b"\x01"):
            continue
        if at + 2 > len(content):
            return False
        at += int.from_bytes(content[at : at + 2], "big")
    return False
