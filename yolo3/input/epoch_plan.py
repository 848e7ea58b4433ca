"""What is drawn for an epoch before any image is read: order, mosaics, sizes and seeds; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolo3.input.settings import SCALE_EVERY

_BLOCK = 32  # images at most that mosaics are made of together
_BLOCK_BYTES = 128 << 20  # of their pixels, about


@dataclass(frozen=True)
class BatchPart:
    """The part of each batch that is made here, for devices that train together.

    Args:
        replicas: All of them, which divide a batch among themselves as evenly as can be.
        first: The first one whose images are made here.
        here: How many of them.
    """

    replicas: int = 1
    first: int = 0
    here: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether all images of a batch are made here."""
        return self.here == self.replicas

    def bounds(self, batch_size: int) -> list[int]:
        """Return where in a batch the images of each replica begin, and after them where the last ones end."""
        return [batch_size * number // self.replicas for number in range(self.first, self.first + self.here + 1)]


WHOLE = BatchPart()


def plan_epoch(
    epoch: int,
    *,
    num_images: int,
    batch_size: int,
    block: int,
    input_shape,
    stride: int,
    scales,
    seed: int,
    mosaic: float,
    part: BatchPart = WHOLE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw what does not depend on the images of an epoch.

    Args:
        epoch: 0 is the first.
        num_images: Images in the data set.
        batch_size: Images in a batch.
        block: Size of a block, from `block_size`.
        input_shape: (height, width) of the network input in pixels.
        stride: Multi-scale sizes are multiples of it.
        scales: Factors of the input size; empty for one size.
        seed: Of the run.
        mosaic: Probability of a mosaic.
        part: What is returned of each batch; all are drawn, so that every part belongs to the same batch.

    Returns:
        Of each example: indices and places, int64 [N, 4], as from `mosaic_partners`; size, float32 [N, 2]; seed, int64
        [N, 2]; probability of a mosaic, float32 [N].
    """
    order = epoch_order(num_images, batch_size, seed, epoch)
    places, indices = mosaic_partners(order, block, seed, epoch)
    sizes = multi_scale_sizes(
        len(order) // batch_size, input_shape, stride=stride, scales=scales, seed=seed, epoch=epoch
    )
    seeds = np.stack([np.full(len(order), seed * 100_003 + epoch), np.arange(len(order))], 1)
    columns = indices, places, np.repeat(sizes, batch_size, 0), seeds, np.full(len(order), mosaic, np.float32)
    start, *_, stop = part.bounds(batch_size)
    kept = np.arange(len(order)).reshape(-1, batch_size)[:, start:stop].ravel()
    indices, places, sizes, seeds, mosaics = (column[kept] for column in columns)
    return indices, places, sizes, seeds, mosaics


def epoch_order(num_images: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the images in an epoch.

    Args:
        num_images: Images in the data set.
        batch_size: Images in a batch.
        seed: Of the run.
        epoch: 0 is the first.

    Returns:
        int64 [steps * batch_size]: every image once, and the last batch filled up with the first ones.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_images)
    steps = -(-num_images // batch_size)
    return np.resize(order, steps * batch_size).astype(np.int64)


def multi_scale_sizes(num_steps: int, input_shape, *, stride: int, scales, seed: int, epoch: int) -> np.ndarray:
    """Return the input size of each batch of an epoch: one of `scales` for every ten batches, as in Darknet.

    Args:
        num_steps: Batches in the epoch.
        input_shape: (height, width) in pixels.
        stride: Sizes are rounded to multiples of it.
        scales: Factors of the input size; empty for one size.
        seed: Of the run.
        epoch: 0 is the first.

    Returns:
        float32 [num_steps, 2] (height, width) in pixels.
    """
    if not scales:
        return np.tile(np.array(input_shape, np.float32), (num_steps, 1))
    rng = np.random.default_rng([seed, epoch, 1])
    drawn = rng.choice(np.asarray(scales), -(-num_steps // SCALE_EVERY))
    sides = scaled_size(input_shape, drawn[:, None], stride)
    return np.repeat(sides, SCALE_EVERY, 0)[:num_steps].astype(np.float32)


def scaled_size(input_shape, scale, stride: int) -> np.ndarray:
    """Return (height, width) [..., 2] in pixels, `input_shape` times a scale [..., 1], in multiples of the stride."""
    return np.round(np.multiply(scale, input_shape) / stride).clip(1) * stride


def block_size(positions: int, image_bytes: int = 0) -> int:
    """Return how many neighbours in the order of an epoch share their images for mosaics.

    All blocks are about equally large.

    Args:
        positions: Length of the order.
        image_bytes: Size of a decoded image, on average.
    """
    at_most = min(_BLOCK, max(_BLOCK_BYTES // max(image_bytes, 1), 4))
    return -(-positions // -(-positions // at_most))


def mosaic_partners(order: np.ndarray, block: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the three images that complete the mosaic of each image of an epoch.

    They come from the same block of the order, so that each image is decoded once for all mosaics that show it.

    Args:
        order: int64 [N] from `epoch_order`.
        block: Size of a block, from `block_size`.
        seed: Of the run.
        epoch: 0 is the first.

    Returns:
        (places, indices), int64 [N, 4], the image itself first: places within the block, indices within the data set.
    """
    positions = np.arange(len(order))
    starts = positions // block * block
    sizes = np.minimum(block, len(order) - starts)
    drawn = np.random.default_rng([seed, epoch, 2]).random((len(order), 3))
    others = (drawn * sizes[:, None]).astype(np.int64)
    places = np.concatenate([(positions - starts)[:, None], others], 1)
    return places, order[starts[:, None] + places]
