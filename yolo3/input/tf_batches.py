"""Batches for loops of one's own as a `tf.data.Dataset`, by the pipeline that runs train with."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.input.batches import training_batches, validation_batches
from yolo3.input.image_cache import open_images
from yolo3.input.settings import Augmentation
from yolo3.input.usable_images import usable_images
from yolo3.ops.box_formats import NO_OBJECT, check_format, columns_of


def tf_batches(
    data: str | os.PathLike | Dataset | Sequence[Annotation],
    *,
    batch_size: int = 8,
    input_size: tuple[int, int] = (416, 416),
    bounding_box_format: str = "xyxy",
    augmentation: Augmentation | None = Augmentation(),  # noqa: B008 (frozen)
    resize: str = "letterbox",
    cache: str = "none",
    workers: int = 0,
    seed: int = 0,
    skip_bad: bool = False,
) -> tf.data.Dataset:
    """Return the batches of a data set, augmented anew each time it is iterated over.

    Args:
        data: A path in any format that is read, what :func:`yolo3.read_dataset` returns, or annotations.
        batch_size: Images in a batch; with augmentation the last one is filled up with images from the beginning.
        input_size: (height, width) of the images in pixels.
        bounding_box_format: One of :data:`yolo3.ops.box_formats.FORMATS`, as Keras' layers name them.
        augmentation: How images vary; None for images as detection sees them, in the order of the data.
        resize: How images are brought to the input size, "letterbox" or "stretch".
        cache: Where decoded images are kept with augmentation: "none", "memory", or "auto", in memory if they fit.
        workers: Data-loading threads (0 = auto).
        seed: Of all random numbers.
        skip_bad: Whether invalid annotations are left out.

    Returns:
        Data set of `(images, {"boxes", "labels"})`: float32 [B, H, W, 3], RGB, 0..1; float32 [B, T, 4]; int32 [B, T],
        padded with boxes of zeros and the label -1. Its cardinality is known.

    Raises:
        OSError: For files that cannot be read.
        ValueError: For invalid annotations, and for arguments out of range.

    Example:
        >>> batches = yolo3.tf_batches("VOCdevkit/VOC2007", batch_size=8, bounding_box_format="xywh")
        >>> detector.fit(batches, epochs=20)
    """
    name = check_format(bounding_box_format)
    shape = (int(input_size[0]), int(input_size[1]))
    annotations = usable_images(data, skip_bad)
    if augmentation is None:
        batches = validation_batches(annotations, batch_size=batch_size, input_shape=shape, resize=resize)
    else:
        passes = itertools.count()
        number = tf.autograph.experimental.do_not_convert(
            lambda _: tf.ensure_shape(tf.numpy_function(lambda: np.int64(next(passes)), [], tf.int64), [])
        )
        batches = training_batches(
            open_images(annotations, largest_side=max(shape), cache=cache),
            batch_size=batch_size,
            input_shape=shape,
            stride=1,
            augmentation=augmentation,
            seed=seed,
            epochs=tf.data.Dataset.range(1).map(number),
            resize=resize,
            workers=workers,
        )

    def named(images, rows, _):
        x, y, width, height, labels = tf.unstack(rows, axis=-1)
        is_object = (width > 0) & (height > 0)
        boxes = tf.stack(columns_of(name, (x, y), (width, height), shape), -1)  # [B, T, 4]
        labels = tf.where(is_object, tf.cast(labels, tf.int32), NO_OBJECT)
        return tf.ensure_shape(images, [None, *shape, 3]), {"boxes": boxes, "labels": labels}

    named = tf.autograph.experimental.do_not_convert(named)
    return batches.map(named).apply(tf.data.experimental.assert_cardinality(-(-len(annotations) // batch_size)))
