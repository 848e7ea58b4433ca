"""Batch statistics of averaged weights: estimated over training images before these weights are evaluated and saved.

The moving averages that training keeps are those of other weights, the current ones. Izmailov et al. 2018, "Averaging
Weights Leads to Wider Optima and Better Generalization", section 3.2.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from yolo3.input.batches import training_batches
from yolo3.input.image_cache import ImageStore
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.training.plan import RunPlan

IMAGES = 64  # about so many pass forward; of blood cells 32 to 256 gave an AP within .004
LEAST_BATCHES = 2


def estimate_statistics(network: keras.Model, forward: Callable[[Any], object], images: Iterable) -> None:
    """Set the statistics of batch normalization to those of images under the present weights.

    The moving averages begin anew at zero; what they lack after n batches is their weight momentum^n for the start:

        statistics = moving average / (1 - momentum^n)

    Args:
        network: Whose layers normalize; those that are frozen keep their statistics.
        forward: Computes the network in training, which moves the averages.
        images: Batches, float32 [B, H, W, 3]; without any the statistics stay.
    """
    layers = [layer for layer in network.layers if isinstance(layer, FusedBatchNormalization) and layer.trainable]
    count = 0
    for batch in images if layers else ():
        for layer in layers if not count else ():
            for variable in (layer.moving_mean, layer.moving_variance):
                variable.assign(tf.zeros(variable.shape))
        forward(batch)
        count += 1

    for layer in layers if count else ():
        for variable in (layer.moving_mean, layer.moving_variance):
            variable.assign(variable.value / (1 - layer.momentum**count))


class StatisticsImages:
    """The images of the first batches of an epoch, as they are augmented there, at the size of validation.

    Those that were trained on in this process are kept from there. Else they are read and augmented again, which gives
    the same ones, by a pipeline that is built once.

    Args:
        plan: Of the run.
        store: Its training images.
        stride: Of the network.
    """

    def __init__(self, plan: RunPlan, store: ImageStore, *, stride: int):
        self._plan, self._store, self._stride = plan, store, stride
        self._epoch, self._kept_epoch, self._kept = 0, -1, list[tf.Tensor]()
        self._num_batches = min(max(math.ceil(IMAGES / plan.batch_size), LEAST_BATCHES), plan.steps_per_epoch)

    def keep(self, epoch: int, index: int, images: Any) -> None:
        """Keep a batch that is trained on, if it is one of those for the evaluation after its epoch.

        Args:
            epoch: Number of the epoch, from 0.
            index: Of the batch in it, from 0.
            images: float32 [B, H, W, 3]; those of several replicas, and of sizes that vary, are not kept.
        """
        if epoch != self._kept_epoch:
            self._kept_epoch, self._kept = epoch, []
        wanted = index == len(self._kept) < self._num_batches and self._plan.evaluates_after(epoch + 1)
        if wanted and isinstance(images, tf.Tensor) and not self._plan.config.multi_scale:
            self._kept.append(images)

    def of_epoch(self, epoch: int) -> Iterator[tf.Tensor]:
        """Iterate over the batches of an epoch; 0 is the first of the run."""
        if epoch == self._kept_epoch and len(self._kept) == self._num_batches:
            return iter(self._kept)
        self._epoch = epoch
        return (images for images, _, _ in islice(self._batches, self._num_batches))

    @functools.cached_property
    def _batches(self) -> tf.data.Dataset:
        """The batches of the epoch `_epoch`, anew each time it is iterated over."""
        plan, config = self._plan, self._plan.config

        def number(_):
            return tf.ensure_shape(tf.numpy_function(lambda: np.int64(self._epoch), [], tf.int64), [])

        return training_batches(
            self._store,
            batch_size=plan.batch_size,
            input_shape=config.input_size,
            stride=self._stride,
            augmentation=config.augment,
            seed=config.seed,
            epochs=tf.data.Dataset.range(1).map(tf.autograph.experimental.do_not_convert(number)),
            resize=config.resize,
            workers=config.workers,
            mosaic_end=config.augment.mosaic_end(plan.epochs),
        )
