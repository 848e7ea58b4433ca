"""Images per second of whole training steps: ours, stock Keras layers, and plain PyTorch, in turns.

    python benchmarks/bench_step.py --model yolov3-tiny --batch-size 8 --input-size 416 416 --num-classes 80

A step is forward, loss, backward and update on synthetic images of 20 boxes each. The convolutions alone (forward,
and the gradients of inputs and kernels) and a large matrix product show what the machine can do. All take turns, so
that a machine whose speed varies slows all of them; figures are medians with the smallest and largest. PyTorch's rows
need `pip install torch`.
"""

import argparse
import importlib.util
import json
import statistics
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from flops import training_flop

from yolo3.precision import POLICIES, dtype_policy
from yolo3.training.benchmark import WARM_UP, Workload, matrix_product, rates, take_turns
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.synthetic import synthetic_batch


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3-tiny", choices=("yolov3", "yolov3-tiny"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--input-size", type=int, nargs=2, default=(416, 416), metavar=("H", "W"))
    parser.add_argument("--num-classes", type=int, default=80)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only rows whose name contains one of these words")
    parser.add_argument("--json", metavar="FILE")
    return parser


def our_step(work: Workload, precision: str, images, boxes):
    """Return a call of the training step as `yolo3 train` makes it, averaged weights included."""
    architecture = work.architecture()
    config = TrainConfig(anchors="default", model=work.model, input_size=work.input_size, precision=precision)
    trainer = Trainer(config, architecture, steps=1000)
    return lambda: float(trainer.train_step(images, boxes, 1e-6)["objectness"])


def stock_step(work: Workload, precision: str, images, boxes):
    """Return a call of the step that Keras' own layers and optimizer make with the same network and loss."""
    architecture = work.architecture()
    with dtype_policy(POLICIES[precision]):
        network = architecture.build_network((*work.input_size, 3))
    optimizer = keras.optimizers.Adam(1e-6)
    optimizer.build(network.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            targets = architecture.build_targets(boxes, work.input_size)
            terms = architecture.loss_terms(outputs, targets, work.input_size)
            loss = sum(terms[name] for name in architecture.terms)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    return lambda: float(step())


def convolutions_alone(work: Workload, precision: str):
    """Return (call, GFLOP of a call): every convolution of the network with both gradients, and nothing else."""
    network = work.architecture().build_network((*work.input_size, 3))
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    cases = []
    for number, layer in enumerate(layers):
        shape_in, shape_out = ((work.batch_size, *tensor.shape[1:]) for tensor in (layer.input, layer.output))
        x, kernel, dy = (
            tf.cast(tf.random.normal(shape), precision) for shape in (shape_in, layer.kernel.shape, shape_out)
        )
        options = {"strides": [1, *layer.strides, 1], "padding": layer.padding.upper()}
        cases.append((x, kernel, dy, options, number == 0))

    @tf.function(autograph=False)
    def run():
        total = 0.0
        for x, kernel, dy, options, is_first in cases:
            parts = [
                tf.nn.conv2d(x, kernel, **options),
                tf.raw_ops.Conv2DBackpropFilter(
                    input=x,
                    filter_sizes=kernel.shape,
                    out_backprop=dy,
                    strides=options["strides"],
                    padding=options["padding"],
                ),
            ]
            if not is_first:  # the images need no gradient
                parts.append(
                    tf.raw_ops.Conv2DBackpropInput(
                        input_sizes=x.shape,
                        filter=kernel,
                        out_backprop=dy,
                        strides=options["strides"],
                        padding=options["padding"],
                    )
                )
            total += sum(tf.cast(tf.reshape(part, [-1])[0], tf.float32) for part in parts)
        return total

    return lambda: float(run()), training_flop(layers, work.batch_size) / 1e9


def torch_steps(work: Workload, images, boxes) -> dict:
    """Return the calls of PyTorch; none if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch_yolov3 import build_step

    planes = torch.from_numpy(images.numpy()).permute(0, 3, 1, 2).contiguous()
    rows = torch.from_numpy(boxes.numpy())
    steps = {
        f"PyTorch {precision}{', channels_last' if channels_last else ''}": build_step(
            work.model,
            input_size=work.input_size,
            num_classes=work.num_classes,
            bfloat16=precision == "bfloat16",
            channels_last=channels_last,
        )
        for precision in ("float32", "bfloat16")
        for channels_last in (False, True)
    }
    return {name: lambda step=step: float(step(planes, rows)) for name, step in steps.items()}


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    work = Workload(
        arguments.model, arguments.num_classes, tuple(arguments.input_size), arguments.batch_size, steps=arguments.steps
    )
    images, boxes = synthetic_batch(
        work.batch_size, work.input_size, num_classes=work.num_classes, rng=np.random.default_rng(0)
    )
    calls, gflop = {}, {}
    for precision in ("bfloat16", "float32"):
        calls[f"yolo3 {precision}"] = our_step(work, precision, images, boxes)
        calls[f"stock Keras {precision}"] = stock_step(work, precision, images, boxes)
        name = f"convolutions alone {precision}"
        calls[name], gflop[name] = convolutions_alone(work, precision)
        name = f"matrix product {precision}"
        calls[name], gflop[name] = matrix_product(precision)
    calls |= torch_steps(work, images, boxes)
    if arguments.only:
        calls = {name: call for name, call in calls.items() if any(word in name for word in arguments.only)}
    seconds = take_turns(calls, arguments.steps)
    results = {}
    for name, values in seconds.items():
        if name in gflop:
            results[name] = {"gflops": gflop[name] / statistics.median(values)}
        if "matrix" not in name:
            results[name] = rates(values, work.batch_size) | results.get(name, {})
    print(f"{work.model}, batch {work.batch_size}, {work.input_size}; {arguments.steps} turns after {WARM_UP}")
    for name, result in results.items():
        rate = "{images_per_second:8.2f} img/s ({min:.2f} to {max:.2f})".format(**result) if "min" in result else ""
        print(f"{name:<34}{rate}" + (f"  {result['gflops']:.0f} GFLOP/s" if "gflops" in result else ""))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
