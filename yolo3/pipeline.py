"""Annotations to batches: the ``tf.data`` pipeline.

What a batch holds depends only on the seed, the epoch and the place in it, never on timing, so that a run can be
repeated and resumed. Pictures are sent as they are seen, boxes as numbers; targets are built on the device.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from yolo3.augment import Augmentation, augment, distort_colours
from yolo3.datasets.annotation import Annotation, image_size
from yolo3.images import boxes_to_network, least_side, read_image, reduce_image, resize_image

logger = logging.getLogger(__name__)

_BOX_ROWS = 32  # boxes of a batch are padded to this times a power of two, so that few shapes occur
picture_shape = functools.lru_cache(maxsize=None)(image_size)  # headers are read once a run

_SCALE_EVERY = 10  # batches of one size in multi-scale training, as in Darknet


@dataclass(frozen=True)
class PictureStore:
    """The pictures of a data set and their boxes, for use inside ``tf.data``.

    ``pixels``: the decoded pictures end to end (uint8), or None when they are decoded each time.
    """

    paths: list[str]
    plain: np.ndarray  # bool [N]: an upright JPEG that TensorFlow decodes as OpenCV does
    boxes: np.ndarray  # float32 [M, 5]: relative corners and class id, picture after picture
    first_box: np.ndarray  # int64 [N + 1]
    least_side: int  # pixels below which a JPEG is not reduced while it is decoded
    pixels: tf.Tensor | None = None
    shapes: np.ndarray | None = None
    first_pixel: np.ndarray | None = None

    def loader(self):
        """Return a graph function from an index to (uint8 picture [h, w, 3], boxes [n, 5])."""
        boxes, first_box = tf.constant(self.boxes), tf.constant(self.first_box)
        read = self._cached_reader() if self.pixels is not None else self._file_reader()

        def load(index):
            return read(index), boxes[first_box[index] : first_box[index + 1]]

        return load

    def _file_reader(self):
        paths, plain, least_side = tf.constant(self.paths), tf.constant(self.plain), self.least_side

        def read(index):
            image = tf.cond(
                plain[index],
                lambda: decode_jpeg(paths[index], least_side),
                lambda: _decode_any(paths[index], least_side),
            )
            return tf.ensure_shape(image, [None, None, 3])

        return read

    def _cached_reader(self):
        pixels, shapes, first = self.pixels, tf.constant(self.shapes), tf.constant(self.first_pixel)

        def read(index):
            return tf.reshape(pixels[first[index] : first[index + 1]], shapes[index])

        return read


def decode_jpeg(path, least_side: int):
    """Return the picture uint8 [h, w, 3], at 1/2, 1/4 or 1/8 if its smaller side keeps ``least_side`` pixels."""
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


def _relative_boxes(annotation: Annotation) -> np.ndarray:
    """Return the boxes to train on as float32 [N, 5]: corners relative to the picture, clipped to it, and class id."""
    height, width = picture_shape(annotation.image_path)
    keep = ~annotation.crowd
    corners = annotation.boxes[keep] / np.array([width, height, width, height], np.float32)
    corners = np.clip(corners, 0, 1)
    rows = np.concatenate([corners, annotation.class_ids[keep, None]], 1).astype(np.float32)
    return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]


def open_pictures(annotations: list[Annotation], largest_side: int, cache_bytes: int) -> PictureStore:
    """Prepare pictures for an input of up to ``largest_side`` pixels; decode them into ``cache_bytes`` if they fit."""
    boxes = [_relative_boxes(annotation) for annotation in annotations]
    paths = [annotation.image_path for annotation in annotations]
    store = PictureStore(
        paths=paths,
        plain=np.array([_is_plain_jpeg(path) for path in paths]),
        boxes=np.concatenate(boxes) if boxes else np.zeros((0, 5), np.float32),
        first_box=np.cumsum([0, *map(len, boxes)]).astype(np.int64),
        least_side=least_side((largest_side,)),
    )
    needed = sum(3 * int(np.prod(picture_shape(path))) for path in paths)
    return _decode_all(store) if needed <= cache_bytes else store


def _decode_all(store: PictureStore) -> PictureStore:
    read = store._file_reader()
    pictures = tf.data.Dataset.range(len(store.paths)).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    decoded = list(pictures.as_numpy_iterator())
    shapes = np.array([picture.shape for picture in decoded], np.int32)
    first = np.cumsum([0, *(picture.size for picture in decoded)]).astype(np.int64)
    pixels = np.empty(first[-1], np.uint8)
    for index in range(len(decoded)):  # released one by one, so that they never are in memory three times
        pixels[first[index] : first[index + 1]] = decoded[index].reshape(-1)
        decoded[index] = None
    with tf.device("CPU:0"):
        return dataclasses.replace(store, pixels=tf.constant(pixels), shapes=shapes, first_pixel=first)


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


def epoch_order(num_pictures: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Return int64 [steps * batch_size]: every picture once, and the last batch filled up from the first ones."""
    order = np.random.default_rng([seed, epoch]).permutation(num_pictures)
    steps = -(-num_pictures // batch_size)
    return np.resize(order, steps * batch_size).astype(np.int64)


def batch_sizes_of_input(num_steps, input_shape, scales, seed, epoch) -> np.ndarray:
    """Return float32 [steps, 2] (height, width): one of ``scales`` for every ten batches, multiples of 32."""
    if not scales:
        return np.tile(np.array(input_shape, np.float32), (num_steps, 1))
    rng = np.random.default_rng([seed, epoch, 1])
    drawn = rng.choice(np.asarray(scales), -(-num_steps // _SCALE_EVERY))
    sides = np.round(np.outer(drawn, input_shape) / 32).clip(1) * 32
    return np.repeat(sides, _SCALE_EVERY, 0)[:num_steps].astype(np.float32)


def training_batches(
    store: PictureStore,
    batch_size: int,
    input_shape: tuple[int, int],
    policy: Augmentation,
    seed: int,
    epoch: int,
    scales: tuple[float, ...] = (),
    workers: int | None = None,
) -> tf.data.Dataset:
    """Return the batches of one epoch; see :func:`run_batches`."""
    return run_batches(store, batch_size, input_shape, policy, seed, range(epoch, epoch + 1), scales, workers)


def run_batches(
    store: PictureStore,
    batch_size: int,
    input_shape: tuple[int, int],
    policy: Augmentation,
    seed: int,
    epochs: range,
    scales: tuple[float, ...] = (),
    workers: int | None = None,
    plain_from: float = float("inf"),
) -> tf.data.Dataset:
    """Return the batches (images, boxes, indices) of several epochs, one after the other.

    ``images``: float32 [B, H, W, 3] 0..1. ``boxes``: float32 [B, T, 5] (x, y, w, h relative, class id), rows of zeros
    are padding. ``indices``: int64 [B, 4], the pictures in each example, -1 for none. ``scales``: factors of the input
    size in multi-scale training. ``plain_from``: the epoch from which on there is no mosaic.
    """
    load, count = store.loader(), len(store.paths)

    def plan(epoch):
        """Everything that is drawn for an epoch outside the pictures: (indices, size, seed, mosaic) by example."""
        order = epoch_order(count, batch_size, seed, epoch)
        others = np.random.default_rng([seed, epoch, 2]).integers(0, count, (len(order), 3))
        sizes = batch_sizes_of_input(len(order) // batch_size, input_shape, scales, seed, epoch)
        seeds = np.stack([np.full(len(order), seed * 100_003 + epoch), np.arange(len(order))], 1)
        mosaic = np.full(len(order), policy.mosaic if epoch < plain_from else 0.0, np.float32)
        return np.concatenate([order[:, None], others], 1), np.repeat(sizes, batch_size, 0), seeds, mosaic

    def examples_of(epoch):
        columns = tf.numpy_function(plan, [epoch], [tf.int64, tf.float32, tf.int64, tf.float32])
        shapes = ([None, 4], [None, 2], [None, 2], [None])
        return tf.data.Dataset.from_tensor_slices(tuple(map(tf.ensure_shape, columns, shapes)))

    def example(indices, size, picture_seed, mosaic):
        image, boxes, colours, used = augment(load, indices, tf.unstack(size), picture_seed, policy, mosaic)
        return tf.ensure_shape(image, [None, None, 3]), boxes, colours, tf.where(tf.range(4) < used, indices, -1)

    def batch(images, boxes, colours, indices):
        return distort_colours(images, colours), _pad_rows(boxes), indices

    plain = tf.autograph.experimental.do_not_convert  # nothing here needs Python rewritten, which takes its time
    dataset = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(plain(examples_of))
    dataset = dataset.map(plain(example), num_parallel_calls=workers or tf.data.AUTOTUNE)
    dataset = dataset.padded_batch(batch_size, ([None, None, 3], [None, 5], [3], [4]), drop_remainder=True)
    return dataset.map(plain(batch), num_parallel_calls=2).prefetch(2)


def _pad_rows(boxes):
    """Pad [B, T, 5] with zeros until T is 32, 64, 128, ...: each number of rows compiles the step anew."""
    rows = tf.shape(boxes)[1]
    padded = _BOX_ROWS * sum(tf.where(rows > _BOX_ROWS * 2**power, 2**power, 0) for power in range(16))
    padded = tf.maximum(padded + _BOX_ROWS, _BOX_ROWS)
    return tf.pad(boxes, [[0, 0], [0, padded - rows], [0, 0]])


def plain_batches(annotations: list[Annotation], batch_size: int, input_shape, resize: str) -> tf.data.Dataset:
    """Return batches as :func:`training_batches` does, of pictures as detection sees them; the last one may be smaller.

    ``indices``: int64 [B], the place of each picture in ``annotations``.
    """
    rows = [_network_boxes(annotation, input_shape, resize) for annotation in annotations]
    flat = tf.constant(np.concatenate(rows) if rows else np.zeros((0, 5), np.float32))
    first = tf.constant(np.cumsum([0, *map(len, rows)]).astype(np.int64))
    paths = tf.constant([annotation.image_path for annotation in annotations])

    def read(name):
        return resize_image(read_image(name.decode()), input_shape, resize)

    def example(index):
        image = tf.ensure_shape(tf.numpy_function(read, [paths[index]], tf.uint8), [*input_shape, 3])
        return tf.cast(image, tf.float32) / 255.0, flat[first[index] : first[index + 1]], index

    dataset = tf.data.Dataset.range(len(annotations)).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.padded_batch(batch_size, ([*input_shape, 3], [None, 5], []))
    return dataset.map(lambda images, boxes, indices: (images, _pad_rows(boxes), indices)).prefetch(2)


def _network_boxes(annotation: Annotation, input_shape, resize) -> np.ndarray:
    """Return float32 [N, 5]: (x, y, w, h) relative to the letterboxed or stretched input, and class id."""
    rows = _relative_boxes(annotation)
    height, width = picture_shape(annotation.image_path)
    corners = boxes_to_network(rows[:, :4] * [width, height, width, height], (height, width), input_shape, resize)
    corners = corners / np.array([input_shape[1], input_shape[0]] * 2, np.float32)
    sides = corners[:, 2:] - corners[:, :2]
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, sides, rows[:, 4:]], 1).astype(np.float32)
