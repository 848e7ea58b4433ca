"""The optimizers of a run: Keras' own, and Darknet's gradient descent."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from yolo3.precision import choose_precision
from yolo3.training.averages import default_ema
from yolo3.training.settings import TrainConfig


def build_optimizer(config: TrainConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer of a run; the training step sets its learning rate before each update.

    Weight decay is not left to the optimizer: the step adds it to the gradient of kernels alone, as Darknet does.

    Args:
        config: Settings of the run.
        total_steps: Steps of the run, for the momentum of the averaged weights.

    Returns:
        A Keras optimizer, with loss scaling in float16.
    """
    ema = default_ema(total_steps) if config.ema is None else config.ema
    common: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": ema > 0,
        "ema_momentum": ema or 0.99,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
    }
    if config.optimizer == "sgd":
        optimizer = SGD(momentum=config.momentum, nesterov=True, **common)
    elif config.optimizer == "darknet":
        optimizer = DarknetSGD(momentum=config.momentum, **common)
    else:
        optimizer = Adam(**common)

    if choose_precision(config.precision) == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


class LocalUpdates:
    """Of an optimizer whose gradients are the same on all replicas: each replica updates its own copy of the variables.

    Keras' own sums the gradients itself, after it has clipped those of each replica.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for gradient, variable in zip(grads, trainable_variables):
            self.update_step(gradient, variable, learning_rate)

    def _backend_increment_gradient_accumulators(self, grads, acc_grads):
        for gradient, accumulated in zip(grads, acc_grads):
            accumulated.assign(accumulated + gradient)


class Adam(LocalUpdates, keras.optimizers.Adam):
    """Keras' Adam."""


class SGD(LocalUpdates, keras.optimizers.SGD):
    """Keras' gradient descent."""


class DarknetSGD(LocalUpdates, keras.optimizers.Optimizer):
    """Gradient descent with momentum as in Darknet (src/convolutional_layer.c, update_convolutional_layer).

        u <- momentum u - gradient        w <- w + rate u

    Keras' `SGD` has the rate inside its buffer, which takes another course whenever the rate changes: during warm-up,
    and for about 1 / (1 - momentum) updates after each step of the schedule.

    Args:
        learning_rate: Rate, or a Keras schedule.
        momentum: Share of the buffer that is kept at each update.
        name: Of the optimizer.
        **options: Those of `keras.optimizers.Optimizer`.
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
        """Return what `from_config` needs to build the optimizer again."""
        return {**super().get_config(), "momentum": self.momentum}
