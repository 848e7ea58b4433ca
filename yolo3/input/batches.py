"""Batches of images and boxes with `tf.data`: augmented ones to train on, resized ones to validate on.

The content of a training batch depends only on the seed, the epoch and its place in the epoch, never on timing: a run
can be repeated, and resumed without any random state. Boxes are sent as numbers; targets are built on the device.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from yolo3.compilation import stable_names
from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image
from yolo3.input.augmentation import augment, distort_colours
from yolo3.input.epoch_plan import WHOLE, BatchPart, block_size, plan_epoch
from yolo3.input.image_boxes import network_boxes
from yolo3.input.image_cache import ImageStore
from yolo3.input.reading import reading
from yolo3.input.settings import MOSAIC_IMAGES, Augmentation
from yolo3.ops.letterbox import resize_image

_BOX_ROWS = 32  # boxes of a batch are padded to multiples of this
_MOST_FIXED_ROWS = 512  # of every batch: up to here they cost the loss of tiny YOLOv3 about a hundredth of a step
_IMAGE = (-1, -1, 3)

# None of these functions needs autograph, whose rewriting takes time.
_no_autograph = tf.autograph.experimental.do_not_convert


def training_batches(
    store: ImageStore,
    *,
    batch_size: int,
    input_shape: tuple[int, int],
    stride: int,
    augmentation: Augmentation,
    seed: int,
    epochs: range | tf.data.Dataset,
    first_batch: int = 0,
    resize: str = "letterbox",
    scales: tuple[float, ...] = (),
    workers: int = 0,
    mosaic_end: float = float("inf"),
    part: BatchPart = WHOLE,
) -> tf.data.Dataset:
    """Return the augmented batches of several epochs, one after the other.

    Args:
        store: Images and boxes.
        batch_size: Images in a batch; the last batch of an epoch is filled up with images from its beginning.
        input_shape: (height, width) of the network input in pixels.
        stride: Multi-scale sizes are multiples of it.
        augmentation: How images vary.
        seed: Together with the epoch it determines everything that is drawn at random.
        epochs: The epochs, 0 is the first of a run; or a data set of their numbers, int64.
        first_batch: The batch that the first of them begins with, when a run is resumed within an epoch.
        resize: "letterbox" or "stretch", see `yolo3.input.augmentation.place`.
        scales: Factors of the input size in multi-scale training; empty for one size.
        workers: Data-loading threads (0 = auto).
        mosaic_end: The epoch from which on there is no mosaic.
        part: Which images of each batch are made, and among how many replicas they are divided.

    Returns:
        Data set of (images, boxes, indices): float32 [B, H, W, 3], 0..1; float32 [B, T, 5] (x, y, w, h relative to the
        input, class id), padded with rows of zeros; int64 [B, 4], the images in each example, -1 for none. With several
        replicas each of them is a piece of a batch, one after the other.
    """
    count = store.count
    rows = _fixed_rows(store.first_box, MOSAIC_IMAGES if augmentation.mosaic else 1)
    bounds = part.bounds(batch_size)
    num_made = bounds[-1] - bounds[0]
    block = block_size(-(-count // batch_size) * batch_size, store.image_bytes)

    def plan(epoch):
        return plan_epoch(
            epoch,
            num_images=count,
            batch_size=batch_size,
            block=block,
            input_shape=input_shape,
            stride=stride,
            scales=scales,
            seed=seed,
            mosaic=augmentation.mosaic if epoch < mosaic_end else 0.0,
            part=part,
        )

    def planned(epoch):
        columns = tf.numpy_function(plan, [epoch], [tf.int64, tf.int64, tf.float32, tf.int64, tf.float32])
        shapes = ([None, 4], [None, 4], [None, 2], [None, 2], [None])
        return tf.data.Dataset.from_tensor_slices(tuple(map(tf.ensure_shape, columns, shapes)))

    def example(load, places, *, indices, size, seed, mosaic):
        image, boxes, colours, used = augment(
            load,
            places,
            canvas_shape=tf.unstack(size),
            seed=seed,
            settings=augmentation,
            resize=resize,
            mosaic=mosaic,
        )
        return tf.ensure_shape(image, [None, None, 3]), boxes, colours, tf.where(tf.range(4) < used, indices, -1)

    def batch(images, boxes, colours, indices):
        stable_names()
        return distort_colours(images, colours), _pad_rows(boxes, rows), indices

    numbers = tf.data.Dataset.range(epochs.start, epochs.stop) if isinstance(epochs, range) else epochs
    first_epoch = epochs.start if isinstance(epochs, range) else 0

    def num_skipped(epoch):
        return tf.where(epoch == first_epoch, tf.constant(first_batch * num_made, tf.int64), 0)

    parallel = {"num_parallel_calls": workers or tf.data.AUTOTUNE}
    if augmentation.mosaic and store.kept == "none" and part.is_whole:
        examples = _examples_of_blocks(store, planned, num_skipped, example, block=block, parallel=parallel)
    else:
        examples = _examples(store, planned, num_skipped, example, parallel=parallel)

    dataset = examples(numbers).padded_batch(num_made, ([None, None, 3], [None, 5], [3], [4]), drop_remainder=True)
    dataset = dataset.map(_no_autograph(batch), num_parallel_calls=2)
    return (dataset if part.here == 1 else _divided(dataset, bounds)).prefetch(2 * part.here)


def _divided(dataset: tf.data.Dataset, bounds: list[int]) -> tf.data.Dataset:
    """Return the pieces of each batch, one after the other; they lie between neighbours of `bounds`."""
    places = np.array(bounds) - bounds[0]
    sizes = set(np.diff(places).tolist())
    rows = sizes.pop() if len(sizes) == 1 else None

    def pieces(*batch):
        def piece(start, stop):
            return tuple(tf.ensure_shape(column[start:stop], [rows, *column.shape[1:]]) for column in batch)

        return tf.data.Dataset.from_tensor_slices((places[:-1], places[1:])).map(_no_autograph(piece))

    return dataset.flat_map(_no_autograph(pieces))


def _examples(store: ImageStore, planned, num_skipped, example, *, parallel):
    """Return a function from a data set of epochs to one of examples, each of which reads the images it needs."""
    load = store.loader()

    def of_plan(indices, _, size, seed, mosaic):
        return example(load, indices, indices=indices, size=size, seed=seed, mosaic=mosaic)

    def plans(epoch):
        return planned(epoch).skip(num_skipped(epoch))

    return lambda epochs: epochs.flat_map(_no_autograph(plans)).map(_no_autograph(of_plan), **parallel)


def _examples_of_blocks(store: ImageStore, planned, num_skipped, example, *, block: int, parallel):
    """Return what `_examples` does, with each image decoded once for all mosaics of its block.

    Images are passed on as lists of one tensor, which are not copied on the way.
    """
    boxes_of = store.boxes_reader()

    def decoded(indices, *others):
        nothing = tf.raw_ops.EmptyTensorList(element_shape=_IMAGE, max_num_elements=1, element_dtype=tf.uint8)
        return tf.raw_ops.TensorListPushBack(input_handle=nothing, tensor=store.read(indices[0])), indices, *others

    def spread(*whole):
        """Repeat a block for each of its examples, with the place of the example in it."""
        count = tf.shape(whole[0], tf.int64)[0]
        return tf.data.Dataset.range(count).map(_no_autograph(lambda place: (*whole, place)))

    def places_in_blocks(epoch):
        """Return each example of an epoch as its block and its place there; whole blocks are skipped undecoded."""
        skipped = num_skipped(epoch)
        blocks = planned(epoch).skip(skipped // block * block).map(_no_autograph(decoded), **parallel).batch(block)
        return blocks.flat_map(_no_autograph(spread)).skip(skipped % block)

    def of_block(images, indices, places, sizes, seeds, mosaic, place):
        def load(other):
            image = tf.raw_ops.TensorListGetItem(
                input_handle=images[other], index=0, element_shape=_IMAGE, element_dtype=tf.uint8
            )
            return tf.ensure_shape(image, [None, None, 3]), boxes_of(indices[other, 0])

        return example(
            load,
            places[place],
            indices=indices[place],
            size=sizes[place],
            seed=seeds[place],
            mosaic=mosaic[place],
        )

    return lambda epochs: epochs.flat_map(_no_autograph(places_in_blocks)).map(_no_autograph(of_block), **parallel)


def validation_batches(
    annotations: list[Annotation],
    *,
    batch_size: int,
    input_shape: tuple[int, int],
    resize: str,
    part: BatchPart = WHOLE,
    keep: bool = False,
) -> tf.data.Dataset:
    """Return the images of a data set as detection sees them, in order, without augmentation.

    Args:
        annotations: Images and their boxes.
        batch_size: Images in a batch; the last batch may be smaller.
        input_shape: (height, width) of the network input in pixels.
        resize: "letterbox" or "stretch".
        part: Which batches are made: whole ones, of which the replicas take turns.
        keep: Whether the resized images are kept in memory once all were read.

    Returns:
        Data set of (images, boxes, indices): images and boxes as from `training_batches`; int64 [B], the places of the
        images in `annotations`.
    """
    rows = [network_boxes(annotation, input_shape, resize) for annotation in annotations]
    flat = tf.constant(np.concatenate(rows) if rows else np.zeros((0, 5), np.float32))
    first_box = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    first, fixed = tf.constant(first_box), _fixed_rows(first_box)
    read = reading(
        [annotation.image_path for annotation in annotations],
        lambda path: resize_image(read_image(path), input_shape, resize),
        [*input_shape, 3],
    )

    def example(image, index):
        return tf.cast(image, tf.float32) / 255.0, flat[first[index] : first[index + 1]], index

    indices = np.arange(len(annotations))
    replica = indices // batch_size % part.replicas
    own = indices[(part.first <= replica) & (replica < part.first + part.here)]

    def pixels(index):
        return read(index), index

    parallel = {"num_parallel_calls": tf.data.AUTOTUNE}
    images = tf.data.Dataset.from_tensor_slices(own).map(_no_autograph(pixels), **parallel)
    dataset = (images.cache() if keep else images).map(_no_autograph(example), **parallel)
    dataset = dataset.padded_batch(batch_size, ([*input_shape, 3], [None, 5], []))

    def padded(images, boxes, indices):
        return images, _pad_rows(boxes, fixed), indices

    return dataset.map(_no_autograph(padded)).prefetch(2)


def _fixed_rows(first_box: np.ndarray, images_per_example: int = 1) -> int:
    """Return the rows of boxes that every batch of a data set gets, so that a step is compiled once.

    They hold any example, a mosaic of the most crowded image four times included, up to a number of rows that costs
    little. Only batches with more boxes than that have more rows.

    Args:
        first_box: int64 [N + 1], where the boxes of each image begin.
        images_per_example: Images that an example may show.
    """
    most = int(np.diff(first_box).max(initial=1)) * images_per_example
    return min(-(-max(most, 1) // _BOX_ROWS) * _BOX_ROWS, _MOST_FIXED_ROWS)


def _pad_rows(boxes, fixed: int):
    """Pad [B, T, 5] with zeros to a fixed number of rows; where these are too few, to that times a power of two."""
    rows = tf.shape(boxes)[1]
    padded = fixed * (1 + sum(tf.where(rows > fixed * 2**power, 2**power, 0) for power in range(16)))
    return tf.pad(boxes, [[0, 0], [0, padded - rows], [0, 0]])
