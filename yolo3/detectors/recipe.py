"""How a detector is trained that was compiled without an optimizer: with that of ``yolo3 train``.

Adam, whose rate rises during a warm-up and then falls along a cosine; averaged weights; and averages of batch
normalization that are as short as the run. All of it depends on the length of the run, which ``fit`` knows.
"""

from __future__ import annotations

import contextlib

import keras

from yolo3.training.averages import statistics_momentum
from yolo3.training.optimizers import build_optimizer
from yolo3.training.schedules import COSINE_END, default_burn_in
from yolo3.training.settings import TrainConfig


def default_optimizer(total_steps: int | None = None, precision: str = "float32") -> keras.optimizers.Optimizer:
    """Return the optimizer of a run.

    Args:
        total_steps: Steps of the run; ``None`` for a constant rate and no averaged weights, where they are not known.
        precision: "float16" for an optimizer with loss scaling.
    """
    if total_steps is None:
        return build_optimizer(TrainConfig(ema=0.0, precision=precision), 1)

    optimizer = build_optimizer(TrainConfig(precision=precision), total_steps)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    burn_in = default_burn_in(total_steps)
    inner.learning_rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=TrainConfig.learning_rate / max(burn_in, 1),
        decay_steps=max(total_steps - burn_in, 1),
        alpha=COSINE_END,
        warmup_target=TrainConfig.learning_rate,
        warmup_steps=burn_in,
    )
    return optimizer


class DefaultRecipe(keras.callbacks.Callback):
    """Give a detector the optimizer of a run of this length when ``fit`` begins.

    Args:
        precision: See :func:`default_optimizer`.
    """

    def __init__(self, precision: str = "float32"):
        super().__init__()
        self.precision = precision

    def on_train_begin(self, logs=None):
        """Make the optimizer, now that Keras knows the epochs and, but for endless generators, their steps."""
        model, steps = self.model, self.params["steps"]
        total_steps = steps and steps * self.params["epochs"]
        strategy = getattr(model, "distribute_strategy", None)  # of TensorFlow
        with strategy.scope() if strategy is not None else contextlib.nullcontext():
            model.optimizer = default_optimizer(total_steps, self.precision)
            model.optimizer.build(model.trainable_variables)

        if total_steps:
            for layer in model.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = statistics_momentum(total_steps)
        model.make_train_function(force=True)
