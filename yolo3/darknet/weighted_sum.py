"""A sum with learned factors, for Darknet's [shortcut] with `weights_type`.

Saved files name this module: it stays where it is.
"""

from __future__ import annotations

import keras
from keras import ops

_EPSILON = 1e-4  # blas.c:shortcut_multilayer_cpu


@keras.saving.register_keras_serializable("yolo3")
class WeightedSum(keras.layers.Layer):
    """Add features, each times a learned factor.

    y[b, h, w, c] = sum_i f_i[c] x_i[b, h, w, c] with the factors f = w, or max(w, 0) / (sum_i max(w_i, 0) + 1e-4) for
    "relu", or the softmax over the layers for "softmax", with the same 1e-4 in its denominator. Source: AlexeyAB's
    Darknet, `src/blas.c:shortcut_multilayer_cpu`.

    Args:
        per_channel: Whether each channel has a factor of its own.
        normalization: "none", "relu" or "softmax".
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape: a list of [B, H, W, C]. Output shape: [B, H, W, C].
    """

    def __init__(self, per_channel: bool = False, normalization: str = "none", **kwargs):
        super().__init__(**kwargs)
        self.per_channel, self.normalization = per_channel, normalization

    def build(self, input_shape):
        """Create the factors [number of inputs, C or 1]."""
        channels = input_shape[0][-1] if self.per_channel else 1
        self.factors = self.add_weight(shape=(len(input_shape), channels), initializer="ones", name="factors")

    def compute_output_shape(self, input_shape):
        """Return the shape of each input."""
        return input_shape[0]

    def call(self, inputs):
        """Return the sum [B, H, W, C] of features [B, H, W, C]."""
        factors = self.factors
        if self.normalization == "relu":
            factors = ops.relu(factors)
        elif self.normalization == "softmax":
            factors = ops.exp(factors - ops.max(factors, 0, keepdims=True))
        if self.normalization != "none":
            factors = factors / (ops.sum(factors, 0, keepdims=True) + _EPSILON)
        return sum(x * factors[place] for place, x in enumerate(inputs))

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "per_channel": self.per_channel, "normalization": self.normalization}
