"""A step on two devices with statistics of each; run as a script, this file prints what the moving averages are.

Devices have to be made before TensorFlow computes, so that this takes a process of its own.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from tests.training.replicas import ARCHITECTURES, PARTS, SIDE, batches, slim, spread
from yolo3.training.devices import build_strategy
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer


def largest(ours, theirs) -> float:
    """Return the largest difference, relative to values above 1."""
    return max(float((np.abs(a - b) / np.maximum(np.abs(b), 1)).max()) for a, b in zip(ours, theirs, strict=True))


def averages(strategy, *, of_images=slice(None), forward_only: bool = False) -> list:
    """Return the moving averages [statistic][replica] after a step, or a forward pass for statistics, on images."""
    keras.utils.set_random_seed(0)
    config = TrainConfig(precision="float32", ema=0.0, input_size=(SIDE, SIDE), optimizer="sgd", sync_bn="off")
    with strategy.scope():
        trainer = Trainer(config, ARCHITECTURES["tiny"](), steps=100)
    images, boxes = (column[of_images] for column in batches(backwards=False)[0])
    if forward_only:
        trainer._distributed_forward(tf.constant(images))
    else:
        trainer.train_step(spread(strategy, images), spread(strategy, boxes), 1e-4)
    variables = trainer.network.non_trainable_variables
    return [[one.numpy() for one in strategy.experimental_local_results(variable.value)] for variable in variables]


def main() -> None:
    slim()
    two, one = build_strategy("cpu:2"), tf.distribute.get_strategy()
    tf.config.run_functions_eagerly(True)
    first, second = PARTS[2]
    parts = {False: (slice(first), slice(first, first + second)), True: (slice(0, None, 2), slice(1, None, 2))}
    for forward_only in (False, True):
        together = averages(two, forward_only=forward_only)
        alone = [averages(one, of_images=part, forward_only=forward_only) for part in parts[forward_only]]
        mean = [(a[0] + b[0]) / 2 for a, b in zip(*alone, strict=True)]
        found = {
            "replicas apart": largest([a for a, _ in together], [b for _, b in together]),
            "from the mean of both parts": largest([a for a, _ in together], mean),
            "parts apart": largest([a[0] for a in alone[0]], [b[0] for b in alone[1]]),
        }
        print(json.dumps(found), flush=True)
    whole, own = averages(one), averages(two)
    print(json.dumps({"from the statistics of the whole batch": largest([a for a, _ in own], [a[0] for a in whole])}))


if __name__ == "__main__":
    main()
