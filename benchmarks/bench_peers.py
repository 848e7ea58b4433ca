"""Images per second of a training step of other projects, each by its own code, beside ours.

    python benchmarks/bench_peers.py --model yolov3-tiny --batch-size 8 --python PEERS/bin/python \
        --zzh8829 yolov3-tf2/ --ultralytics

The peers are not part of this repository: --zzh8829 names a folder with the package `yolov3_tf2` of zzh8829/yolov3-tf2
(`pip download yolov3-tf2`), and --python an interpreter that has what they need (tensorflow, tf_keras, absl-py,
opencv-python and seaborn; or ultralytics). Each row is a process of its own, which makes a step when it is told to; all
take turns, and a loop that only the processor's speed decides runs between, so that a machine whose speed varies is
seen. Targets of the peers are made beforehand, ours within the step.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WARM_UP = 3  # turns that compile, and do not count
ROWS = {
    "yolo3": ("ours", {}),
    "yolo3, float32": ("ours", {"PRECISION": "float32"}),
    "zzh8829/yolov3-tf2": ("zzh8829", {}),
    "zzh8829/yolov3-tf2, bfloat16 by a graph option": ("zzh8829", {"BFLOAT16": "1"}),
    "ultralytics": ("ultralytics", {}),
    "ultralytics, bfloat16, channels_last": ("ultralytics", {"BFLOAT16": "1"}),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3-tiny", choices=("yolov3", "yolov3-tiny"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--side", type=int, default=416, help="of the network input in pixels")
    parser.add_argument("--num-classes", type=int, default=80)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--zzh8829", type=Path, metavar="FOLDER", help="folder that holds yolov3_tf2/")
    parser.add_argument("--ultralytics", action="store_true", help="the package ultralytics, if --python has it")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", choices=("ours", "zzh8829", "ultralytics"), help=argparse.SUPPRESS)
    return parser


def batch(arguments) -> tuple[np.ndarray, np.ndarray]:
    """Return random images float32 [B, H, W, 3] and 20 boxes in each, [B, 20, 5] (x, y, w, h relative, class id)."""
    rng = np.random.default_rng(0)
    images = rng.random((arguments.batch_size, arguments.side, arguments.side, 3), np.float32)
    boxes = rng.random((arguments.batch_size, 20, 5), np.float32)
    boxes[..., 2:4] = 0.05 + 0.4 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, arguments.num_classes, boxes.shape[:2])
    return images, boxes


def our_step(arguments):
    """Return a call of the step that `yolo3 train` makes."""
    import tensorflow as tf

    from yolo3.training.settings import TrainConfig
    from yolo3.training.step import Trainer
    from yolo3.training.workload import Workload

    side = (arguments.side, arguments.side)
    work = Workload(arguments.model, arguments.num_classes, side, arguments.batch_size)
    config = TrainConfig(model=work.model, input_size=side, precision=os.environ.get("PRECISION", "auto"))
    trainer = Trainer(config, work.architecture(), steps=1000)
    images, boxes = map(tf.constant, batch(arguments))
    return lambda: float(trainer.train_step(images, boxes, 1e-6)["objectness"])


def zzh8829_step(arguments):
    """Return a call of `train_on_batch` of zzh8829's network, compiled with its loss as its train.py does."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf

    sys.path.insert(0, str(arguments.zzh8829))
    from absl import flags
    from yolov3_tf2 import dataset, models

    flags.FLAGS(["bench"])
    if os.environ.get("BFLOAT16"):
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    tiny = arguments.model == "yolov3-tiny"
    build = models.YoloV3Tiny if tiny else models.YoloV3
    anchors = models.yolo_tiny_anchors if tiny else models.yolo_anchors
    masks = models.yolo_tiny_anchor_masks if tiny else models.yolo_anchor_masks
    model = build(arguments.side, training=True, classes=arguments.num_classes)
    losses = [models.YoloLoss(anchors[mask], classes=arguments.num_classes) for mask in masks]
    model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=1e-6), loss=losses)

    images, boxes = batch(arguments)
    half = boxes[..., 2:4] / 2
    corners = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half, boxes[..., 4:]], -1).astype(np.float32)
    corners[..., :4] = np.clip(corners[..., :4], 0, 1 - 1e-6)
    targets = dataset.transform_targets(tf.constant(corners), anchors, masks, arguments.side)
    images = tf.constant(images)
    return lambda: model.train_on_batch(images, targets)


def ultralytics_step(arguments):
    """Return a call of forward, loss, backward and update of the network of ultralytics of that name."""
    import contextlib

    import torch
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    half = bool(os.environ.get("BFLOAT16"))
    model = DetectionModel(f"{arguments.model}.yaml", nc=arguments.num_classes, verbose=False).train()
    model.args = get_cfg()
    images, boxes = (torch.from_numpy(array) for array in batch(arguments))
    images = images.permute(0, 3, 1, 2).contiguous()
    if half:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    rows = {
        "img": images,
        "batch_idx": torch.arange(len(boxes)).repeat_interleave(boxes.shape[1]).float(),
        "cls": boxes[..., 4].reshape(-1, 1),
        "bboxes": boxes[..., :4].reshape(-1, 4),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)

    def step():
        context = torch.autocast("cpu", dtype=torch.bfloat16) if half else contextlib.nullcontext()
        with context:
            loss = model(rows)[0].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def serve(step) -> None:
    """Make a step for each line of standard input, and answer with its seconds."""
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(f"seconds {time.perf_counter() - start}", flush=True)


def calibration() -> float:
    """Return the seconds of a loop that depends on nothing but the processor's speed."""
    start, total = time.perf_counter(), 0
    for number in range(300_000):
        total += number & 7
    assert total
    return time.perf_counter() - start


def start(kind: str, settings: dict, arguments, argv: list[str]) -> subprocess.Popen:
    """Start the process of a row."""
    interpreter = sys.executable if kind == "ours" else arguments.python
    return subprocess.Popen(
        [interpreter, __file__, *argv, "--serve", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **settings},
    )


def seconds_of(process: subprocess.Popen, name: str) -> float:
    """Have a process make a step, and return its seconds."""
    try:
        print(file=process.stdin, flush=True)
    except BrokenPipeError:
        raise SystemExit(f"{name}: its process ended") from None
    for line in process.stdout:
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise SystemExit(f"{name}: its process ended")


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = build_parser().parse_args(argv)
    steps = {"ours": our_step, "zzh8829": zzh8829_step, "ultralytics": ultralytics_step}
    if arguments.serve:
        serve(steps[arguments.serve](arguments))
        return 0

    wanted = {"ours": True, "zzh8829": arguments.zzh8829, "ultralytics": arguments.ultralytics}
    processes = {
        name: start(kind, settings, arguments, argv) for name, (kind, settings) in ROWS.items() if wanted[kind]
    }
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    loops = []
    for turn in range(WARM_UP + arguments.turns):
        for name, process in processes.items():
            value = seconds_of(process, name)
            if turn >= WARM_UP:
                seconds[name].append(value)
                loops.append(calibration())
    for process in processes.values():
        process.kill()

    report(seconds, loops, arguments)
    return 0


def report(seconds: dict[str, list[float]], loops: list[float], arguments) -> None:
    """Print the table, and write it where asked to."""
    spread = max(loops) / min(loops)
    print(f"{arguments.model}, batch {arguments.batch_size}, {arguments.side} pixels, {arguments.turns} turns")
    print(f"calibration loop: {statistics.median(loops) * 1e3:.1f} ms, slowest over fastest {spread:.2f}\n")
    print("| step | images/s, median | slowest to fastest |\n|---|---|---|")
    results = {}
    for name, values in seconds.items():
        rates = sorted(arguments.batch_size / value for value in values)
        results[name] = {"median": statistics.median(rates), "min": rates[0], "max": rates[-1]}
        print(f"| {name} | {results[name]['median']:.2f} | {rates[0]:.2f} to {rates[-1]:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": results, "calibration": loops}, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
