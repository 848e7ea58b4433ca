"""Batch normalization by TensorFlow's fused kernel, for training.

Keras 3 computes it from separate moments, which takes about half of a training step on a CPU. The layer here holds the
same weights as Keras' own and gives the same values; saved files use Keras' own.
"""

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Compute ``keras.layers.BatchNormalization`` over the last of four axes by ``FusedBatchNormV3``.

    As cuDNN does, it normalizes with the biased variance of the batch and averages the unbiased one. Arguments and
    weights are those of ``keras.layers.BatchNormalization``; statistics are float32 whatever the input's precision.
    """

    def call(self, inputs, training=None, mask=None):
        """Return the normalized input [B, H, W, C], in its dtype; while training, update the moving statistics."""
        import tensorflow as tf

        gamma, beta, mean, variance = (
            tf.convert_to_tensor(variable.value)  # float32 for any precision of the input, as the kernel wants them
            for variable in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        arguments = {"x": inputs, "scale": gamma, "offset": beta, "epsilon": self.epsilon}
        if not training or not self.trainable:
            return tf.raw_ops.FusedBatchNormV3(mean=mean, variance=variance, is_training=False, **arguments).y

        empty = tf.zeros([0], tf.float32)
        result = tf.raw_ops.FusedBatchNormV3(mean=empty, variance=empty, is_training=True, **arguments)
        keep = self.momentum
        self.moving_mean.assign(mean * keep + result.batch_mean * (1 - keep))
        self.moving_variance.assign(variance * keep + result.batch_variance * (1 - keep))
        return result.y
