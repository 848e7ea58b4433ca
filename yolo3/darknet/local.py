"""The layer that Keras no longer has: a convolution whose weights differ from place to place (Darknet's
[local]).
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("yolo3")
class LocallyConnected2D(keras.layers.Layer):
    """Locally connected layer: [B, H, W, C] to [B, oh, ow, filters].

    out[b, y, x, f] = bias[y, x, f] + sum over i of kernel[y, x, i, f] * patch[b, y, x, i], where the patch
    holds `size` x `size` pixels from (y * stride - padding, x * stride - padding) on, zeros outside; i runs
    over rows, columns, channels. H and W are fixed. Source: Darknet's `local_layer.c:forward_local_layer`;
    Keras 2 had a layer of this name.
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
        _, height, width, _ = self.compute_output_shape(input_shape)
        inputs = self.size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            shape=(height, width, inputs, self.filters), initializer=self._initialize, name="kernel"
        )
        self.bias = self.add_weight(shape=(height, width, self.filters), initializer="zeros", name="bias")

    def _initialize(self, shape, dtype=None):
        """Draw as for one place, [inputs, filters], at each: Keras would count the places as inputs."""
        height, width, inputs, filters = shape
        values = self.kernel_initializer((1, 1, inputs, height * width * filters), dtype=dtype)
        return ops.transpose(ops.reshape(values, (inputs, height, width, filters)), (1, 2, 0, 3))

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        if height is None or width is None:
            raise ValueError(f"{self.name}: expected a fixed height and width, got {input_shape}")
        sides = ((side + 2 * self.padding - self.size) // self.stride + 1 for side in (height, width))
        return (batch, *sides, self.filters)

    def call(self, inputs):
        return ops.einsum("bhwi,hwif->bhwf", self._patches(inputs), self.kernel) + self.bias

    def _patches(self, inputs):
        """[B, H, W, C] to [B, oh, ow, size * size * C]."""
        _, height, width, _ = self.compute_output_shape(inputs.shape)
        pads = (self.padding, self.padding)
        padded = ops.pad(inputs, ((0, 0), pads, pads, (0, 0)))
        rows, columns = (height - 1) * self.stride + 1, (width - 1) * self.stride + 1
        shifts = [(y, x) for y in range(self.size) for x in range(self.size)]
        return ops.concatenate(
            [padded[:, y : y + rows : self.stride, x : x + columns : self.stride] for y, x in shifts], axis=-1
        )

    def get_config(self):
        options = {"filters": self.filters, "size": self.size, "stride": self.stride, "padding": self.padding}
        return {
            **super().get_config(),
            **options,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
