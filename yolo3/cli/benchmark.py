"""``yolo3 benchmark``: images per second of training steps, input and detection, and which of them limits a run."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo3.cli.findings import add_findings_option
from yolo3.cli.options import add_settings
from yolo3.cli.running import run_command
from yolo3.datasets.check_findings import check_findings
from yolo3.datasets.pixel_limit import limit_pixels
from yolo3.models.published import is_published_name
from yolo3.outputs import check_outputs
from yolo3.precision import PRECISIONS
from yolo3.startup import start_tensorflow
from yolo3.training.settings import TrainConfig
from yolo3.training.workload import Workload

PARTS = ("step", "input", "inference")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 benchmark``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 benchmark",
        description="Time training steps (synthetic images), input (JPEG files to augmented batches) and detection.",
    )

    parser.add_argument("part", nargs="?", choices=PARTS, help="what to time (default: all three)")
    add_settings(parser, Workload, ["model", "batch_size", "input_size", "num_classes"])
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="numeric precision (default: auto for the step, float32 for detection)"
    )
    add_settings(parser, Workload, ["steps"])
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="annotated images to time the input with (default: synthetic images)",
    )
    add_settings(parser, TrainConfig, ["cache", "workers", "max_pixels"], cache="none")
    parser.add_argument(
        "--weights", metavar="FILE", help="network to detect with (default: --model with random weights)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_findings_option(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 benchmark", lambda: _benchmark(arguments))


def _benchmark(arguments: argparse.Namespace) -> int:
    limit_pixels(arguments.max_pixels)
    weights = None if is_published_name(arguments.weights or "") else arguments.weights
    for path in filter(None, (arguments.data, weights)):
        os.stat(path)
    check_outputs(arguments.findings)
    parts = [arguments.part] if arguments.part else PARTS
    if arguments.precision == "float16" and "inference" in parts:
        raise ValueError("--precision float16: expected `step` or `input` with it; detection does not support float16")
    work = Workload(
        model=arguments.model,
        num_classes=arguments.num_classes,
        input_size=tuple(arguments.input_size),
        batch_size=arguments.batch_size,
        precision=arguments.precision or Workload.precision,
        steps=arguments.steps,
    )

    start_tensorflow()
    from yolo3.training.benchmark import benchmark_step, limit_in_words

    time_part = {
        "step": lambda: benchmark_step(work),
        "input": lambda: _time_input(work, arguments),
        "inference": lambda: _time_inference(work, arguments),
    }
    results = {}
    for part in parts:
        results[part] = time_part[part]()
        if not arguments.json:
            print(_in_words(part, results[part]), flush=True)
    if arguments.json:
        print(json.dumps(results[arguments.part] if arguments.part else results))
    elif not arguments.part:
        print(limit_in_words(results["step"], results["input"]))
    return 0


def _time_input(work: Workload, arguments: argparse.Namespace) -> dict:
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.training.benchmark import benchmark_input, write_jpegs

    options = {"cache": arguments.cache, "workers": arguments.workers}
    if arguments.data:
        dataset = read_dataset(arguments.data)
        check_findings(dataset, arguments.data, arguments.findings)
        return benchmark_input(dataset.annotations, work, **options)
    with tempfile.TemporaryDirectory() as folder:
        return benchmark_input(write_jpegs(Path(folder)), work, **options)


def _time_inference(work: Workload, arguments: argparse.Namespace) -> dict:
    from yolo3.inference.loading import load_detector
    from yolo3.inference.settings import DetectorSettings
    from yolo3.training.benchmark import benchmark_inference, random_detector

    options: dict[str, Any] = {
        "batch_size": work.batch_size,
        "precision": arguments.precision or DetectorSettings.precision,
    }
    if arguments.weights:
        detector = load_detector(arguments.weights, **options)
    else:
        detector = random_detector(work, **options)
    by_size = benchmark_inference(detector, sorted({1, work.batch_size}), work.steps)
    return by_size[str(work.batch_size)] | {"precision": detector.precision, "by_batch_size": by_size}


def _in_words(part: str, result: dict) -> str:
    line = f"{part:<10}{result['images_per_second']:8.1f} img/s ({result['min']:.1f} to {result['max']:.1f})"
    if part == "step":
        line += f"  {result['precision']}, targets and loss {result['loss_share']:.0%} of it; "
        line += f"a large matrix product: {result['matrix_gflops']:.0f} GFLOP/s"
    elif part == "input":
        line += "  decoded images kept" if result["cached"] else "  images decoded each time"
    else:
        sizes = result["by_batch_size"].items()
        rates = ", ".join(f"{rate['images_per_second']:.1f} in batches of {size}" for size, rate in sizes)
        line += f"  {result['precision']}, {rates}"
    return line


if __name__ == "__main__":
    sys.exit(main())
