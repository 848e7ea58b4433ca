"""What is wrong with a data set, found before the first step of training.

`check_dataset` lists it, `usable_annotations` leaves out what cannot be used, `check_overlap` compares two
lists.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.check_boxes import box_keys

_READ_AHEAD = 64  # images in the pool at a time, to bound its memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageCheck:
    """What decoding an image showed: (height, width) upright or None, a digest of its bytes, and (kind,
    message).
    """

    shape: tuple[int, int] | None
    digest: str
    fault: tuple[str, str] | None


def check_overlap(train: Sequence[Annotation], val: Sequence[Annotation]) -> list[Finding]:
    """Warnings for images that are in both lists, by path or by content; they make the validation look too
    good.
    """
    train_paths = {os.path.realpath(item.image_path): item for item in train}
    by_size: dict[int, list[Annotation]] = {}
    for item in train:
        by_size.setdefault(_file_size(item.image_path), []).append(item)
    digests: dict[str, str] = {}
    findings = []
    for item in val:
        twin = train_paths.get(os.path.realpath(item.image_path)) or _same_bytes(item, by_size, digests)
        if twin is not None:
            findings.append(
                Finding(
                    "warning",
                    "overlap",
                    item.source,
                    f"expected an image that is not trained on, got {item.image_path}, which is in "
                    f"the training list too ({twin.source}); take it out of one of them",
                )
            )
    return findings


# Images


def check_images(paths: Sequence[str], workers: int = 2, progress: Progress | None = None) -> Iterator[ImageCheck]:
    """Decode each image once, in their order.

    The end waits for no thread, as in :meth:`yolo3.inference.detector.Detector.detect_each`.
    """
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for start in range(0, len(paths), _READ_AHEAD):
            chunk = paths[start : start + _READ_AHEAD]
            for done, result in enumerate(pool.map(check_image, chunk), start + 1):
                if progress is not None:
                    progress(done, len(paths))
                yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def check_image(path: str) -> ImageCheck:
    """Decode one image and say what is wrong with it; never raises."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        return ImageCheck(None, "", ("unreadable-image", f"expected an image, got '{error.strerror}' for {path}"))
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    fault = image_fault(content)
    if fault is None:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is not None:
            return ImageCheck(image.shape[:2], digest, None)
        fault = "unreadable-image", "got a file that cannot be decoded"
    kind, text = fault
    return ImageCheck(None, digest, (kind, f"expected an image, {text}: {path}; replace it or take it out"))


def image_fault(content: bytes) -> tuple[str, str] | None:
    """(kind, message) for a file that is empty or ends too early; decoders fill the rest with grey."""
    if not content:
        return "empty-image", "got an empty file"
    complete = True
    if content[:2] == b"\xff\xd8":
        complete = _jpeg_is_complete(content)
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        complete = b"IEND" in content[-64:] or content.rfind(b"\0\0\0\0IEND") > 0
    elif content[:2] == b"BM" and len(content) >= 34:
        complete = _bmp_is_complete(content)
    return None if complete else ("truncated-image", f"got a file that ends too early, after {len(content)} bytes")


# A marker that is no byte stuffing (00), no restart (D0 to D7) and no fill byte.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


def _jpeg_is_complete(content: bytes) -> bool:
    """Whether the end-of-image marker follows the scans; a thumbnail's own does not count (ISO/IEC 10918-1
    B.1.1).
    """
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


def _bmp_is_complete(content: bytes) -> bool:
    """Whether an uncompressed BMP holds all its rows, each filled up to four bytes."""
    offset = int.from_bytes(content[10:14], "little")
    width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
    bits, compression = int.from_bytes(content[28:30], "little"), int.from_bytes(content[30:34], "little")
    return compression != 0 or len(content) >= offset + (width * bits + 31) // 32 * 4 * abs(height)


def _image_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    return [
        Finding("error", image.fault[0], annotation.source, image.fault[1], annotation=index)
        for index, (annotation, image) in enumerate(zip(annotations, images, strict=True))
        if image.fault is not None
    ]


def _duplicate_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    """Images listed twice, and different files with the same bytes."""
    findings = []
    by_path: dict[str, int] = {}
    by_digest: dict[str, int] = {}
    for index, (annotation, image) in enumerate(zip(annotations, images, strict=True)):
        path = os.path.realpath(annotation.image_path)
        if path in by_path:
            findings.append(_listed_again(annotations, by_path[path], index))
            continue
        by_path[path] = index
        if image.digest and image.fault is None:
            first = by_digest.setdefault(image.digest, index)
            if first != index:
                findings.append(
                    Finding(
                        "warning",
                        "same-image",
                        annotation.source,
                        f"expected different images, got {annotation.image_path} with the same "
                        f"bytes as {annotations[first].image_path}; take one out",
                        annotation=index,
                    )
                )
    return findings


def _listed_again(annotations: Sequence[Annotation], first: int, again: int) -> Finding:
    """The same boxes twice are a warning, different ones an error: each record would teach that the others'
    boxes are background.
    """
    same = sorted(box_keys(annotations[first])) == sorted(box_keys(annotations[again]))
    advice = "take one out" if same else "with other boxes; put all boxes of an image in one place"
    return Finding(
        "warning" if same else "error",
        "duplicate-image",
        annotations[again].source,
        f"expected each image once, got {annotations[again].image_path} again (first at "
        f"{annotations[first].source}), {advice}",
        annotation=again,
    )


def _file_size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else -1


def _digest(path: str, known: dict[str, str]) -> str:
    if path not in known:
        with open(path, "rb") as file:
            known[path] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    return known[path]


def _same_bytes(item: Annotation, by_size: dict[int, list[Annotation]], digests: dict[str, str]) -> Annotation | None:
    """A training image with the bytes of `item`; only files of the same size are read."""
    size = _file_size(item.image_path)
    candidates = by_size.get(size, []) if size >= 0 else []
    return next(
        (other for other in candidates if _digest(other.image_path, digests) == _digest(item.image_path, digests)),
        None,
    )
