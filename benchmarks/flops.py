"""Floating-point operations of a network's convolutions in a training step."""

import math
from collections.abc import Sequence


def training_flop(layers: Sequence, batch_size: int = 1) -> int:
    """Return the operations of convolutions in a step: forward, and the gradients of their inputs and kernels.

    A multiplication and an addition count as two. The first layer needs no gradient of its input, the images.
    Normalisation, activations, loss and update are left out: they are about 1 % of it.

    Args:
        layers: Keras ``Conv2D`` layers in order, of a network with a known input size.
        batch_size: Number of images.

    Returns:
        int: Number of operations.
    """
    total = 0
    for number, layer in enumerate(layers):
        height, width = layer.output.shape[1:3]
        passes = 2 if number == 0 else 3
        total += passes * 2 * math.prod(layer.kernel.shape) * batch_size * height * width
    return total
