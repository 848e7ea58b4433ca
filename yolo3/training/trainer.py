"""The network in training: precision, optimizer, and the compiled step.

Two networks hold the same weights. One has fused normalisation and may compute in half precision; it trains. The other
is made of stock layers in float32; it validates, and is what is saved.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from yolo3.darknet.blocks import BN_MOMENTUM
from yolo3.models.architecture import Architecture
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.models.rewriting import pool_before_activation
from yolo3.precision import POLICIES, accelerator, choose_precision, dtype_policy
from yolo3.training.optimizers import DarknetSGD
from yolo3.training.settings import TrainConfig


def default_ema(total_steps: int) -> float:
    """Return a momentum that averages over about the last fortieth of a run, at most 1000 steps."""
    return 1 - 1 / max(min(total_steps / 40, 1000), 2)


def statistics_momentum(total_steps: int) -> float:
    """Return the momentum of the averages in batch normalisation: Darknet's, less where a run is too short for it."""
    return min(BN_MOMENTUM, 1 - 1 / max(total_steps / 20, 2))


def build_optimizer(config: TrainConfig, total_steps: int):
    """Return the Keras optimizer; the learning rate is set before each step.

    Weight decay is not the optimizer's: the step adds it to the gradient of kernels alone, as Darknet does.
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
        optimizer = keras.optimizers.SGD(momentum=config.momentum, nesterov=True, **common)
    elif config.optimizer == "darknet":
        optimizer = DarknetSGD(momentum=config.momentum, **common)
    else:
        optimizer = keras.optimizers.Adam(**common)
    if choose_precision(config.precision) == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def compiled_terms(terms_of):
    """Return ``terms_of`` (outputs, input shape, boxes), compiled by XLA, with the same gradients.

    The shapes of the outputs have to be known, the batch included, and their types to be one.

    The outputs go in as one tensor, so that one gradient comes back. TensorFlow's pass for oneDNN makes one kernel of
    the gradients of a convolution's filter and of its bias, and takes for a pair what gets its input from the same node
    of the graph, whichever of its outputs it is. The compiled gradient is one node: with a gradient for each of the
    network's outputs, biases would be given those of another scale.
    """

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def of_joined(joined, shapes, input_shape, boxes):
        parts = tf.split(joined, [math.prod(shape[1:]) for shape in shapes], 1)
        outputs = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        return terms_of(outputs, input_shape, boxes)

    def of_outputs(outputs, input_shape, boxes):
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        joined = tf.concat([tf.reshape(output, (output.shape[0], -1)) for output in outputs], 1)
        return of_joined(joined, tuple(tuple(output.shape) for output in outputs), tuple(input_shape), boxes)

    return of_outputs


class Trainer:
    """The two networks, the optimizer and the compiled step of a run.

    ``network`` trains, ``plain`` validates and is saved. ``architecture``: what their outputs mean. ``steps``: of the run.
    """

    def __init__(self, config: TrainConfig, architecture: Architecture, steps: int):
        self.config, self.architecture = config, architecture
        self.strategy = tf.distribute.get_strategy()
        shape = (*config.input_size, 3) if architecture.fixed_size else (None, None, 3)
        self.precision = choose_precision(config.precision)
        with self.strategy.scope():
            with dtype_policy("float32"):
                self.plain = architecture.build_network(shape)
            with dtype_policy(POLICIES[self.precision]):
                self.network = pool_before_activation(architecture.build_network(shape, FusedBatchNormalization))
            self.optimizer = build_optimizer(config, steps)
            self._learned = list(self.network.trainable_variables)
            self.optimizer.build(self._learned)
        self.network.optimizer = self.optimizer  # where Keras' callbacks look for it
        for layer in self.network.layers:
            if isinstance(layer, FusedBatchNormalization):
                layer.momentum = statistics_momentum(steps)
        self.set_frozen(False)

    def set_frozen(self, frozen: bool) -> None:
        """Freeze or free the backbone, its normalisation included, and compile the step anew."""
        for name in self.architecture.backbone_layers(self.network):
            self.network.get_layer(name).trainable = not frozen
        # XLA makes one pass over the weights of an update, and a few over the outputs in targets and loss, where
        # TensorFlow's own kernels make a hundred. Replicas have to meet in the update, which XLA cannot compile.
        on_processor = accelerator() is None and self.strategy.num_replicas_in_sync == 1
        self._update, self.terms_of = self._apply, self.batch_terms
        if on_processor:
            self._update = tf.function(self._apply, jit_compile=True, autograph=False)
            self.terms_of = compiled_terms(self.batch_terms)
        self._step = tf.function(self._distributed_step, autograph=False)
        self._replica = tf.function(self._replica_step, jit_compile=self.config.jit_compile or None, autograph=False)

    def train_step(self, images, boxes, rate: float) -> dict:
        """Learn from a batch at a learning rate; return the terms of the loss as tensors.

        ``images``: float32 [B, H, W, 3]. ``boxes``: float32 [B, T, 5] (x, y, w, h relative, class id).
        """
        self.optimizer.learning_rate = rate
        return self._step(images, boxes)

    def _distributed_step(self, images, boxes):
        terms = self.strategy.run(self._replica, (images, boxes))
        replicas = self.strategy.num_replicas_in_sync
        return {name: self.strategy.reduce("sum", value, None) / replicas for name, value in terms.items()}

    def _replica_step(self, images, boxes):
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(images, training=True)
            terms = self.terms_of(outputs, tuple(images.shape[1:3]), boxes)
            loss = sum(terms[name] for name in self.architecture.terms) / self.strategy.num_replicas_in_sync
            loss = self.optimizer.scale_loss(loss)
        self._update(tape.gradient(loss, [variable.value for variable in variables]))
        return terms

    def _apply(self, gradients):
        variables = self.network.trainable_variables
        self.optimizer.apply(self._with_decay(gradients, variables), variables)

    def _with_decay(self, gradients, variables):
        """Add the gradient of decay/2 |w|^2 for kernels, scaled as the loss is."""
        decay = self.optimizer.scale_loss(self.config.weight_decay / self.strategy.num_replicas_in_sync)
        return [
            gradient + decay * variable.value if variable.name == "kernel" else gradient
            for gradient, variable in zip(gradients, variables)
        ]

    def batch_terms(self, outputs, input_shape, boxes) -> dict:
        """Return the terms of the loss of raw outputs for the boxes [B, T, 5] of a batch."""
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        shape = tuple(input_shape)
        return self.architecture.loss_terms(outputs, self.architecture.build_targets(boxes, shape), shape)

    # Weights

    def update_plain(self) -> None:
        """Give the plain network the averaged weights, or the current ones where no average is kept."""
        current = [variable.numpy() for variable in self._learned]
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if inner.use_ema and int(inner.iterations.numpy()) > 0:
            inner.finalize_variable_values(self._learned)
        self.plain.set_weights(self.network.get_weights())
        for variable, value in zip(self._learned, current):
            variable.assign(value)

    def is_finite(self) -> bool:
        """Return whether all weights of the network that trains are numbers."""
        return all(np.isfinite(variable.numpy()).all() for variable in self.network.variables)

    def state(self) -> list[np.ndarray]:
        """Return everything that a resumed run needs of the networks and the optimizer, as arrays."""
        return [variable.numpy() for variable in self._state_variables()]

    def set_state(self, arrays: list[np.ndarray]) -> None:
        """Take back what :meth:`state` returned. Raises ``ValueError`` when it belongs to another network."""
        variables = self._state_variables()
        if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
            raise ValueError("state: expected that of the same network and optimizer, got other shapes")
        for variable, array in zip(variables, arrays):
            variable.assign(array)

    def _state_variables(self):
        return [*self.network.variables, *self.optimizer.variables]
