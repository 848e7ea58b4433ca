"""Images as the input pipeline reads them: files that are decoded each time, or decoded images that are kept."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.image_size import shape_of
from yolo3.datasets.images import read_image
from yolo3.files import free_bytes, naming
from yolo3.input.image_boxes import relative_boxes
from yolo3.input.reading import reading
from yolo3.input.settings import CACHES
from yolo3.memory import free_memory
from yolo3.ops.letterbox import least_side, reduced_shape

_IMAGE = (None, None, 3)


@dataclass(frozen=True)
class ImageStore:
    """The images of a data set and their boxes, for use inside `tf.data`.

    Args:
        count: Number of images.
        boxes: float32 [M, 5], relative corners and class id, image after image.
        first_box: int64 [N + 1], where the boxes of each image begin.
        read: Graph function from an index to the image, uint8 [h, w, 3].
        image_bytes: Size of a decoded image, on average.
        kept: Where decoded images are kept: "memory", "disk", or "none" where each call of `read` decodes.
        resized: Whether those that are kept were reduced to the size of the network input.
    """

    count: int
    boxes: np.ndarray
    first_box: np.ndarray
    read: Callable
    image_bytes: int
    kept: str = "none"
    resized: bool = False

    def boxes_reader(self) -> Callable:
        """Return a graph function from an index to the boxes of an image, float32 [n, 5]."""
        boxes, first_box = tf.constant(self.boxes), tf.constant(self.first_box)
        return lambda index: boxes[first_box[index] : first_box[index + 1]]

    def loader(self) -> Callable:
        """Return a graph function from an index to (uint8 image [h, w, 3], boxes [n, 5])."""
        boxes_of = self.boxes_reader()
        return lambda index: (self.read(index), boxes_of(index))


def open_images(
    annotations: Sequence[Annotation],
    *,
    largest_side: int,
    cache: str = "none",
    folder: str | os.PathLike | None = None,
    show_progress: bool = False,
) -> ImageStore:
    """Open the images of a data set for the input pipeline.

    Args:
        annotations: Images and their boxes.
        largest_side: Larger side of the network input in pixels; images that are much larger are decoded at 1/2, 1/4 or
            1/8 of their size.
        cache: Where decoded images are kept: "memory"; "disk", as files in `folder`; "none"; or "auto", in memory if
            there is enough. On disk, and in memory where they would not fit otherwise, larger images are kept at the
            size of the network input; those that are zoomed in on are then a little less sharp.
        folder: For "disk"; it is made here, and removed by the caller.
        show_progress: Whether to show a progress bar while images are decoded.

    Raises:
        ValueError: For an unknown `cache`, for "disk" without a folder, and as `check_room` does.
    """
    if cache not in CACHES or (cache == "disk" and not folder):
        raise ValueError(f"cache: expected one of {', '.join(CACHES)}, disk with a folder, got {cache!r}, {folder}")
    paths = [annotation.image_path for annotation in annotations]
    smallest = least_side((largest_side,))
    decode = file_reader(paths, smallest)
    spare = spare_memory()
    resized = cache == "disk" or (cache != "none" and pixel_bytes(annotations, largest_side) > spare)
    needed = pixel_bytes(annotations, largest_side, resized=resized)
    if cache == "auto" and needed > spare:
        cache, resized = "none", False

    def decode_all():
        """Iterate over the decoded images, which are decoded on all cores."""
        decode_kept = reading(paths, lambda path: to_network_size(read_image(path, smallest), largest_side), _IMAGE)
        indices = tf.data.Dataset.range(len(paths))
        decode_one = tf.autograph.experimental.do_not_convert(decode_kept if resized else decode)
        return tqdm(
            indices.map(decode_one, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator(),
            desc="decoding",
            total=len(paths),
            unit="image",
            leave=False,
            disable=None if show_progress else True,  # None: shown on a terminal alone
            dynamic_ncols=True,
        )

    if cache in ("memory", "auto"):
        read, kept = memory_reader(decode_all()), "memory"
    elif folder and cache == "disk":
        check_room(annotations, largest_side, folder)
        read, kept = disk_reader(decode_all(), Path(folder)), "disk"
    else:
        read, kept = decode, "none"

    boxes, first_box = relative_boxes(annotations)
    return ImageStore(
        count=len(paths),
        boxes=boxes,
        first_box=first_box,
        read=read,
        image_bytes=pixel_bytes(annotations, largest_side, resized=resized) // max(len(paths), 1),
        kept=kept,
        resized=resized,
    )


# Room for decoded images


def pixel_bytes(annotations: Iterable[Annotation], largest_side: int, *, resized: bool = False) -> int:
    """Return the bytes that decoded images take.

    Args:
        annotations: The images.
        largest_side: Larger side of the network input in pixels.
        resized: Whether larger images are reduced to the size of the network input.
    """
    smallest = least_side((largest_side,))
    shapes = (reduced_shape(shape_of(annotation), smallest) for annotation in annotations)
    return sum(3 * math.prod(network_shape(shape, largest_side) if resized else shape) for shape in shapes)


def network_shape(image_shape: Sequence[int], largest_side: int) -> tuple[int, int]:
    """Return (height, width) of an image whose longer side is reduced to `largest_side` pixels if it is longer."""
    scale = min(1.0, largest_side / max(image_shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image_shape[:2])
    return height, width


def to_network_size(image: np.ndarray, largest_side: int) -> np.ndarray:
    """Return an image uint8 [H, W, 3] at its `network_shape`, by averaging."""
    height, width = network_shape(image.shape, largest_side)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def check_room(annotations: Iterable[Annotation], largest_side: int, folder: str | os.PathLike) -> None:
    """Check that a disk can hold the decoded images.

    Args:
        annotations: The images.
        largest_side: Larger side of the network input in pixels.
        folder: Where they will be kept; it need not exist yet.

    Raises:
        ValueError: When there is too little room.
    """
    needed, free = pixel_bytes(annotations, largest_side, resized=True), free_bytes(folder)
    if needed > free:
        raise ValueError(
            f"{folder}: expected room for {needed / 1e6:,.0f} MB of decoded images, got {free / 1e6:,.0f} MB; "
            "keep them elsewhere, or do not keep them (--cache none)"
        )


def spare_memory() -> int:
    """Return the bytes that a cache may take: a quarter of what is free, since it is copied once as it is made."""
    return free_memory() // 4


# Readers: graph functions from an index to uint8 [h, w, 3]


def file_reader(paths: list[str], smallest: int) -> Callable:
    """Return a reader that decodes the file at each call.

    Args:
        paths: Image files.
        smallest: Images are reduced to 1/2, 1/4 or 1/8 while their smaller side keeps so many pixels.
    """
    return reading(paths, lambda path: read_image(path, smallest), _IMAGE)


def memory_reader(images: Iterable[np.ndarray]) -> Callable:
    """Return a reader of decoded images that are kept in memory, as one tensor.

    Args:
        images: uint8 [h, w, 3] each.
    """
    decoded: list = list(images)
    shapes = np.array([image.shape for image in decoded], np.int32)
    first = np.cumsum([0, *(image.size for image in decoded)]).astype(np.int64)
    pixels = np.empty(first[-1], np.uint8)
    for index in range(len(decoded)):  # released one by one, so that they never are in memory three times
        pixels[first[index] : first[index + 1]] = decoded[index].reshape(-1)
        decoded[index] = None

    with tf.device("CPU:0"):
        kept, first, shapes = (tf.constant(array) for array in (pixels, first, shapes))

    def read(index):
        return tf.ensure_shape(tf.reshape(kept[first[index] : first[index + 1]], shapes[index]), [None, None, 3])

    return read


def disk_reader(images: Iterable[np.ndarray], folder: Path) -> Callable:
    """Return a reader of decoded images that are kept on disk, a file of pixels each; it needs no Python.

    Args:
        images: uint8 [h, w, 3] each.
        folder: Where the files are written; it is made if need be.

    Raises:
        OSError: When the disk is full; names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names, shapes = [], []
    for index, image in enumerate(images):
        names.append(str(folder / f"{index}.raw"))
        shapes.append(image.shape)
        with naming(names[-1]):
            Path(names[-1]).write_bytes(image.data)
    files, sizes = tf.constant(names), tf.constant(shapes)

    def read(index):
        pixels = tf.io.decode_raw(tf.io.read_file(files[index]), tf.uint8)
        return tf.ensure_shape(tf.reshape(pixels, sizes[index]), [None, None, 3])

    return read
