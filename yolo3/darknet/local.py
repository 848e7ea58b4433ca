"""A convolution with a kernel of its own at each position, for Darknet's [local].

Keras 2 had such a layer, Keras 3 has none. Saved files name this module: it stays where it is.
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("yolo3")
class LocallyConnected2D(keras.layers.Layer):
    """Locally connected layer.

    output[b, y, x, f] = bias[y, x, f] + sum_i kernel[y, x, i, f] * patch[b, y, x, i], where the patch holds
    `size` x `size` pixels from (y * stride - padding, x * stride - padding) on, zeros outside; i runs over rows,
    columns and channels. Source: Darknet's `src/local_layer.c:forward_local_layer`.

    Args:
        filters: Number of output channels.
        size: Side of the square kernel in pixels.
        stride: Distance of the windows in pixels.
        padding: Zeros on each of the four sides, in pixels.
        kernel_initializer: Initializer of the kernel at one position.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape: [B, H, W, C] with fixed H and W. Output shape: [B, oh, ow, filters].
    """

    def __init__(
        self,
        filters: int,
        size: int,
        stride: int = 1,
        padding: int = 0,
        kernel_initializer="he_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.size, self.stride, self.padding = filters, size, stride, padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Create the kernel [oh, ow, size*size*C, filters] and the bias [oh, ow, filters]."""
        _, height, width, _ = self.compute_output_shape(input_shape)
        inputs = self.size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            shape=(height, width, inputs, self.filters), initializer=self._initialize, name="kernel"
        )
        self.bias = self.add_weight(shape=(height, width, self.filters), initializer="zeros", name="bias")

    def _initialize(self, shape, dtype=None):
        """Draw a kernel [inputs, filters] at each position: Keras would count the positions as inputs."""
        height, width, inputs, filters = shape
        values = self.kernel_initializer((1, 1, inputs, height * width * filters), dtype=dtype)
        return ops.transpose(ops.reshape(values, (inputs, height, width, filters)), (1, 2, 0, 3))

    def compute_output_shape(self, input_shape):
        """Return (batch, oh, ow, filters).

        Raises:
            ValueError: If the height or the width is not fixed.
        """
        batch, height, width, _ = input_shape
        if height is None or width is None:
            raise ValueError(f"{self.name}: expected a fixed height and width, got {input_shape}")
        sides = ((side + 2 * self.padding - self.size) // self.stride + 1 for side in (height, width))
        return (batch, *sides, self.filters)

    def call(self, inputs):
        """Return the output [B, oh, ow, filters] for features [B, H, W, C]."""
        _, height, width, _ = self.compute_output_shape(inputs.shape)
        pads = (self.padding, self.padding)
        padded = ops.pad(inputs, ((0, 0), pads, pads, (0, 0)))

        rows, columns = (height - 1) * self.stride + 1, (width - 1) * self.stride + 1
        shifts = [(y, x) for y in range(self.size) for x in range(self.size)]
        patches = ops.concatenate(
            [padded[:, y : y + rows : self.stride, x : x + columns : self.stride] for y, x in shifts], axis=-1
        )  # [B, oh, ow, size*size*C]
        return ops.einsum("bhwi,hwif->bhwf", patches, self.kernel) + self.bias

    def get_config(self):
        """Return the arguments of the constructor."""
        options = {"filters": self.filters, "size": self.size, "stride": self.stride, "padding": self.padding}
        return {
            **super().get_config(),
            **options,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
