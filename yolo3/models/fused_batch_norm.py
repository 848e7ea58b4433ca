"""Batch normalisation by TensorFlow's fused kernel, for training.

Keras 3 computes it from separate moments, which costs a CPU about half of a training step. The layer here holds the
same weights as the stock one and gives the same values; saved files use the stock one.
"""

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last of four axes, computed by ``FusedBatchNormV3``.

    As cuDNN does, it normalises with the biased variance of the batch and averages the unbiased one. The statistics
    are float32 whatever the precision of the input.
    """

    def call(self, inputs, training=None, mask=None):
        import tensorflow as tf

        training = bool(training) and self.trainable
        gamma, beta, mean, variance = (
            tf.convert_to_tensor(variable.value)  # float32 for any precision of the input, as the kernel wants them
            for variable in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if not training:
            outputs, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=self.epsilon,
                is_training=False,
            )  # fmt: skip
            return outputs
        empty = tf.zeros([0], tf.float32)
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=empty, variance=empty, epsilon=self.epsilon, is_training=True
        )
        keep = self.momentum
        self.moving_mean.assign(mean * keep + batch_mean * (1 - keep))
        self.moving_variance.assign(variance * keep + batch_variance * (1 - keep))
        return outputs
