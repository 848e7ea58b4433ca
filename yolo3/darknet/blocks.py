"""Darknet's building blocks and backbones, in stock Keras layers.

Every layer that holds weights has a name. Within one network convolutions are numbered from 0 in the order of Darknet's
cfg (`conv_0`, `bn_0`, `leaky_0`, ...), so that the same weights are found by name or by order.
"""

import itertools

import keras
from keras import layers

BN_EPSILON = 1e-5  # Darknet on a GPU, src/blas_kernels.cu; Keras' default of 1e-3 shifts scores by several points
BN_MOMENTUM = 0.99  # src/batchnorm_layer.c: rolling = .99 rolling + .01 batch
LEAKY_SLOPE = 0.1  # src/activations.h
DARKNET53_STRIDES = (8, 16, 32)  # of the features that `Blocks.darknet53` returns
OUTPUT_STDDEV = 0.01  # raw outputs near 0: training starts from boxes of the anchors' sizes


class Blocks:
    """Builder of the named blocks of one network, which numbers its convolutions from 0.

    Args:
        batch_norm: Class of the batch normalization layers: `keras.layers.BatchNormalization` (default), or one with
            the same arguments and weights.
        named: Whether layers get Darknet's numbers for names; with `False`, Keras names them.

    Example:
        >>> blocks = Blocks()
        >>> image = keras.Input((416, 416, 3))
        >>> blocks.conv_bn_leaky(image, 32, 3).shape
        (None, 416, 416, 32)
    """

    def __init__(self, batch_norm=None, named: bool = True):
        self._batch_norm = batch_norm or layers.BatchNormalization
        self._named = named
        self._numbers = itertools.count()

    def _name(self, kind: str, number: int) -> str | None:
        return f"{kind}_{number}" if self._named else None

    def conv(self, x, filters: int, size, strides=1, **options):
        """Convolve with Darknet's padding: `same` for stride 1, else size // 2 zeros on all four sides.

        Args:
            x: Features [B, H, W, C].
            filters: Number of output channels.
            size: Side of the kernel, or a pair.
            strides: Stride, or a pair.
            **options: Further arguments of `keras.layers.Conv2D`.

        Returns:
            Features [B, ceil(H / stride), ceil(W / stride), filters], for odd sizes.
        """
        return self._conv(x, next(self._numbers), filters=filters, size=size, strides=strides, options=options)

    def _conv(self, x, number: int, *, filters, size, strides, options):
        size, strides = _pair(size), _pair(strides)
        if strides != (1, 1) and "padding" not in options:
            pads = tuple((side // 2, side // 2) for side in size)
            x = layers.ZeroPadding2D(pads, name=self._name("pad", number))(x)
            options["padding"] = "valid"
        options = {"padding": "same", "kernel_initializer": "he_normal", "name": self._name("conv", number), **options}
        return layers.Conv2D(filters, size, strides=strides, **options)(x)

    def conv_bn_leaky(self, x, filters: int, size, strides=1, **options):
        """Convolve without bias, then apply batch normalization and leaky ReLU; see `conv` for the arguments."""
        number = next(self._numbers)
        x = self._conv(x, number, filters=filters, size=size, strides=strides, options={"use_bias": False, **options})
        x = self._batch_norm(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=self._name("bn", number))(x)
        return layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=self._name("leaky", number))(x)

    def residual_stage(self, x, filters: int, num_blocks: int):
        """Halve the resolution with a 3x3 convolution, then apply `num_blocks` residual units (1x1, 3x3, add).

        Returns:
            Features [B, ceil(H / 2), ceil(W / 2), filters].
        """
        x = self.conv_bn_leaky(x, filters, 3, strides=2)
        for _ in range(num_blocks):
            y = self.conv_bn_leaky(x, filters // 2, 1)
            y = self.conv_bn_leaky(y, filters, 3)
            x = layers.Add()([x, y])
        return x

    def darknet53(self, x):
        """Apply Darknet-53 without its classifier.

        Source: YOLOv3 (Redmon and Farhadi 2018), table 1; Darknet's cfg/yolov3.cfg, layers 0 to 74.

        Returns:
            The list of features at strides 8 (256 channels), 16 (512) and 32 (1024).
        """
        x = self.conv_bn_leaky(x, 32, 3)
        features = []
        for filters, num_blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
            x = self.residual_stage(x, filters, num_blocks)
            features.append(x)
        return features[2:]

    def tiny_darknet(self, x):
        """Apply the backbone of YOLOv3-tiny.

        Source: Darknet's cfg/yolov3-tiny.cfg, layers 0 to 12.

        Returns:
            The features at strides 16 (256 channels) and 32 (1024).
        """
        for filters in (16, 32, 64, 128):
            x = self.conv_bn_leaky(x, filters, 3)
            x = layers.MaxPooling2D(2, 2, "same")(x)
        fine = self.conv_bn_leaky(x, 256, 3)
        x = layers.MaxPooling2D(2, 2, "same")(fine)
        x = self.conv_bn_leaky(x, 512, 3)
        x = layers.MaxPooling2D(2, 1, "same")(x)  # pads one column on the right, one row at the bottom
        return fine, self.conv_bn_leaky(x, 1024, 3)

    def detection_block(self, x, filters: int):
        """Apply five convolutions, 1x1 and 3x3 in turn, which end with `filters` channels."""
        for _ in range(2):
            x = self.conv_bn_leaky(x, filters, 1)
            x = self.conv_bn_leaky(x, filters * 2, 3)
        return self.conv_bn_leaky(x, filters, 1)

    def prediction(self, x, filters: int, out_filters: int):
        """Predict the raw output [B, H, W, out_filters]: a 3x3 block, then a linear 1x1 convolution with bias."""
        x = self.conv_bn_leaky(x, filters, 3)
        # A new initializer for each layer draws a seed of its own, which keras.utils.set_random_seed determines.
        return self.conv(x, out_filters, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=OUTPUT_STDDEV))


def _pair(value) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
