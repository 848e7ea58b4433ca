"""Batches of random content, for steps whose time or memory counts and not what they learn."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

BOXES = 20  # in an image


def synthetic_batch(
    batch_size: int, input_size: tuple[int, int], *, num_classes: int, rng: np.random.Generator, num_boxes: int = BOXES
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a batch of random images and boxes.

    Args:
        batch_size: B.
        input_size: (H, W) in pixels.
        num_classes: Of the boxes.
        rng: Source of random numbers.
        num_boxes: T, boxes in each image.

    Returns:
        (images, boxes): float32 [B, H, W, 3], 0..1; float32 [B, T, 5] (x, y, w, h relative, class id).
    """
    images = rng.random((batch_size, *input_size, 3), np.float32)
    boxes = rng.random((batch_size, num_boxes, 5), np.float32)
    boxes[..., 2:4] = 0.05 + 0.4 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, num_classes, boxes.shape[:2])
    return tf.constant(images), tf.constant(boxes)
