"""Time training steps, the input pipeline and detection on this machine, and say which of them is the bottleneck.

Each time is that of a whole call that hands its result back. What is compared takes turns, so that a machine that
changes speed slows all of it, and medians are taken.
"""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from yolo3.datasets.annotation import Annotation, Box, build_annotation
from yolo3.datasets.images import write_image
from yolo3.inference.detector import Detector
from yolo3.input.batches import training_batches
from yolo3.input.image_cache import open_images
from yolo3.input.settings import Augmentation
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.synthetic import synthetic_batch
from yolo3.training.workload import Workload

WARM_UP = 3  # turns that compile and fill caches, and do not count
_MATRIX_SIDE = 2048
_JPEG_SHAPE = (480, 640)  # (height, width) of the synthetic files
_NUM_JPEGS = 64
_AT_ONCE = 8  # batches of the input that are timed together
_ENOUGH = 1.2  # the input has to be faster than the step by this factor to keep out of its way


def take_turns(calls: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Time calls in turns, after a few turns that do not count.

    Args:
        calls: By name; in each turn all of them are made once.
        turns: That count.

    Returns:
        Seconds of each call, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + turns):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def rates(seconds: Sequence[float], images: int) -> dict:
    """Return the speed of calls that each handled `images` images.

    Returns:
        `images_per_second` (median), `min`, `max`, and `steps`, the number of calls.
    """
    each = [images / value for value in seconds]
    return {"images_per_second": statistics.median(each), "min": min(each), "max": max(each), "steps": len(each)}


def limit_in_words(step: dict, batches: dict) -> str:
    """Say whether the training step or the input is the bottleneck of a run, and what to change.

    Args:
        step: From `benchmark_step`.
        batches: From `benchmark_input`.
    """
    ratio = batches["images_per_second"] / step["images_per_second"]
    if ratio >= _ENOUGH:
        advice = "a smaller --input-size or network"
        if step["precision"] == "float32":
            advice += ", or --precision bfloat16 where the hardware supports it"
        return f"The training step is the bottleneck: the input is {ratio:.1f} times as fast. To speed up: {advice}."
    advice = "store smaller images (twice the network input is enough)"
    if not batches["cached"]:
        advice = f"--cache memory, or {advice}"
    return f"The input is the bottleneck: it is {ratio:.2f} times as fast as the training step. To speed up: {advice}."


# The training step


def benchmark_step(work: Workload) -> dict:
    """Time whole training steps (targets, forward, loss, backward, update) on one synthetic batch in memory.

    Args:
        work: Network, sizes and precision.

    Returns:
        `rates`; `precision`; `loss_share`, targets and loss with their gradient alone as a fraction of the step; and
        `matrix_gflops`, the rate of a large matrix product in the same minutes and precision.
    """
    architecture = work.architecture()
    config = TrainConfig(
        model=work.model,
        input_size=work.input_size,
        batch_size=work.batch_size,
        precision=work.precision,
    )
    trainer = Trainer(config, architecture, steps=1000)
    images, boxes = synthetic_batch(
        work.batch_size, work.input_size, num_classes=work.num_classes, rng=np.random.default_rng(0)
    )
    product, gflop = matrix_product("bfloat16" if trainer.precision == "bfloat16" else "float32")

    seconds = take_turns(
        {
            "step": lambda: float(trainer.train_step(images, boxes, 1e-6)[architecture.terms[0]]),
            "loss": loss_alone(trainer, work, images, boxes),
            "matrix": product,
        },
        work.steps,
    )
    return rates(seconds["step"], work.batch_size) | {
        "precision": trainer.precision,
        "loss_share": statistics.median(seconds["loss"]) / statistics.median(seconds["step"]),
        "matrix_gflops": gflop / statistics.median(seconds["matrix"]),
    }


def loss_alone(trainer: Trainer, work: Workload, images, boxes) -> Callable[[], object]:
    """Return a call of targets and loss with their gradient, for given outputs of the network.

    Args:
        trainer: Its architecture and compiled loss are used.
        work: Size of the input.
        images: float32 [B, H, W, 3]; only the shape counts.
        boxes: float32 [B, T, 5].
    """
    shapes = trainer.inference_network.compute_output_shape(tuple(images.shape))
    shapes = shapes if isinstance(shapes, list) else [shapes]
    outputs = [tf.Variable(tf.random.normal(shape, stddev=0.1)) for shape in shapes]

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            terms = trainer.terms_of([part.value() for part in outputs], work.input_size, boxes)
            loss = sum(terms[name] for name in trainer.architecture.terms)
        return tape.gradient(loss, outputs)

    return lambda: gradients()[-1].numpy()


def matrix_product(dtype: str) -> tuple[Callable[[], object], float]:
    """Return (call, GFLOP of a call) of a large matrix product, which shows what the machine can do.

    Args:
        dtype: Such as "float32".
    """
    a, b = (tf.cast(tf.random.normal((_MATRIX_SIDE, _MATRIX_SIDE)), dtype) for _ in range(2))
    product = tf.function(lambda: tf.reduce_sum(a @ b), autograph=False)
    return lambda: product().numpy(), 2 * _MATRIX_SIDE**3 / 1e9


# The input


def benchmark_input(
    annotations: Sequence[Annotation],
    work: Workload,
    *,
    cache: str = "none",
    workers: int = 0,
    augmentation: Augmentation | None = None,
) -> dict:
    """Time augmented batches, made from files or from decoded images that are kept.

    Args:
        annotations: Images and their boxes.
        work: Sizes.
        cache: Where decoded images are kept, see `yolo3.input.image_cache.open_images`.
        workers: Data-loading threads (0 = auto).
        augmentation: By default that of training.

    Returns:
        `rates` of eight batches at a time, which are prepared ahead, and `cached`, whether decoded images were kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = open_images(annotations, largest_side=max(work.input_size), cache=cache, folder=folder)
        batches: Iterator = iter(
            training_batches(
                store,
                batch_size=work.batch_size,
                input_shape=work.input_size,
                stride=work.architecture().stride,
                augmentation=augmentation or Augmentation(),
                seed=0,
                epochs=range(10**9),
                workers=workers,
            )
        )
        seconds = take_turns({"input": lambda: [next(batches)[0].shape for _ in range(_AT_ONCE)]}, work.steps)
    return rates(seconds["input"], _AT_ONCE * work.batch_size) | {"cached": store.kept != "none"}


def write_jpegs(folder: Path, count: int = _NUM_JPEGS) -> list[Annotation]:
    """Write JPEG files of 640 x 480 pixels that compress as photographs do, with five boxes each.

    Args:
        folder: Where to.
        count: Number of files.
    """
    height, width = _JPEG_SHAPE
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(count):
        coarse = [cv2.resize(rng.normal(0, 1, (side, side, 3)), (width, height)) for side in (4, 16, 64, 256)]
        pixels = 128 + sum(part * weight for part, weight in zip(coarse, (40, 20, 12, 8)))
        path = folder / f"{number:04d}.jpg"
        write_image(path, np.clip(pixels, 0, 255).astype(np.uint8))

        corners = rng.uniform((0, 0), (width * 0.7, height * 0.7), (5, 2))
        boxes = [Box((x, y, x + 0.25 * width, y + 0.25 * height), 0) for x, y in corners]
        annotations.append(build_annotation(str(path), boxes, str(path), _JPEG_SHAPE))
    return annotations


# Detection


def benchmark_inference(detector: Detector, batch_sizes: Sequence[int], steps: int) -> dict:
    """Time detection on images in memory: network, decoding and suppression, boxes in pixels out.

    Args:
        detector: Its own batch size is at least the largest of `batch_sizes`.
        batch_sizes: Numbers of images in a call.
        steps: Calls of each size that count.

    Returns:
        `rates` for each batch size, under its number as a string.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (max(batch_sizes), *detector.input_shape, 3), np.uint8)
    calls = {str(size): functools.partial(detector, images[:size]) for size in batch_sizes}
    seconds = take_turns(calls, steps)
    return {name: rates(values, int(name)) for name, values in seconds.items()}


def random_detector(work: Workload, **options) -> Detector:
    """Return a detector with random weights, which is as fast as a trained one except for suppression.

    Args:
        work: Network and sizes.
        **options: Of `yolo3.inference.detector.Detector`.
    """
    architecture = work.architecture()
    network = architecture.build_network((*work.input_size, 3) if architecture.fixed_size else (None, None, 3))
    if architecture.one_class:
        names = [architecture.one_class]
    else:
        names = [f"class {index}" for index in range(architecture.num_classes)]
    metadata = {**architecture.metadata(), "class_names": names, "input_shape": work.input_size}
    return Detector(network, metadata, **options)
