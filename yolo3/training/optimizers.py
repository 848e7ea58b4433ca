"""Darknet's gradient descent: heavy ball with the learning rate outside the buffer."""

import keras
from keras import ops


class DarknetSGD(keras.optimizers.Optimizer):
    """Gradient descent with momentum as Darknet has it (src/convolutional_layer.c, update_convolutional_layer):

        u <- momentum u - gradient        w <- w + rate u

    Keras' ``SGD`` keeps the rate inside its buffer, which is another course whenever the rate changes: during burn-in,
    and for about 1 / (1 - momentum) updates after each step of it.
    """

    def __init__(self, learning_rate=0.001, momentum: float = 0.9, name: str = "darknet_sgd", **options):
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.momentum = momentum

    def build(self, variables):
        """Make a buffer of zeros for each variable."""
        if self.built:
            return
        super().build(variables)
        self._buffers = [self.add_variable_from_reference(variable, "buffer") for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        buffer = self._buffers[self._get_variable_index(variable)]
        gradient, rate = ops.cast(gradient, variable.dtype), ops.cast(learning_rate, variable.dtype)
        self.assign(buffer, ops.subtract(ops.multiply(buffer, self.momentum), gradient))
        self.assign_add(variable, ops.multiply(rate, buffer))

    def get_config(self):
        """Return what Keras needs to make it again."""
        return {**super().get_config(), "momentum": self.momentum}
