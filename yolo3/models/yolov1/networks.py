"""YOLOv1's two networks: convolutions that halve the image six times, then dense layers that see all of it.

Source: Redmon et al. 2016, "You Only Look Once", figure 3 and section 2.2; Darknet's cfg/yolov1.cfg and
cfg/yolov1-tiny.cfg. Layers are named and numbered as :mod:`yolo3.darknet.blocks` does, so that Darknet's weights fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from yolo3.darknet.blocks import LEAKY_SLOPE, Blocks

STRIDE = 64  # both bodies halve the image six times

_POOL = (0, 0)  # 2 x 2 max pooling
_FULL_BODY = (  # (filters, size) or (filters, size, stride); cfg/yolov1.cfg, layers 0 to 27
    *((64, 7, 2), _POOL),
    *((192, 3), _POOL),
    *((128, 1), (256, 3), (256, 1), (512, 3), _POOL),
    *(((256, 1), (512, 3)) * 4),
    *((512, 1), (1024, 3), _POOL),
    *(((512, 1), (1024, 3)) * 2),
    *((1024, 3), (1024, 3, 2), (1024, 3), (1024, 3)),
)
_TINY_BODY = (  # cfg/yolov1-tiny.cfg: six convolutions, each before a pooling, and two more
    *((16, 3), _POOL, (32, 3), _POOL, (64, 3), _POOL),
    *((128, 3), _POOL, (256, 3), _POOL, (512, 3), _POOL),
    *((1024, 3), (256, 3)),
)


@dataclass(frozen=True)
class Design:
    """Describe one of the networks.

    Args:
        body: Convolutions (filters, size) or (filters, size, stride) in order; (0, 0) is a 2 x 2 max pooling.
        dense_width: Units of the dense layer before the last, 0 for none.
        dropout: Dropout rate after that layer, 0..1.
        shared: Number of leading convolutions that were pretrained as a classifier: 20 in the paper (section 2.2),
            seven in Darknet's reference network.
    """

    body: tuple[tuple[int, ...], ...]
    dense_width: int
    dropout: float
    shared: int


DESIGNS = {
    "yolov1": Design(_FULL_BODY, dense_width=4096, dropout=0.5, shared=20),
    "yolov1-tiny": Design(_TINY_BODY, dense_width=0, dropout=0.0, shared=7),
}


def build_body(image, body, batch_normalize: bool, batch_norm: type | None = None):
    """Apply the convolutions and poolings of a body to an image.

    Args:
        image: Input tensor [B, H, W, 3], RGB, 0..1.
        body: Convolutions and poolings, as in :class:`Design`.
        batch_normalize: Whether convolutions are followed by batch normalization.
        batch_norm: Class of the normalization layers, Keras' own by default.

    Returns:
        Tensor [B, H / 64, W / 64, filters]. Layers are named as in the cfg: ``conv_0``, ``bn_0``, ``leaky_0``, ...
    """
    blocks, x, number = Blocks(batch_norm), image, 0
    for filters, *kernel in body:
        if not filters:
            x = layers.MaxPooling2D(2, 2)(x)
            continue

        if batch_normalize:
            x = blocks.conv_bn_leaky(x, filters, *kernel)
        else:
            x = blocks.conv(x, filters, *kernel)
            x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"leaky_{number}")(x)
        number += 1
    return x


def build_dense_head(features, out_size: int, dense_width: int, dropout: float):
    """Apply the dense layers to features [B, H, W, filters]; return a vector [B, out_size].

    Args:
        features: Output of :func:`build_body`, of fixed height and width.
        out_size: Length of the vector.
        dense_width: Units of the hidden dense layer, 0 for none.
        dropout: Dropout rate before the last layer, 0 for none.
    """
    names = iter(("connected_0", "connected_1"))
    x = layers.Flatten(name="connected_0_flatten")(features)
    if dense_width:
        x = layers.Dense(dense_width, kernel_initializer="he_normal", name=next(names))(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name="connected_0_leaky")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout_0")(x)

    # Small outputs, a tenth of the features' size, so that training starts from the biases.
    small = keras.initializers.VarianceScaling(0.01, "fan_in", "truncated_normal")
    return layers.Dense(out_size, kernel_initializer=small, name=next(names))(x)
