"""The images of a data set as the input pipeline reads them: files decoded each time, or pixels that are kept."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import read_image
from yolo3.files import naming
from yolo3.input.settings import CACHES
from yolo3.ops.letterbox import least_side, reduce_image, reduced_shape

image_shape = functools.lru_cache(maxsize=None)(image_size)  # headers are read once a run


@dataclass(frozen=True)
class ImageStore:
    """The images of a data set and their boxes, for use inside ``tf.data``.

    ``read``: graph function from an index to the image, uint8 [h, w, 3]. ``image_bytes``: of an average image.
    ``kept``: where decoded images are kept, "memory" or "disk"; "none" where each call of ``read`` decodes.
    """

    count: int
    boxes: np.ndarray  # float32 [M, 5]: relative corners and class id, image after image
    first_box: np.ndarray  # int64 [N + 1]
    read: Callable
    image_bytes: int
    kept: str = "none"

    def boxes_reader(self):
        """Return a graph function from an index to the boxes of an image, float32 [n, 5]."""
        boxes, first_box = tf.constant(self.boxes), tf.constant(self.first_box)
        return lambda index: boxes[first_box[index] : first_box[index + 1]]

    def loader(self):
        """Return a graph function from an index to (uint8 image [h, w, 3], boxes [n, 5])."""
        boxes_of = self.boxes_reader()
        return lambda index: (self.read(index), boxes_of(index))


def open_images(
    annotations: list[Annotation], largest_side: int, cache: str = "none", folder: str | os.PathLike | None = None,
    show_progress: bool = False,
) -> ImageStore:  # fmt: skip
    """Prepare images for an input of up to ``largest_side`` pixels.

    ``cache``: where decoded images are kept, "memory", "disk" (as files in ``folder``, which is made and which the
    caller removes), "none", or "auto": in memory if there is enough. Raises ``ValueError`` for another word, and as
    :func:`check_room` does.
    """
    if cache not in CACHES or (cache == "disk" and not folder):
        raise ValueError(f"cache: expected one of {', '.join(CACHES)}, disk with a folder, got {cache!r}, {folder}")
    boxes = [relative_boxes(annotation) for annotation in annotations]
    paths = [annotation.image_path for annotation in annotations]
    read, kept, needed = _file_reader(paths, least_side((largest_side,))), "none", pixel_bytes(paths, largest_side)
    if cache == "memory" or (cache == "auto" and needed <= spare_memory()):
        read, kept = _in_memory(_decoded(read, len(paths), show_progress)), "memory"
    elif folder and cache == "disk":
        check_room(paths, largest_side, folder)
        read, kept = _on_disk(_decoded(read, len(paths), show_progress), Path(folder)), "disk"
    rows = np.concatenate(boxes) if boxes else np.zeros((0, 5), np.float32)
    first_box = np.cumsum([0, *map(len, boxes)]).astype(np.int64)
    return ImageStore(len(paths), rows, first_box, read, needed // max(len(paths), 1), kept)


def pixel_bytes(paths: list[str], largest_side: int) -> int:
    """Return the bytes of decoded images for an input of up to ``largest_side`` pixels."""
    smallest = least_side((largest_side,))
    return sum(3 * int(np.prod(reduced_shape(image_shape(path), smallest))) for path in paths)


def check_room(paths: list[str], largest_side: int, folder: str | os.PathLike) -> None:
    """Raise ``ValueError`` if the disk of a folder, which need not be there yet, cannot hold the decoded images."""
    place = next(parent for parent in (Path(folder).absolute(), *Path(folder).absolute().parents) if parent.exists())
    needed, free = pixel_bytes(paths, largest_side), shutil.disk_usage(place).free
    if needed > free:
        raise ValueError(
            f"{folder}: expected room for {needed / 1e6:,.0f} MB of decoded images, got {free / 1e6:,.0f} MB; "
            "keep them elsewhere, or do not keep them (--cache none)"
        )


def relative_boxes(annotation: Annotation) -> np.ndarray:
    """Return the boxes to train on as float32 [N, 5]: corners relative to the image, clipped to it, and class id."""
    height, width = image_shape(annotation.image_path)
    keep = ~annotation.crowd
    corners = annotation.boxes[keep] / np.array([width, height, width, height], np.float32)
    corners = np.clip(corners, 0, 1)
    rows = np.concatenate([corners, annotation.class_ids[keep, None]], 1).astype(np.float32)
    return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]


# Files


def _file_reader(paths: list[str], smallest: int):
    """Return a reader that decodes; ``smallest``: pixels below which no image is reduced meanwhile."""
    names, plain = tf.constant(paths), tf.constant([_is_plain_jpeg(path) for path in paths])

    def read(index):
        image = tf.cond(
            plain[index],
            lambda: decode_jpeg(names[index], smallest),
            lambda: _decode_any(names[index], smallest),
        )
        return tf.ensure_shape(image, [None, None, 3])

    return read


def decode_jpeg(path, least_side: int):
    """Return the image uint8 [h, w, 3], at 1/2, 1/4 or 1/8 if its smaller side keeps ``least_side`` pixels."""
    content = tf.io.read_file(path)
    side = tf.reduce_min(tf.image.extract_jpeg_shape(content)[:2])
    choice = sum(tf.cast(side // ratio >= least_side, tf.int32) for ratio in (2, 4, 8))
    branches = [lambda r=ratio: tf.image.decode_jpeg(content, channels=3, ratio=r) for ratio in (1, 2, 4, 8)]
    return tf.switch_case(choice, branches)


def _decode_any(path, least_side: int):
    return tf.numpy_function(lambda name: reduce_image(read_image(name.decode()), least_side), [path], tf.uint8)


def _is_plain_jpeg(path: str) -> bool:
    """Whether TensorFlow decodes the file as OpenCV does: a JPEG of one or three channels that is not turned."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    return head.startswith(b"\xff\xd8") and b"Exif\x00\x00" not in head and b"Adobe\x00" not in head


# Pixels that are kept


def _decoded(read, count: int, show_progress: bool):
    """Return an iterator over all images, decoded on all cores."""
    dataset = tf.data.Dataset.range(count).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    disable = None if show_progress else True  # None: where it is no terminal
    return tqdm(
        dataset.as_numpy_iterator(), "decoding", count, unit="image", leave=False, disable=disable, dynamic_ncols=True
    )


def _in_memory(images):
    decoded = list(images)
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


def _on_disk(images, folder: Path):
    """Write the pixels of each image into a file of its own; return their reader, which needs no Python."""
    folder.mkdir(parents=True, exist_ok=True)
    names, shapes = [], []
    for index, image in enumerate(images):
        names.append(str(folder / f"{index}.raw"))
        shapes.append(image.shape)
        with naming(names[-1]):
            Path(names[-1]).write_bytes(image)
    files, sizes = tf.constant(names), tf.constant(shapes)

    def read(index):
        pixels = tf.io.decode_raw(tf.io.read_file(files[index]), tf.uint8)
        return tf.ensure_shape(tf.reshape(pixels, sizes[index]), [None, None, 3])

    return read


def spare_memory() -> int:
    """Return the bytes that a cache may take: a quarter of what is free now, since it is copied once as it is made."""
    try:
        with open("/proc/meminfo") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = 4 << 30
    try:
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, max(limit - used, 0))  # of a container
    except (OSError, ValueError):
        pass
    return free // 4
