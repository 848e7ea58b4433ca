"""Images per second from JPEG files of 640 x 480 to augmented batches of 416: ours, and OpenCV in a plain loop.

    python benchmarks/bench_input.py --cores 1 --mosaic 0
    python benchmarks/bench_input.py --cores 2 --mosaic 1

The loop is what most trainers do, in one thread at OpenCV's full speed: decode, one warp for placement, flip and
jitter, HSV by lookup tables, conversion to float; four of these for a mosaic. Ours decodes an image once for all
mosaics of its block. Both take turns; figures are medians with the smallest and largest. `--cores N` binds the
process to N cores.
"""

import argparse
import itertools
import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

SIDE = 416
_EPOCHS = 8  # of our batches at a time, a few seconds: the start of an iterator counts too


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--mosaic", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--json", metavar="FILE")
    return parser


def warped(path: str, side: tuple[int, int], rng) -> np.ndarray:
    """Return an image at a random place on a canvas (height, width), flipped half of the time."""
    image = cv2.imread(path)
    height, width = image.shape[:2]
    scale = min(side[0] / height, side[1] / width) * rng.uniform(0.8, 1.2)

    scale_x, scale_y = scale * rng.uniform(0.85, 1.15), scale * rng.uniform(0.85, 1.15)
    left, top = rng.uniform() * (side[1] - width * scale_x), rng.uniform() * (side[0] - height * scale_y)
    if rng.uniform() < 0.5:
        left, scale_x = left + width * scale_x, -scale_x
    matrix = np.array([[scale_x, 0, left], [0, scale_y, top]])
    return cv2.warpAffine(image, matrix, (side[1], side[0]), borderValue=(128, 128, 128))


def coloured(image: np.ndarray, rng) -> np.ndarray:
    """Return an image with hue, saturation and value changed by lookup tables."""
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    steps = np.arange(256)
    tables = ((steps + rng.uniform(-18, 18)) % 180, steps * rng.uniform(0.67, 1.5), steps * rng.uniform(0.67, 1.5))
    tables = [np.clip(table, 0, 255).astype(np.uint8) for table in tables]
    parts = (cv2.LUT(part, table) for part, table in zip((hue, saturation, value), tables))
    return cv2.cvtColor(cv2.merge(tuple(parts)), cv2.COLOR_HSV2RGB)


def one_example(paths, mosaic: float, rng) -> np.ndarray:
    """Return float32 [416, 416, 3] 0..1."""
    if rng.uniform() >= mosaic:
        canvas = warped(paths[rng.integers(len(paths))], (SIDE, SIDE), rng)
    else:
        x, y = rng.integers(int(0.3 * SIDE), int(0.7 * SIDE), 2)
        parts = [
            warped(paths[rng.integers(len(paths))], side, rng)
            for side in ((y, x), (y, SIDE - x), (SIDE - y, x), (SIDE - y, SIDE - x))
        ]
        canvas = np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])

    return coloured(canvas, rng).astype(np.float32) / 255


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    if hasattr(os, "sched_setaffinity"):  # before TensorFlow counts the cores
        os.sched_setaffinity(0, set(itertools.islice(os.sched_getaffinity(0), arguments.cores)))
    cv2.setNumThreads(1)
    from yolo3.input.batches import training_batches
    from yolo3.input.image_cache import open_images
    from yolo3.input.settings import Augmentation
    from yolo3.training.benchmark import rates, take_turns, write_jpegs

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        annotations = write_jpegs(Path(folder))
        paths = [annotation.image_path for annotation in annotations]
        store = open_images(annotations, largest_side=SIDE)
        policy, size = Augmentation(mosaic=arguments.mosaic), arguments.batch_size
        batches = training_batches(
            store,
            batch_size=size,
            input_shape=(SIDE, SIDE),
            stride=32,
            augmentation=policy,
            seed=0,
            epochs=range(_EPOCHS),
        )

        def our_batches() -> None:  # from start to end, so that nothing is prepared while the other one works
            for images, _, _ in batches:
                assert images.shape[1] == SIDE

        def plain_batch() -> np.ndarray:
            return np.stack([one_example(paths, arguments.mosaic, rng) for _ in range(size)])

        seconds = take_turns({"yolo3": our_batches, "OpenCV in a loop": plain_batch}, arguments.steps)
    images = {"yolo3": _EPOCHS * len(paths), "OpenCV in a loop": size}
    results = {name: rates(values, images[name]) for name, values in seconds.items()}
    print(f"{arguments.cores} cores, mosaic {arguments.mosaic:g}")
    for name, result in results.items():
        print("{:<20}{images_per_second:8.1f} img/s ({min:.1f} to {max:.1f})".format(name, **result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
