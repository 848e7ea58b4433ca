"""Annotations to batches: the ``tf.data`` pipeline.

What a batch holds depends only on the seed, the epoch and the place in it, never on timing, so that a run can be
repeated and resumed. Images are sent as they are seen, boxes as numbers; targets are built on the device.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image
from yolo3.input.augmentation import Augmentation, augment, distort_colours
from yolo3.input.image_cache import ImageStore, image_shape, relative_boxes
from yolo3.ops.letterbox import boxes_to_network, resize_image

_BOX_ROWS = 32  # boxes of a batch are padded to this times a power of two, so that few shapes occur
_BLOCK = 32  # images at most, of which mosaics are made
_BLOCK_BYTES = 128 << 20  # of their pixels, about
_IMAGE = (-1, -1, 3)
_SCALE_EVERY = 10  # batches of one size in multi-scale training, as in Darknet


def epoch_order(num_images: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Return int64 [steps * batch_size]: every image once, and the last batch filled up from the first ones."""
    order = np.random.default_rng([seed, epoch]).permutation(num_images)
    steps = -(-num_images // batch_size)
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
    store: ImageStore,
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
    store: ImageStore,
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
    are padding. ``indices``: int64 [B, 4], the images in each example, -1 for none. ``scales``: factors of the input
    size in multi-scale training. ``plain_from``: the epoch from which on there is no mosaic.
    """
    count = store.count
    block = block_size(-(-count // batch_size) * batch_size, store.image_bytes)

    def plan(epoch):
        """What is drawn for an epoch outside the images: (indices, places, size, seed, mosaic) by example."""
        order = epoch_order(count, batch_size, seed, epoch)
        places, indices = mosaic_partners(order, block, seed, epoch)
        sizes = batch_sizes_of_input(len(order) // batch_size, input_shape, scales, seed, epoch)
        seeds = np.stack([np.full(len(order), seed * 100_003 + epoch), np.arange(len(order))], 1)
        mosaic = np.full(len(order), policy.mosaic if epoch < plain_from else 0.0, np.float32)
        return indices, places, np.repeat(sizes, batch_size, 0), seeds, mosaic

    def planned(epoch):
        columns = tf.numpy_function(plan, [epoch], [tf.int64, tf.int64, tf.float32, tf.int64, tf.float32])
        shapes = ([None, 4], [None, 4], [None, 2], [None, 2], [None])
        return tf.data.Dataset.from_tensor_slices(tuple(map(tf.ensure_shape, columns, shapes)))

    def batch(images, boxes, colours, indices):
        return distort_colours(images, colours), _pad_rows(boxes), indices

    parallel = {"num_parallel_calls": workers or tf.data.AUTOTUNE}
    if policy.mosaic and store.kept == "none":
        examples = _examples_of_blocks(store, planned, block, policy, parallel)
    else:
        examples = _examples(store, planned, policy, parallel)
    dataset = examples(tf.data.Dataset.range(epochs.start, epochs.stop))
    dataset = dataset.padded_batch(batch_size, ([None, None, 3], [None, 5], [3], [4]), drop_remainder=True)
    return dataset.map(_plain(batch), num_parallel_calls=2).prefetch(2)


_plain = tf.autograph.experimental.do_not_convert  # nothing here needs Python rewritten, which takes its time


def block_size(positions: int, image_bytes: int = 0) -> int:
    """Return how many neighbours in an epoch's order share their images for mosaics: all blocks about as large."""
    at_most = min(_BLOCK, max(_BLOCK_BYTES // max(image_bytes, 1), 4))
    return -(-positions // -(-positions // at_most))


def mosaic_partners(order: np.ndarray, block: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (places, indices), int64 [N, 4]: of each image in the order and of three that complete a mosaic.

    Partners are drawn from the same block of the epoch's order, so that one decoding serves all mosaics with an image.
    ``places`` are within the block, ``indices`` within the data set.
    """
    positions = np.arange(len(order))
    starts = positions // block * block
    sizes = np.minimum(block, len(order) - starts)
    drawn = np.random.default_rng([seed, epoch, 2]).random((len(order), 3))
    others = (drawn * sizes[:, None]).astype(np.int64)
    places = np.concatenate([(positions - starts)[:, None], others], 1)
    return places, order[starts[:, None] + places]


def _example(load, places, indices, size, seed, mosaic, policy):
    image, boxes, colours, used = augment(load, places, tf.unstack(size), seed, policy, mosaic)
    return tf.ensure_shape(image, [None, None, 3]), boxes, colours, tf.where(tf.range(4) < used, indices, -1)


def _examples(store: ImageStore, planned, policy, parallel):
    """Return a function from a data set of epochs to one of examples, each of which reads what it needs."""
    load = store.loader()

    def example(indices, _, size, seed, mosaic):
        return _example(load, indices, indices, size, seed, mosaic, policy)

    return lambda epochs: epochs.flat_map(_plain(planned)).map(_plain(example), **parallel)


def _examples_of_blocks(store: ImageStore, planned, block: int, policy, parallel):
    """Return what :func:`_examples` does, with each image decoded once for all mosaics of its block.

    Images go through as lists of one tensor, which are handed on without a copy.
    """
    boxes_of = store.boxes_reader()

    def decoded(indices, *others):
        nothing = tf.raw_ops.EmptyTensorList(element_shape=_IMAGE, max_num_elements=1, element_dtype=tf.uint8)
        return tf.raw_ops.TensorListPushBack(input_handle=nothing, tensor=store.read(indices[0])), indices, *others

    def blocks(epoch):
        return planned(epoch).map(_plain(decoded), **parallel).batch(block)

    def spread(*whole):
        """All of a block, and one example's place in it, as often as it has examples."""
        count = tf.shape(whole[0], tf.int64)[0]
        return tf.data.Dataset.range(count).map(_plain(lambda place: (*whole, place)))

    def example(images, indices, places, sizes, seeds, mosaic, place):
        def load(other):
            image = tf.raw_ops.TensorListGetItem(
                input_handle=images[other], index=0, element_shape=_IMAGE, element_dtype=tf.uint8
            )
            return tf.ensure_shape(image, [None, None, 3]), boxes_of(indices[other, 0])

        of_one = (column[place] for column in (places, indices, sizes, seeds, mosaic))
        return _example(load, *of_one, policy)

    return lambda epochs: epochs.flat_map(_plain(blocks)).flat_map(_plain(spread)).map(_plain(example), **parallel)


def _pad_rows(boxes):
    """Pad [B, T, 5] with zeros until T is 32, 64, 128, ...: each number of rows compiles the step anew."""
    rows = tf.shape(boxes)[1]
    padded = _BOX_ROWS * sum(tf.where(rows > _BOX_ROWS * 2**power, 2**power, 0) for power in range(16))
    padded = tf.maximum(padded + _BOX_ROWS, _BOX_ROWS)
    return tf.pad(boxes, [[0, 0], [0, padded - rows], [0, 0]])


def plain_batches(annotations: list[Annotation], batch_size: int, input_shape, resize: str) -> tf.data.Dataset:
    """Return batches as :func:`training_batches` does, of images as detection sees them; the last one may be smaller.

    ``indices``: int64 [B], the place of each image in ``annotations``.
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
    rows = relative_boxes(annotation)
    height, width = image_shape(annotation.image_path)
    corners = boxes_to_network(rows[:, :4] * [width, height, width, height], (height, width), input_shape, resize)
    corners = corners / np.array([input_shape[1], input_shape[0]] * 2, np.float32)
    sides = corners[:, 2:] - corners[:, :2]
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, sides, rows[:, 4:]], 1).astype(np.float32)
