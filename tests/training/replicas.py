"""Steps on one device and on two: run as a script, this file prints how far the weights of each case are apart.

Devices have to be made before TensorFlow computes, so that this takes a process of its own.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from yolo3.darknet.blocks import Blocks
from yolo3.models.retinanet import RetinaNet
from yolo3.models.rpn.architecture import Rpn
from yolo3.models.yolov1.architecture import YoloV1
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training.devices import build_strategy
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer

STEPS, IMAGES, SIDE = 5, 6, 64
PARTS = {1: [6], 2: [4, 2]}  # images of each replica

ARCHITECTURES = {
    "tiny": lambda: YoloV3.from_name("yolov3-tiny", 3, anchors=DEFAULT_TINY_ANCHORS),
    "full": lambda: YoloV3.from_name("yolov3", 3, anchors=DEFAULT_ANCHORS),
    "yolov1": lambda: YoloV1("yolov1-tiny", 3, 3),
    "retinanet": lambda: RetinaNet(3, depth=1, width=8),
    "rpn": lambda: Rpn(strides=(16, 32), scales=(1.0, 2.0), width=8),
}
CASES = {
    "adam": {},
    "adam, clipped, averaged": {"clip_norm": 1.0, "ema": 0.5},
    "sgd": {"optimizer": "sgd"},
    "sgd, accumulated": {"optimizer": "sgd", "accumulate": 2},
    "darknet": {"optimizer": "darknet"},
    "darknet, accumulated, clipped": {"optimizer": "darknet", "accumulate": 2, "clip_norm": 1.0},
    "float16": {"precision": "float16", "optimizer": "sgd"},
    "full": {"architecture": "full"},
    "yolov1": {"architecture": "yolov1"},
    "retinanet": {"architecture": "retinanet"},
    "rpn": {"architecture": "rpn"},
}


def slim():
    """Give every network a sixteenth of its filters."""
    whole = Blocks.conv_bn_leaky

    def conv_bn_leaky(self, x, filters, size, strides=1, **options):
        return whole(self, x, max(filters // 16, 4), size, strides, **options)

    Blocks.conv_bn_leaky = conv_bn_leaky


def batches(backwards):
    """Return (images, boxes) of each step, also with each batch backwards: the same sums, otherwise rounded."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (STEPS, IMAGES, SIDE, SIDE, 3)).astype(np.float32)
    boxes = np.zeros((STEPS, IMAGES, 32, 5), np.float32)
    for index in np.ndindex(STEPS, IMAGES):
        number = rng.integers(1, 5)
        boxes[index][:number] = np.concatenate(
            [rng.uniform(0.2, 0.8, (number, 2)), rng.uniform(0.1, 0.4, (number, 2)), rng.integers(0, 3, (number, 1))], 1
        )
    return list(zip(images[:, ::-1], boxes[:, ::-1])) if backwards else list(zip(images, boxes))


def spread(strategy, values):
    """Give each replica its part of a batch."""
    bounds = np.cumsum([0, *PARTS[strategy.num_replicas_in_sync]])

    def of_replica(context):
        number = context.replica_id_in_sync_group
        return tf.constant(values[bounds[number] : bounds[number + 1]])

    return strategy.experimental_distribute_values_from_function(of_replica)


def trained(strategy, *, backwards=False, architecture="tiny", rate=1e-4, **settings):
    """Train for five steps; return (learned weights, statistics, inference weights, terms of the last step)."""
    keras.utils.set_random_seed(0)
    config = TrainConfig(**{"precision": "float32", "ema": 0.0, "input_size": (SIDE, SIDE), **settings})
    with strategy.scope():
        trainer = Trainer(config, ARCHITECTURES[architecture](), steps=100)
    if config.precision == "float16":
        trainer.optimizer.dynamic_scale.assign(128.0)  # that no gradient overflows

    for images, boxes in batches(backwards):
        terms = trainer.train_step(spread(strategy, images), spread(strategy, boxes), rate)
    trainer.update_inference_network()
    learned = [variable.numpy() for variable in trainer.network.trainable_variables]
    statistics = [variable.numpy() for variable in trainer.network.non_trainable_variables]
    return {
        "learned": learned,
        "statistics": statistics,
        "inference": trainer.inference_network.get_weights(),
        "terms": [terms[name].numpy() for name in sorted(terms)],
    }


def apart(ours, theirs) -> dict[str, float]:
    """Return the largest difference of each part, relative to values above 1."""
    return {
        part: max(float((np.abs(a - b) / np.maximum(np.abs(b), 1)).max()) for a, b in zip(ours[part], theirs[part]))
        for part in ours
    }


def main(names) -> None:
    slim()
    two, one = build_strategy("cpu:2"), tf.distribute.get_strategy()
    tf.config.run_functions_eagerly(True)  # a few steps are done sooner than graphs are built
    for name in names or CASES:
        alone, together = trained(one, **CASES[name]), trained(two, **CASES[name])
        rounding = apart(trained(one, backwards=True, **CASES[name]), alone)
        print(json.dumps({"case": name, "apart": apart(together, alone), "rounding": rounding}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
