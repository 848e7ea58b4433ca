"""Backbones and ground-truth boxes that the tests of RetinaNet and of region proposals share."""

import math

import keras
import numpy as np

from yolo3.darknet.blocks import Blocks
from yolo3.ops import boxes as geometry

SHAPE = (64, 96)  # (height, width)


class SlimBlocks(Blocks):
    """Darknet-53 with all its layers and names and a thirty-second of its filters."""

    def conv_bn_leaky(self, x, filters, size, strides=1, **options):
        return super().conv_bn_leaky(x, max(filters // 32, 4), size, strides, **options)


class PooledBlocks(Blocks):
    """A backbone that is built in no time: means over 8, 16 and 32 pixels."""

    def darknet53(self, x):
        return [keras.layers.AveragePooling2D(stride)(x) for stride in (8, 16, 32)]


def to_rows(boxes_xyxy, class_ids=None, shape=SHAPE):
    """Return boxes [T, 4] in pixels as rows [1, T, 5] relative to the input."""
    boxes = geometry.xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    ids = np.zeros(len(boxes)) if class_ids is None else class_ids
    rows = np.concatenate([boxes / [shape[1], shape[0], shape[1], shape[0]], np.reshape(ids, (-1, 1))], 1)
    return rows[None].astype(np.float32)


def random_rows(images=2, rows=6, seed=0, padded=2):
    """Return rows [B, T, 5] of boxes within the input, the last ``padded`` of them empty."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(math.log(0.05), math.log(0.8), (images, rows, 2)))
    centre = size / 2 + rng.uniform(0, 1, (images, rows, 2)) * (1 - size)
    boxes = np.concatenate([centre, size, rng.integers(0, 3, (images, rows, 1))], -1).astype(np.float32)
    boxes[:, rows - padded :] = 0
    return boxes
