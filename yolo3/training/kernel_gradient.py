"""The gradient of a convolution's kernel as matrix products, for training on a processor.

The gradient of a kernel's tap is a product of two matrices: of the features that the tap saw and of the gradient of the
output, each with a row for each position. Where a kernel has many channels and an image few positions, as in the last
layers of a network, oneDNN multiplies matrices in bfloat16 faster than it computes the gradient in one
(`docs/results.md` has the figures); in float32 it does not.
"""

from __future__ import annotations

import functools
import math

import keras
import tensorflow as tf

LEAST_CHANNELS = 256 * 256  # inputs times outputs
MOST_POSITIONS = 16384  # in all images of a batch


def multiply_for_kernels(network: keras.Model) -> None:
    """Have the convolutions of a network with stride 1 compute the gradients of large kernels by matrix products.

    Outputs stay the same, gradients are the same up to rounding.

    Args:
        network: It is changed; each of its layers decides by the batch that it sees.
    """
    for layer in network.layers:
        if type(layer) is not keras.layers.Conv2D or (layer.padding, layer.data_format) != ("same", "channels_last"):
            continue
        single = {*layer.strides, *layer.dilation_rate, layer.groups} == {1}
        if single and all(length % 2 for length in layer.kernel_size):
            layer.convolution_op = functools.partial(_convolve, layer.convolution_op)


def _convolve(plain_convolution, inputs, kernel):
    """Convolve, with one or the other gradient.

    Args:
        plain_convolution: The layer's own.
        inputs: [B, H, W, C].
        kernel: [odd, odd, C, D].

    Returns:
        [B, H, W, D].
    """
    positions, channels = inputs.shape[:3], kernel.shape[2:]
    few = None not in positions and math.prod(positions) <= MOST_POSITIONS
    if not few or math.prod(channels) < LEAST_CHANNELS:
        return plain_convolution(inputs, kernel)
    return _convolve_by_products(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))


@tf.custom_gradient
def _convolve_by_products(inputs, kernel):
    def gradients(upstream):
        of_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream, strides=[1] * 4, padding="SAME"
        )
        return of_inputs, kernel_gradient(inputs, upstream, kernel.shape[:2])

    return tf.nn.conv2d(inputs, kernel, 1, "SAME"), gradients


def kernel_gradient(inputs: tf.Tensor, upstream: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return the gradient of the kernel of a convolution with stride 1 that keeps the size.

    Args:
        inputs: [B, H, W, C].
        upstream: [B, H, W, D], the gradient of its output.
        size: Height and width of the kernel, odd.

    Returns:
        [*size, C, D], in the dtype of the inputs.
    """
    (height, width), channels, outputs = inputs.shape[1:3], inputs.shape[-1], upstream.shape[-1]
    margins = [(length // 2, length // 2) for length in size]
    padded = tf.pad(inputs, [(0, 0), *margins, (0, 0)])
    upstream = tf.reshape(upstream, (-1, outputs))
    taps = [
        tf.matmul(
            tf.reshape(padded[:, top : top + height, left : left + width], (-1, channels)), upstream, transpose_a=True
        )
        for top in range(size[0])
        for left in range(size[1])
    ]
    return tf.reshape(tf.stack(taps), (*size, channels, outputs))
