"""Batch normalization by TensorFlow's fused kernel, for training.

Keras 3 computes it from separate moments, which takes about half of a training step on a CPU. The layer here holds the
same weights as Keras' own and gives the same values; saved files use Keras' own.
"""

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Compute ``keras.layers.BatchNormalization`` over the last of four axes by ``FusedBatchNormV3``.

    As cuDNN does, it normalizes with the biased variance of the batch and averages the unbiased one. Arguments and
    weights are those of ``keras.layers.BatchNormalization``; statistics are float32 whatever the input's precision.
    With ``synchronized`` the replicas of `tf.distribute` share the moments of the whole batch.
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

        if self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return self._synchronized(inputs, gamma, beta)

        empty = tf.zeros([0], tf.float32)
        result = tf.raw_ops.FusedBatchNormV3(mean=empty, variance=empty, is_training=True, **arguments)
        self._average(result.batch_mean, result.batch_variance)
        return result.y

    def _average(self, mean, variance) -> None:
        """Let the moving statistics follow those of a batch."""
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average.value * self.momentum + value * (1 - self.momentum))

    def _synchronized(self, inputs, gamma, beta):
        """Return the input normalized by the moments of the whole batch, to which each replica adds those of its part.

        The squares are of what the moving mean leaves, which keeps their difference exact where it is small.
        """
        import tensorflow as tf

        x = tf.cast(inputs, tf.float32)
        shift = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean.value))
        shifted = x - shift
        count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), tf.float32)
        sums = [tf.reduce_sum(shifted, (0, 1, 2)), tf.reduce_sum(shifted * shifted, (0, 1, 2))]
        total = tf.distribute.get_replica_context().all_reduce("sum", tf.concat([*sums, count[None]], 0))
        mean, square, count = tf.split(total, [x.shape[-1], x.shape[-1], 1])
        mean, square = mean / count, square / count
        variance = square - mean * mean

        self._average(tf.stop_gradient(mean + shift), tf.stop_gradient(variance * (count / (count - 1))))
        scale = gamma * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(shifted * scale + (beta - mean * scale), inputs.dtype)
