"""The training step: forward pass, targets, loss, gradients and update, compiled.

Two networks of the same architecture share their weights. One has fused batch normalization and may compute in half
precision: it is trained. The other is made of stock Keras layers in float32: it validates, and is what files hold.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from yolo3.compilation import stable_names
from yolo3.models.architecture import Architecture
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.models.loss import as_list, batch_terms
from yolo3.models.rewriting import pool_before_activation
from yolo3.precision import POLICIES, accelerator, choose_precision, dtype_policy
from yolo3.training.averages import statistics_momentum
from yolo3.training.batch_statistics import estimate_statistics
from yolo3.training.kernel_gradient import multiply_for_kernels
from yolo3.training.optimizers import build_optimizer
from yolo3.training.settings import TrainConfig

ASKED = "asked to stop"
"""Key of the results of a step beside the terms of the loss."""


def compiled_terms(terms_of):
    """Compile the terms of a loss with XLA.

    The outputs go in as one tensor, so that one gradient comes back. TensorFlow's oneDNN pass fuses the gradients of a
    convolution's filter and of its bias, and takes for a pair what gets its input from the same node of the graph,
    whichever of its outputs that is. The compiled gradient is one node: with one gradient for each output of the
    network, a bias would be given that of another scale.

    Args:
        terms_of: Function from (outputs, input_shape, boxes) to the terms of the loss by name. The shapes of the
            outputs, the batch included, have to be known, and their dtypes to be the same.

    Returns:
        The compiled function, with the same arguments, results and gradients.
    """

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def of_joined(joined, shapes, input_shape, boxes):
        parts = tf.split(joined, [math.prod(shape[1:]) for shape in shapes], 1)
        outputs = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        return terms_of(outputs, input_shape, boxes)

    def of_outputs(outputs, input_shape, boxes):
        outputs = as_list(outputs)
        joined = tf.concat([tf.reshape(output, (output.shape[0], -1)) for output in outputs], 1)  # [B, all values]
        return of_joined(joined, tuple(tuple(output.shape) for output in outputs), tuple(input_shape), boxes)

    return of_outputs


class Trainer:
    """The two networks, the optimizer and the compiled step of a run.

    Args:
        config: Settings of the run.
        architecture: What the outputs of the networks mean.
        steps: Steps of the run, for the momentum of averages.

    Attributes:
        network: The `keras.Model` that is trained.
        inference_network: The `keras.Model` that validates and is saved; see `update_inference_network`.
        optimizer: The Keras optimizer.
        precision: "float32", "bfloat16" or "float16".
        frozen: Whether the backbone is frozen.
        strategy: The `tf.distribute` strategy in whose scope the trainer was made.
    """

    def __init__(self, config: TrainConfig, architecture: Architecture, steps: int):
        self.config, self.architecture = config, architecture
        self.strategy = tf.distribute.get_strategy()
        self.precision = choose_precision(config.precision)

        shape = (*config.input_size, 3) if architecture.fixed_size else (None, None, 3)
        with self.strategy.scope():
            with dtype_policy("float32"):
                self.inference_network = architecture.build_network(shape)
            with dtype_policy(POLICIES[self.precision]):
                self.network = pool_before_activation(architecture.build_network(shape, FusedBatchNormalization))
            if self.precision == "bfloat16" and accelerator() is None:
                multiply_for_kernels(self.network)
            self.optimizer = build_optimizer(config, steps)
            self._learned = list(self.network.trainable_variables)
            self.optimizer.build(self._learned)

        self.network.optimizer = self.optimizer  # where Keras' callbacks look for it
        self._norms = [layer for layer in self.network.layers if isinstance(layer, FusedBatchNormalization)]
        for layer in self._norms:
            layer.momentum = statistics_momentum(steps)
            layer.synchronized = config.sync_bn == "on"
        self._step: Any = None
        self._former_graphs = 0
        self.set_frozen(False)

    # The step

    def set_frozen(self, frozen: bool) -> None:
        """Freeze or unfreeze the backbone, batch normalization included, and recompile the step."""
        self._former_graphs = self.num_graphs
        self.frozen = frozen
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
        self._forward = tf.function(self._distributed_forward, autograph=False)
        self._replica = self._replica_step
        if self.strategy.num_replicas_in_sync == 1:  # a function within a replica could not meet the other ones
            self._replica = tf.function(self._replica, jit_compile=self.config.jit_compile or None, autograph=False)

    def train_step(self, images, boxes, rate: float, asked: bool | None = None) -> dict:
        """Update the network with the gradient of one batch.

        Args:
            images: float32 [B, H, W, 3], 0..1; with several replicas the part of each, a `PerReplica`.
            boxes: float32 [B, T, 5] (x, y, w, h relative to the input, class id), padded with rows of zeros; likewise.
            rate: Learning rate.
            asked: Of several processes, whether this one was asked to stop.

        Returns:
            The terms of the loss by name, scalar tensors, without weight decay: means over all images of the batch.
            With `asked` also `ASKED`, the number of replicas in processes that were asked to stop.
        """
        self.optimizer.learning_rate = rate
        return self._step(images, boxes, None if asked is None else tf.constant(float(asked)))

    @property
    def num_graphs(self) -> int:
        """Graphs that were built for steps, one for each phase of freezing and each shape of a batch."""
        return self._former_graphs + (self._step.experimental_get_tracing_count() if self._step else 0)

    def _distributed_step(self, images, boxes, asked):
        stable_names()
        terms = self.strategy.run(self._replica, (images, boxes))
        if asked is not None:
            terms = {**terms, ASKED: self.strategy.run(tf.identity, (asked,))}
        return {name: self.strategy.reduce("sum", value, None) for name, value in terms.items()}

    def _replica_step(self, images, boxes):
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(images, training=True)
            terms = self._shares(images, self.terms_of(outputs, tuple(images.shape[1:3]), boxes))
            loss = self.optimizer.scale_loss(sum(terms[name] for name in self.architecture.terms))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        if self.strategy.num_replicas_in_sync > 1:
            gradients = tf.distribute.get_replica_context().all_reduce("sum", gradients)
            self._unite_statistics()
        self._update(gradients)
        return terms

    def _unite_statistics(self) -> None:
        """Give all replicas the mean of the moving averages of each, where each has seen its part of a batch alone."""
        own = [norm for norm in self._norms if norm.trainable and not norm.synchronized]
        variables = [variable for norm in own for variable in (norm.moving_mean, norm.moving_variance)]
        if variables:
            values = [tf.convert_to_tensor(variable.value) for variable in variables]
            means = tf.distribute.get_replica_context().all_reduce("mean", tf.concat(values, 0))  # in one exchange
            for variable, mean in zip(variables, tf.split(means, [value.shape[0] for value in values])):
                variable.assign(mean)

    def _shares(self, images, terms: dict) -> dict:
        """Return what the images of a replica add to the means over all images of a batch."""
        if self.strategy.num_replicas_in_sync == 1:
            return terms
        own = tf.cast(tf.shape(images)[0], tf.float32)
        share = own / tf.distribute.get_replica_context().all_reduce("sum", own)
        return {name: share * value for name, value in terms.items()}

    def _apply(self, gradients):
        self.optimizer.apply(gradients, self.network.trainable_variables)

    def batch_terms(self, outputs, input_shape, boxes) -> dict:
        """Return the terms of the loss of one batch.

        Args:
            outputs: Raw outputs of a network: a tensor, or one for each scale.
            input_shape: (height, width) of the network input in pixels.
            boxes: float32 [B, T, 5], as in `train_step`.

        Returns:
            float32 scalars by name, the mean over the images.
        """
        return batch_terms(self.architecture, outputs, boxes, input_shape)

    # Weights

    def update_inference_network(self, images: Iterable = ()) -> None:
        """Copy the averaged weights to the inference network, or the current ones where no average is kept.

        The network that is trained stays as it is.

        Args:
            images: Batches float32 [B, H, W, 3] over which the batch statistics of averaged weights are estimated;
                without any they are the moving averages of the current ones.
        """
        variables = self.network.variables
        current = [variable.numpy() for variable in variables]
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        try:
            if inner.use_ema and int(inner.iterations.numpy()) > 0:
                inner.finalize_variable_values(self._learned)
                estimate_statistics(self.network, self._forward, images)
            self.inference_network.set_weights(self.network.get_weights())
        finally:
            for variable, value in zip(variables, current):
                variable.assign(value)

    def _distributed_forward(self, images) -> None:
        """Compute the network in training, for its moving averages alone."""

        def forward(images):
            replica = tf.distribute.get_replica_context()
            own = images[replica.replica_id_in_sync_group :: replica.num_replicas_in_sync]
            self.network(own, training=True)
            if replica.num_replicas_in_sync > 1:
                self._unite_statistics()

        self.strategy.run(forward, (images,))

    def is_finite(self) -> bool:
        """Return whether all weights of the network that is trained are finite."""
        return all(np.isfinite(variable.numpy()).all() for variable in self.network.variables)

    def state(self) -> list[np.ndarray]:
        """Return what resuming needs: the weights, and the optimizer's moments, averages and counters."""
        return [variable.numpy() for variable in self._state_variables()]

    def state_bytes(self) -> int:
        """Return the size of the state in bytes."""
        return sum(math.prod(variable.shape) * tf.as_dtype(variable.dtype).size for variable in self._state_variables())

    def set_state(self, arrays: list[np.ndarray]) -> None:
        """Restore a state.

        Args:
            arrays: As `state` returned them.

        Raises:
            ValueError: When they belong to another network or optimizer.
        """
        variables = self._state_variables()
        if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
            raise ValueError("state: expected that of the same network and optimizer, got other shapes")
        for variable, array in zip(variables, arrays):
            variable.assign(array)

    def _state_variables(self):
        return [*self.network.variables, *self.optimizer.variables]
