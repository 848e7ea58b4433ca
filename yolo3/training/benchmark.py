"""How fast training steps, the input and detection are on this machine, and which of them limits a run.

All times are of whole calls that hand their result back. What is compared takes turns, so that a machine that changes
speed slows all of it; medians count.
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
from yolo3.models.registry import reads_anchors
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.workload import Workload

BURN_IN = 3  # calls that compile, fill caches and do not count
_BOXES = 20  # in a synthetic image
_MATRIX_SIDE = 2048
_PHOTOGRAPH = (480, 640)  # (height, width) of the synthetic files
_PHOTOGRAPHS = 64
_AT_ONCE = 8  # batches of the input that are timed together
_ENOUGH = 1.2  # the input has to be so much faster than the step to keep out of its way


def take_turns(calls: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Return the seconds of each of ``turns`` calls, all of them once a turn, after turns that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(BURN_IN + turns):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= BURN_IN:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def rates(seconds: Sequence[float], images: int) -> dict:
    """Return ``images_per_second`` (median), ``min``, ``max`` and ``steps`` of calls that each did ``images``."""
    each = [images / value for value in seconds]
    return {"images_per_second": statistics.median(each), "min": min(each), "max": max(each), "steps": len(each)}


def matrix_product(dtype: str) -> tuple[Callable[[], object], float]:
    """Return (call, GFLOP of a call): a large matrix product, which shows what the machine can do."""
    a, b = (tf.cast(tf.random.normal((_MATRIX_SIDE, _MATRIX_SIDE)), dtype) for _ in range(2))
    product = tf.function(lambda: tf.reduce_sum(a @ b), autograph=False)
    return lambda: product().numpy(), 2 * _MATRIX_SIDE**3 / 1e9


def benchmark_step(work: Workload) -> dict:
    """Time whole training steps (targets, forward, loss, backward, update) on one synthetic batch in memory.

    Returns :func:`rates`, ``precision``, ``loss_share`` (targets and loss with their gradient alone, as a share of the
    step) and ``matrix_gflops``, the rate of a large matrix product in the same minutes and precision.
    """
    architecture, seed = work.architecture(), 0
    config = TrainConfig(
        anchors="default" if reads_anchors(work.model) else None,
        model=work.model,
        input_size=work.input_size,
        batch_size=work.batch_size,
        precision=work.precision,
    )
    trainer = Trainer(config, architecture, steps=1000)
    images, boxes = synthetic_batch(work, np.random.default_rng(seed))
    product, gflop = matrix_product("bfloat16" if trainer.precision == "bfloat16" else "float32")
    seconds = take_turns(
        {
            "step": lambda: float(trainer.train_step(images, boxes, 1e-6)[architecture.terms[0]]),
            "loss": loss_alone(trainer, work, images, boxes),
            "matrix": product,
        },
        work.steps,
    )
    loss_share = statistics.median(seconds["loss"]) / statistics.median(seconds["step"])
    return rates(seconds["step"], work.batch_size) | {
        "precision": trainer.precision,
        "loss_share": loss_share,
        "matrix_gflops": gflop / statistics.median(seconds["matrix"]),
    }


def synthetic_batch(work: Workload, rng):
    """Return (images, boxes) of random content, 20 boxes an image."""
    images = rng.random((work.batch_size, *work.input_size, 3), np.float32)
    boxes = rng.random((work.batch_size, _BOXES, 5), np.float32)
    boxes[..., 2:4] = 0.05 + 0.4 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, work.num_classes, boxes.shape[:2])
    return tf.constant(images), tf.constant(boxes)


def loss_alone(trainer: Trainer, work: Workload, images, boxes) -> Callable[[], object]:
    """Return a call of targets and loss with their gradient to the outputs, for outputs that are given."""
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


def benchmark_input(
    annotations: Sequence[Annotation], work: Workload, cache: str = "none", workers: int = 0, policy=None
) -> dict:
    """Time batches from files on disk, or from decoded images that ``cache`` keeps, to augmented pixels.

    Returns :func:`rates` of eight batches at a time, which are prepared ahead, and ``cached``: whether decoded images
    were kept.
    """
    policy = policy or Augmentation()
    with tempfile.TemporaryDirectory() as folder:
        store = open_images(list(annotations), max(work.input_size), cache, folder)
        batches: Iterator = iter(
            training_batches(
                store,
                batch_size=work.batch_size,
                input_shape=work.input_size,
                stride=work.architecture().stride,
                augmentation=policy,
                seed=0,
                epochs=range(10**9),
                workers=workers,
            )
        )
        seconds = take_turns({"input": lambda: [next(batches)[0].shape for _ in range(_AT_ONCE)]}, work.steps)
    return rates(seconds["input"], _AT_ONCE * work.batch_size) | {"cached": store.kept != "none"}


def write_photographs(folder: Path, count: int = _PHOTOGRAPHS) -> list[Annotation]:
    """Write JPEG files of 640 x 480 pixels that compress as photographs do, with five boxes each."""
    height, width = _PHOTOGRAPH
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(count):
        coarse = [cv2.resize(rng.normal(0, 1, (side, side, 3)), (width, height)) for side in (4, 16, 64, 256)]
        pixels = 128 + sum(part * weight for part, weight in zip(coarse, (40, 20, 12, 8)))
        path = folder / f"{number:04d}.jpg"
        write_image(path, np.clip(pixels, 0, 255).astype(np.uint8))
        corners = rng.uniform((0, 0), (width * 0.7, height * 0.7), (5, 2))
        boxes = [Box((x, y, x + 0.25 * width, y + 0.25 * height), 0) for x, y in corners]
        annotations.append(build_annotation(str(path), boxes, str(path), _PHOTOGRAPH))
    return annotations


def benchmark_inference(detector: Detector, batch_sizes: Sequence[int], steps: int) -> dict:
    """Time detection on images in memory: network, decoding and suppression, boxes in pixels out.

    Returns :func:`rates` for each batch size, under its number; the detector's own is at least the largest of them.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (max(batch_sizes), *detector.input_shape, 3), np.uint8)
    calls = {str(size): functools.partial(detector, images[:size]) for size in batch_sizes}
    seconds = take_turns(calls, steps)
    return {name: rates(values, int(name)) for name, values in seconds.items()}


def random_detector(work: Workload, **options) -> Detector:
    """Return a detector with random weights: as fast as a trained one, but for suppression."""
    architecture = work.architecture()
    network = architecture.build_network((*work.input_size, 3) if architecture.fixed_size else (None, None, 3))
    names = (
        [architecture.one_class]
        if architecture.one_class
        else [f"class {index}" for index in range(architecture.num_classes)]
    )
    return Detector(
        network, {**architecture.metadata(), "class_names": names, "input_shape": work.input_size}, **options
    )


def limit_in_words(step: dict, batches: dict) -> str:
    """Return what limits a run of this step with this input, and what to change."""
    ratio = batches["images_per_second"] / step["images_per_second"]
    if ratio >= _ENOUGH:
        advice = "a smaller --input-size or network"
        if step["precision"] == "float32":
            advice += ", or --precision bfloat16 where the machine multiplies in it"
        return f"The step limits a run: the input is {ratio:.1f} times as fast. Faster would be {advice}."
    advice = "fewer pixels on disk (twice the network input is enough)"
    if not batches["cached"]:
        advice = f"--cache memory, or {advice}"
    return f"The input limits a run: it is {ratio:.2f} times as fast as the step. Faster would be {advice}."
