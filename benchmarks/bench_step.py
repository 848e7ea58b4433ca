"""Images per second of the training step, and the share of it that targets and loss take.

    python benchmarks/bench_step.py --model yolov3-tiny --batch-size 8 --input-size 416 416 --num-classes 80

Synthetic pictures, 20 boxes each. After a burn-in, steps of all precisions asked for take turns, so that a machine that
changes speed slows all of them; medians, smallest and largest are printed as JSON, one object a precision.
"""

import argparse
import json
import statistics
import time

import numpy as np
import tensorflow as tf

from yolo3.anchors import default_anchors
from yolo3.config import TrainConfig
from yolo3.trainer import Trainer
from yolo3.yolov3 import named_yolov3

_BOXES = 20


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3-tiny", choices=("yolov3", "yolov3-tiny", "yolov3-spp"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--input-size", type=int, nargs=2, default=(416, 416), metavar=("H", "W"))
    parser.add_argument("--num-classes", type=int, default=80)
    parser.add_argument("--precision", nargs="+", default=("float32", "bfloat16"))
    parser.add_argument("--steps", type=int, default=10)
    return parser


def synthetic_batch(arguments, rng):
    """Return (images, boxes) of random content."""
    images = rng.random((arguments.batch_size, *arguments.input_size, 3), np.float32)
    boxes = rng.random((arguments.batch_size, _BOXES, 5), np.float32)
    boxes[..., 2:4] = 0.05 + 0.4 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, arguments.num_classes, boxes.shape[:2])
    return tf.constant(images), tf.constant(boxes)


def build_steps(arguments, precision: str):
    """Return (whole step, targets and loss with their gradient alone) as functions of a batch."""
    anchors = default_anchors(6 if arguments.model == "yolov3-tiny" else 9)
    family = named_yolov3(arguments.model, arguments.num_classes, anchors)
    config = TrainConfig(anchors="default", input_size=tuple(arguments.input_size), precision=precision)
    trainer = Trainer(config, family, 1000)
    outputs = [tf.Variable(part) for part in trainer.plain(tf.zeros((arguments.batch_size, *arguments.input_size, 3)))]

    @tf.function(autograph=False)
    def loss_alone(boxes):
        with tf.GradientTape() as tape:
            terms = trainer.batch_terms([part.value() for part in outputs], tuple(arguments.input_size), boxes)
            loss = sum(terms[name] for name in family.terms)
        return tape.gradient(loss, outputs)

    return (lambda images, boxes: float(trainer.train_step(images, boxes, 1e-4)["xy"])), loss_alone


def main(argv=None) -> int:
    """Run the benchmark and print its results."""
    arguments = build_parser().parse_args(argv)
    images, boxes = synthetic_batch(arguments, np.random.default_rng(0))
    steps = {precision: build_steps(arguments, precision) for precision in arguments.precision}
    seconds = {precision: ([], []) for precision in steps}
    for turn in range(arguments.steps + 2):
        for precision, (step, loss_alone) in steps.items():
            start = time.perf_counter()
            step(images, boxes)
            middle = time.perf_counter()
            loss_alone(boxes)[0].numpy()
            if turn >= 2:
                seconds[precision][0].append(middle - start)
                seconds[precision][1].append(time.perf_counter() - middle)
    for precision, (whole, loss) in seconds.items():
        rate = [arguments.batch_size / value for value in whole]
        result = {"precision": precision, "images_per_second": statistics.median(rate), "min": min(rate)}
        result |= {"max": max(rate), "steps": len(rate)}
        result["loss_share"] = statistics.median(loss) / statistics.median(whole)
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
