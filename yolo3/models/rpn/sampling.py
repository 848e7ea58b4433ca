"""The anchors of an image that are trained on: a random sample, at most half of it positive.

Source: Faster R-CNN (Ren et al. 2015), section 3.1.3.
"""

import numpy as np
from keras import ops

SAMPLES = 256  # anchors of an image that are trained on: section 3.1.3


def sample_anchors(labels, ranks, num_samples: int = SAMPLES):
    """Return labels with -1 for anchors that are not drawn.

    At most half of the samples are positive; negative ones fill the rest.

    Args:
        labels: float32 [B, N]: 1, 0, or -1 for anchors that are ignored.
        ranks: float32 [B, N], any permutation of 0 .. N - 1 for each image: the largest are drawn first.
        num_samples: Anchors drawn of each image.

    Returns:
        float32 [B, N].
    """
    positive = _largest(labels == 1, ranks, count=num_samples // 2, most=num_samples // 2)
    room = num_samples - ops.sum(ops.cast(positive, "int32"), 1, keepdims=True)  # [B, 1]
    negative = _largest(labels == 0, ranks, count=room, most=num_samples)
    return ops.where(positive, 1.0, ops.where(negative, 0.0, -1.0))


def _largest(members, ranks, count, most: int):
    """Return bool [B, N]: the ``count`` (a number, or int [B, 1], from 1 to ``most``) members of largest rank."""
    ranks = ops.where(members, ranks, -1.0)
    most = min(most, ranks.shape[1])
    best, _ = ops.top_k(ranks, most)  # [B, most]
    last = ops.equal(ops.arange(most), ops.minimum(count, most) - 1)
    threshold = ops.sum(ops.where(last, best, 0.0), 1, keepdims=True)
    return members & (ranks >= threshold)


def draw_ranks(boxes, num_anchors: int, seed: int = 0, step=0):
    """Return a random order of the anchors of each image.

    It is one permutation, that of ``seed``, begun at a place that follows from ``step`` and from the image's boxes. So
    the draw has no state, is the same for an image wherever it stands in a batch and however its boxes are ordered,
    and changes whenever augmentation has moved the boxes.

    Args:
        boxes: Float [B, T, 5], as targets are built from.
        num_anchors: N.
        seed: Of the permutation.
        step: Number of the training step, an int or an int tensor.

    Returns:
        float32 [B, N], a permutation of 0 .. N - 1 for each image.
    """
    order = np.random.default_rng(seed).permutation(num_anchors).astype(np.float32)
    primes = ops.convert_to_tensor(np.array([7919, 6007, 4649, 3571], np.float32))
    numbers = ops.cast(ops.cast(boxes[..., :4], "float32") * primes, "int32")
    first = ops.sum(numbers, (1, 2)) + ops.cast(step, "int32") * 6323  # primes: neighbours begin far apart
    places = ops.expand_dims(first, 1) + ops.arange(num_anchors, dtype="int32")  # [B, N]
    return ops.take(order, ops.mod(places, num_anchors), 0)
