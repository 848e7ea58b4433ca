"""Time and peak memory of targets and loss, and of a whole step, as objects, batches and images grow; start-up time.

    python benchmarks/bench_cost.py loss      # 1, 20, 100, 300 objects per image, batches of 1, 8, 64
    python benchmarks/bench_cost.py step      # peak memory of a training step by batch and input size
    python benchmarks/bench_cost.py start     # seconds until each command has printed its help

Each case runs in a process of its own, so that its peak memory is its own; what the process holds before the first
call is listed separately. Times are medians.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from yolo3.cli.main import COMMANDS

LOSS_CASES = [(batch, objects) for batch in (1, 8, 64) for objects in (1, 20, 100, 300)]
STEP_CASES = [(batch, side) for side in (320, 416, 608) for batch in (1, 8, 16)]


def peak_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(part: str, model: str, batch_size: int, number: int) -> dict:
    """Return seconds and memory of one case: ``number`` is that of objects, or the side of the input."""
    import numpy as np
    import tensorflow as tf

    from yolo3.training.benchmark import Workload, loss_alone, take_turns
    from yolo3.training.settings import TrainConfig
    from yolo3.training.step import Trainer

    side = 416 if part == "loss" else number
    objects = number if part == "loss" else 20
    work = Workload(model, batch_size=batch_size, input_size=(side, side))
    config = TrainConfig(anchors="default", input_size=work.input_size)
    trainer = Trainer(config, work.architecture(), 1000)
    rng = np.random.default_rng(0)
    boxes = rng.random((batch_size, objects, 5), np.float32)
    boxes[..., 2:4] = 0.02 + 0.2 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, work.num_classes, boxes.shape[:2])
    boxes = tf.constant(boxes)
    images = tf.zeros((batch_size, side, side, 3))
    if part == "loss":
        call = loss_alone(trainer, work, images, boxes)
    else:
        call = lambda: float(trainer.train_step(images, boxes, 1e-6)["objectness"])  # noqa: E731
    before = peak_mb()
    seconds = take_turns({"case": call}, 5)["case"]
    return {"milliseconds": 1000 * statistics.median(seconds), "before_mb": before, "peak_mb": peak_mb()}


def print_starts(json_path: str | None) -> None:
    """Print how long `yolo3 --help` and the help of each command take, as processes of their own."""

    def start(words: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "yolo3", *words, "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    calls: list[list[str]] = [[], *([name] for name in COMMANDS)]
    seconds = [[start(words) for words in calls] for _ in range(6)][1:]  # the first fills the disk's cache
    rows = []
    print("| command | s | smallest | largest |\n|---|---|---|---|")
    for words, each in zip(calls, zip(*seconds)):
        rows.append({"command": " ".join(["yolo3", *words]), "seconds": statistics.median(each)})
        print(f"| {rows[-1]['command']} | {statistics.median(each):.2f} | {min(each):.2f} | {max(each):.2f} |")
    write_json(json_path, rows)


def write_json(path: str | None, rows: list[dict]) -> None:
    """Write the rows of a table, where a path is given."""
    if path:
        Path(path).write_text(json.dumps(rows, indent=2) + "\n")


def main(argv=None) -> int:
    """Run all cases of a part and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("loss", "step", "start"))
    parser.add_argument("--model", default="yolov3-tiny", choices=("yolov3", "yolov3-tiny"))
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--case", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.case:
        print(json.dumps(measure(arguments.part, arguments.model, *arguments.case)))
        return 0
    if arguments.part == "start":
        print_starts(arguments.json)
        return 0
    rows = []
    second = "objects" if arguments.part == "loss" else "input"
    print(f"| batch | {second} | ms | peak MB | more than before MB |\n|---|---|---|---|---|")
    for case in LOSS_CASES if arguments.part == "loss" else STEP_CASES:
        command = [sys.executable, __file__, arguments.part, "--model", arguments.model, "--case", *map(str, case)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        rows.append({"batch": case[0], second: case[1], **result})
        more = result["peak_mb"] - result["before_mb"]
        figures = f"{result['milliseconds']:.1f} | {result['peak_mb']:.0f} | {more:.0f}"
        print(f"| {case[0]} | {case[1]} | {figures} |", flush=True)
    write_json(arguments.json, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
