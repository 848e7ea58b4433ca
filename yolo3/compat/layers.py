"""Darknet's building blocks under the five names by which code written for keras-yolo3 builds its own networks."""

from keras import layers

from yolo3.darknet.blocks import BN_EPSILON, BN_MOMENTUM, LEAKY_SLOPE, Blocks


def DarknetConv2D(*args, **kwargs):
    """Return a ``Conv2D`` layer with Darknet's padding: ``valid`` for strides of 2, else ``same``.

    Before a stride of 2 the caller pads one pixel on all sides, as Darknet does. keras-yolo3 put an L2 penalty on the
    kernel; this layer has none: weight decay belongs to the optimizer, where it does not show in the loss.

    Args:
        *args: Those of ``keras.layers.Conv2D``.
        **kwargs: Those of ``keras.layers.Conv2D``; they override what is set here.
    """
    strides = args[2] if len(args) > 2 else kwargs.get("strides", 1)
    padding = "valid" if strides in (2, (2, 2), [2, 2]) else "same"
    return layers.Conv2D(*args, **{"padding": padding, "kernel_initializer": "he_normal", **kwargs})


def DarknetConv2D_BN_Leaky(*args, **kwargs):
    """Return a callable, tensor to tensor: a convolution without bias, batch normalization, leaky ReLU.

    Arguments are those of :func:`DarknetConv2D`.
    """

    def block(x):
        x = DarknetConv2D(*args, **{"use_bias": False, **kwargs})(x)
        x = layers.BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM)(x)
        return layers.LeakyReLU(negative_slope=LEAKY_SLOPE)(x)

    return block


def resblock_body(x, num_filters, num_blocks):
    """Return a stage of ``num_blocks`` residual blocks at half the resolution of ``x``, [B, H / 2, W / 2, filters]."""
    return Blocks(named=False).residual_stage(x, num_filters, num_blocks)


def darknet_body(x):
    """Return the features of Darknet-53 at stride 32, [B, H / 32, W / 32, 1024]: 52 convolutions."""
    return Blocks(named=False).darknet53(x)[-1]


def make_last_layers(x, num_filters, out_filters):
    """Return (features for the next scale, raw prediction with ``out_filters`` channels) of features ``x``."""
    blocks = Blocks(named=False)
    x = blocks.detection_block(x, num_filters)
    return x, blocks.prediction(x, num_filters * 2, out_filters)
