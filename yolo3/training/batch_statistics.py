"""Batch statistics of averaged weights: estimated over training images before these weights are evaluated and saved.

The moving averages that training keeps are those of other weights, the current ones. Izmailov et al. 2018, "Averaging
Weights Leads to Wider Optima and Better Generalization", section 3.2.
"""

from __future__ import annotations

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

BATCHES = 16  # a pass forward over each; too few make the estimate noisy


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

    The pipeline is built once, as to trace its functions takes as long as many batches.

    Args:
        plan: Of the run.
        store: Its training images.
        stride: Of the network.
    """

    def __init__(self, plan: RunPlan, store: ImageStore, *, stride: int):
        config, self._epoch = plan.config, 0

        def number(_):
            return tf.ensure_shape(tf.numpy_function(lambda: np.int64(self._epoch), [], tf.int64), [])

        self._batches = training_batches(
            store,
            batch_size=plan.batch_size,
            input_shape=config.input_size,
            stride=stride,
            augmentation=config.augment,
            seed=config.seed,
            epochs=tf.data.Dataset.range(1).map(tf.autograph.experimental.do_not_convert(number)),
            resize=config.resize,
            workers=config.workers,
            mosaic_end=config.augment.mosaic_end(plan.epochs),
        )

    def of_epoch(self, epoch: int) -> Iterator[tf.Tensor]:
        """Iterate over the batches of an epoch; 0 is the first of the run."""
        self._epoch = epoch
        return (images for images, _, _ in islice(self._batches, BATCHES))
