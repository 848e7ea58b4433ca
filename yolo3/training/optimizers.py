"""The optimizers of a run and of a compiled detector: Keras' own and Darknet's, with weight decay as in Darknet."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from yolo3.precision import choose_precision
from yolo3.training.averages import default_ema
from yolo3.training.settings import TrainConfig

_registered = keras.saving.register_keras_serializable(package="yolo3")


def build_optimizer(config: TrainConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer of a run; the training step sets its learning rate before each update.

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
        "kernel_decay": config.weight_decay,
    }
    if config.optimizer == "sgd":
        optimizer = DecayedSGD(momentum=config.momentum, nesterov=True, **common)
    elif config.optimizer == "darknet":
        optimizer = DarknetSGD(momentum=config.momentum, **common)
    else:
        optimizer = DecayedAdam(**common)

    if choose_precision(config.precision) == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def num_replicas() -> int:
    """Return the number of replicas whose gradients TensorFlow adds up."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


class KernelDecay(keras.optimizers.Optimizer):
    """An optimizer that adds the gradient of decay/2 |w|^2 for kernels alone before each update.

    This is Darknet's weight decay (src/convolutional_layer.c, update_convolutional_layer): it goes through the
    optimizer's moments and clipping, unlike Keras' `weight_decay`, and leaves biases and batch normalization alone.

    Args:
        *arguments: Those of the optimizer.
        kernel_decay: The decay.
        **options: Those of the optimizer.
    """

    def __init__(self, *arguments: Any, kernel_decay: float = 0.0, **options: Any):
        super().__init__(*arguments, **options)
        self.kernel_decay = kernel_decay

    def apply(self, grads, trainable_variables=None):
        """Update the variables, by default those that the optimizer was built with."""
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        decay = self.kernel_decay / num_replicas()
        decayed = [
            gradient + decay * variable.value if variable.name == "kernel" and gradient is not None else gradient
            for gradient, variable in zip(grads, variables, strict=True)
        ]
        super().apply(decayed, trainable_variables)

    def get_config(self) -> dict:
        """Return what `from_config` needs to build the optimizer again."""
        return {**super().get_config(), "kernel_decay": self.kernel_decay}


@_registered
class DecayedAdam(KernelDecay, keras.optimizers.Adam):
    """Keras' `Adam` with `KernelDecay`."""


@_registered
class DecayedSGD(KernelDecay, keras.optimizers.SGD):
    """Keras' `SGD` with `KernelDecay`."""


@_registered
class DarknetSGD(KernelDecay):
    """Gradient descent with momentum as in Darknet (src/convolutional_layer.c, update_convolutional_layer).

        u <- momentum u - gradient        w <- w + rate u

    Keras' `SGD` has the rate inside its buffer, which takes another course whenever the rate changes: during warm-up,
    and for about 1 / (1 - momentum) updates after each step of the schedule.

    Args:
        learning_rate: Rate, or a Keras schedule.
        momentum: Share of the buffer that is kept at each update.
        name: Of the optimizer.
        **options: Those of `KernelDecay`.
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
