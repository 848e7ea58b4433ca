"""keras-yolo3's names of Darknet's building blocks."""

from keras import layers

from yolo3.darknet.blocks import BN_EPSILON, BN_MOMENTUM, LEAKY_SLOPE, Blocks, _pair

# The five names by which code written for keras-yolo3 builds networks of its own.


def DarknetConv2D(*args, **kwargs):
    """Return a ``Conv2D`` layer with Darknet's padding: ``valid`` for strides of 2, else ``same``.

    Arguments are those of ``keras.layers.Conv2D`` and override what is set here. Before strides of 2 the caller pads
    one pixel on all sides, as Darknet does. keras-yolo3 put an L2 penalty on the kernel here; this layer has none:
    weight decay belongs to the optimizer (``weight_decay``), where it does not show in the loss.
    """
    strides = args[2] if len(args) > 2 else kwargs.get("strides", 1)
    padding = "valid" if _pair(strides) == (2, 2) else "same"
    return layers.Conv2D(*args, **{"padding": padding, "kernel_initializer": "he_normal", **kwargs})


def DarknetConv2D_BN_Leaky(*args, **kwargs):
    """Return a callable, tensor to tensor: :func:`DarknetConv2D` without bias, batch normalisation, leaky ReLU."""

    def block(x):
        x = DarknetConv2D(*args, **{"use_bias": False, **kwargs})(x)
        x = layers.BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM)(x)
        return layers.LeakyReLU(negative_slope=LEAKY_SLOPE)(x)

    return block


def resblock_body(x, num_filters, num_blocks):
    """Return a residual stage at half the resolution of ``x``: see :meth:`Blocks.residual_stage`."""
    return Blocks(named=False).residual_stage(x, num_filters, num_blocks)


def darknet_body(x):
    """Return the stride-32 features of Darknet-53: 52 convolutions, 1024 channels."""
    return Blocks(named=False).darknet53(x)[-1]


def make_last_layers(x, num_filters, out_filters):
    """Return (features for the next scale, raw prediction with ``out_filters`` channels)."""
    blocks = Blocks(named=False)
    x = blocks.detection_block(x, num_filters)
    return x, blocks.prediction(x, num_filters * 2, out_filters)
