"""Seconds and memory from a COCO data set to the first training step: first start, second start, and evaluation.

    python benchmarks/bench_dataset.py --images 1000 10000 118000 --folder /tmp/bench-dataset --json table.json

The data is synthetic: `train2017/*.jpg`, 640x480 pixels, about 40 KB (160 KB, COCO's mean, with `--large`); and
`annotations/instances_train2017.json` with COCO's mean of 7.3 boxes an image and a polygon of 22 points a box. No two
images look alike: each is put together from rows of blocks of a few templates, which is quick because rows between
JPEG's restart markers can be exchanged without decoding. Each start is a process of its own, in which every phase of
the command is timed, in seconds that pass and (`cpu`) seconds of the processor; files come from the system's cache, as
they do after they were written. Memory is the process's peak above what it holds after its imports.
"""

import argparse
import contextlib
import functools
import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

BOXES = 7.3  # an image, on average, as in COCO's train2017
CLASSES = 80
_POINTS = 22  # of a polygon
_TEMPLATES = 16
_FRESH = 3.0  # seconds after which the cache trusts the time of a file that was just written
_BLOCK = 16  # pixels of a block of JPEG with halved colours, whose rows end with a restart marker


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 118_000], metavar="N")
    parser.add_argument("--folder", metavar="DIR", help="where the data is made (default: a temporary folder)")
    parser.add_argument(
        "--small",
        action="store_true",
        help="images of 160x128 pixels and 4 KB: enough for the second start and for memory, which they do not change",
    )
    parser.add_argument("--large", action="store_true", help="files of 160 KB, COCO's mean, in place of 40 KB")
    parser.add_argument("--starts", nargs="+", default=["first", "second", "evaluate"], metavar="START")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--measure", choices=["train", "evaluate"], help=argparse.SUPPRESS)
    return parser


def write_coco(folder: Path, num_images: int, size: str = "", seed: int = 0) -> None:
    """Write the synthetic data set; the same seed gives the same files.

    Args:
        folder: The folder to create.
        num_images: Number of images.
        size: "small", "large" or "" of the images.
        seed: Of all random numbers.
    """
    rng = np.random.default_rng(seed)
    height, width = shape = (128, 160) if size == "small" else (480, 640)
    num_bytes = {"small": 4_000, "": 40_000, "large": 160_000}[size]
    templates = [_template(rng, shape, num_bytes) for _ in range(_TEMPLATES)]
    images, annotations = folder / "train2017", folder / "annotations"
    images.mkdir(parents=True)
    annotations.mkdir()

    with open(annotations / "instances_train2017.json", "w") as file:
        file.write('{"info": {"description": "synthetic"}, "licenses": [], "images": [')
        for number in range(num_images):
            name = f"{number:012d}.jpg"
            (images / name).write_bytes(_mixed(templates, rng))
            entry = {
                "license": 3,
                "file_name": name,
                "coco_url": f"http://images.example.org/train2017/{name}",
                "height": height,
                "width": width,
                "date_captured": "2013-11-14 11:18:45",
                "flickr_url": f"http://farm9.example.org/8186/{number}_z.jpg",
                "id": number,
            }
            file.write((", " if number else "") + json.dumps(entry))

        file.write('], "annotations": [')
        for number in range(round(BOXES * num_images)):
            sides = np.exp(rng.uniform(np.log(8), np.log(height / 2), 2))
            x, y = (rng.uniform(0, 1, 2) * ((width, height) - sides)).round(2).tolist()
            w, h = sides.round(2).tolist()
            points = (rng.uniform(0, 1, (_POINTS, 2)) * (w, h) + (x, y)).round(2).ravel().tolist()
            entry = {
                "segmentation": [points],
                "area": round(w * h, 2),
                "iscrowd": 0,
                "image_id": int(rng.integers(num_images)),
                "bbox": [x, y, w, h],
                "category_id": int(rng.integers(CLASSES)) + 1,
                "id": number,
            }
            file.write((", " if number else "") + json.dumps(entry))
        categories = [
            {"supercategory": "thing", "id": number + 1, "name": f"class{number}"} for number in range(CLASSES)
        ]
        file.write('], "categories": ' + json.dumps(categories) + "}")


def _template(rng: np.random.Generator, shape: tuple[int, int], size: int) -> tuple[bytes, list[bytes]]:
    """Return (header, coded rows of blocks) of a JPEG of about `size` bytes: blurred and fine noise."""
    height, width = shape
    coarse = cv2.resize(
        rng.uniform(0, 255, (12, 16, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 0.8)
    low, high = 0.0, 120.0
    for _ in range(8):
        strength = (low + high) / 2
        pixels = np.clip(coarse + fine * strength, 0, 255).astype(np.uint8)
        options = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, width // _BLOCK]
        content = cv2.imencode(".jpg", pixels, options)[1].tobytes()
        low, high = (strength, high) if len(content) < size else (low, strength)

    scan = content.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")
    return content[:start], re.split(rb"\xff[\xd0-\xd7]", content[start:-2])


def _mixed(templates: list[tuple[bytes, list[bytes]]], rng: np.random.Generator) -> bytes:
    """Return a JPEG whose rows of blocks are those of templates drawn at random."""
    header, rows = templates[0]
    drawn = rng.integers(len(templates), size=len(rows))
    parts = [templates[template][1][place] for template, place in zip(drawn.tolist(), rng.permutation(len(rows)))]
    coded = [part + bytes([0xFF, 0xD0 + number % 8]) for number, part in enumerate(parts[:-1])]
    return header + b"".join(coded) + parts[-1] + b"\xff\xd9"


def measure(folder: str, evaluate: bool) -> dict[str, float]:
    """Run the part of a command that comes before its first step, and return seconds by phase, and memory."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from yolo3.api import whole_evaluation
    from yolo3.file_states import one_look
    from yolo3.input import image_cache
    from yolo3.training import preparation
    from yolo3.training.settings import TrainConfig

    seconds: dict[str, float] = {}

    def timed(module, name: str, phase: str) -> None:
        function = getattr(module, name)

        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start

        setattr(module, name, call)

    registry = importlib.import_module("yolo3.datasets.formats.registry")
    timed(whole_evaluation if evaluate else registry, "read_dataset", "read")
    timed(whole_evaluation if evaluate else preparation, "check_dataset", "check")
    if not evaluate:
        timed(preparation, "check_anchor_fit", "fit")
        timed(preparation, "known_groups", "groups")

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    if evaluate:
        from types import SimpleNamespace

        request = whole_evaluation.Request(weights="x.h5", data=folder, skip_bad=True)
        names = [f"class{number}" for number in range(CLASSES)]
        detector = SimpleNamespace(class_names=names, network=SimpleNamespace(one_class=""))
        bar = functools.partial(contextlib.nullcontext, lambda done, total: None)
        dataset, _ = whole_evaluation._read_checked(request, detector, None, warn=len, data_bar=bar)
        annotations = dataset.annotations
    else:
        config = TrainConfig(data=folder, anchors="model_data/yolo_anchors.txt")
        with one_look():  # as the command does
            prepared = preparation.prepare(config)
        image_cache.open_images(prepared.train, largest_side=416)
        annotations = prepared.train + prepared.val
    total, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    boxes = sum(len(annotation.boxes) for annotation in annotations)
    parts = {name: round(value, 2) for name, value in seconds.items()}
    rest = round(total - sum(seconds.values()), 2)
    memory = {"peak_mb": round((peak - held) / 1024, 1), "bytes_a_box": round((peak - held) * 1024 / max(boxes, 1))}
    return {**parts, "rest": rest, "total": round(total, 2), "cpu": round(cpu, 2), **memory}


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    if arguments.measure:
        print(json.dumps(measure(arguments.folder, arguments.measure == "evaluate")))
        return 0

    with tempfile.TemporaryDirectory() as temporary:
        results = {}
        for count in arguments.images:
            size = "small" if arguments.small else "large" if arguments.large else ""
            folder = Path(arguments.folder or temporary) / f"coco-{count}{size}"
            if not folder.exists():
                write_coco(folder, count, size)
                time.sleep(_FRESH)
            for start in arguments.starts:
                command = [sys.executable, __file__, "--folder", str(folder), "--measure"]
                command.append("evaluate" if start == "evaluate" else "train")
                begin = time.perf_counter()
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                result = json.loads(output.splitlines()[-1])
                results[f"{count} {start}"] = result | {"process": round(time.perf_counter() - begin, 2)}
                print(
                    f"{count:>8} {start:<9}", *(f"{key} {value}" for key, value in results[f"{count} {start}"].items())
                )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
