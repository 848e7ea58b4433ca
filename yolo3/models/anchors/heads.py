"""What heads on anchors share: how their weights start, their outputs in the order of the anchors, backbone names."""

import re

import keras
from keras import ops

from yolo3.darknet.blocks import OUTPUT_STDDEV


def head_initializer():
    """Return a new initializer for one layer of a head: Gaussian of standard deviation 0.01.

    Faster R-CNN (section 3.1.3) and the focal loss paper (section 4.1) have it so. The features of a backbone that
    does not end with a normalization are large; larger weights start training with a loss ten times as high.
    """
    return keras.initializers.RandomNormal(stddev=OUTPUT_STDDEV)


def flatten_levels(outputs, depth: int):
    """Return the raw outputs of all levels in the order of the anchors.

    Args:
        outputs: A tensor [B, H, W, A * depth] for each level.
        depth: Numbers per anchor.

    Returns:
        float32 [B, N, depth].
    """
    flat = []
    for output in outputs:
        _, height, width, channels = ops.shape(output)
        flat.append(ops.reshape(ops.cast(output, "float32"), (-1, height * width * (channels // depth), depth)))
    return ops.concatenate(flat, 1)


def backbone_names(network) -> list[str]:
    """Return the names of a network's layers with weights that :class:`yolo3.darknet.blocks.Blocks` has numbered."""
    return [layer.name for layer in network.layers if re.fullmatch(r"(conv|bn)_\d+", layer.name)]
