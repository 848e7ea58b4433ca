"""Images per second of one replica and of two on two cores, what they spend on exchanges, and the rate of the input.

    python benchmarks/bench_scaling.py --model yolov3-tiny --batch-size 8 --input-size 416 416 --rounds 3 --json FILE

Every replica has a core and a thread of its own:

- one: a replica with the whole batch, as a run without --devices has it;
- apart: two processes at the same time with half a batch each, which exchange nothing;
- cpu:2: two logical processors in a process;
- processes: two processes with TF_CONFIG.

The last two are timed with --sync-bn on and off. Their exchanges are timed alone too, with tensors of the same sizes,
one after the other: their share of a step is what is lost at most, as a step hides some of them behind computing. The
last row is the input, from JPEG files of 640 x 480, in one process and cut in two.

Each way is a process, or two that start to time together; all of them take turns, and medians are over all rounds.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from yolo3.input.batches import training_batches
from yolo3.input.epoch_plan import BatchPart
from yolo3.input.image_cache import open_images
from yolo3.input.settings import Augmentation
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.training.benchmark import WARM_UP, write_jpegs
from yolo3.training.cluster import task_of_environment
from yolo3.training.devices import build_strategy
from yolo3.training.settings import SYNC_BN, TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.synthetic import synthetic_batch
from yolo3.training.workload import Workload

AT_ONCE = 8  # batches of the input that are timed together: some are prepared ahead
TOGETHER = ("cpu:2", "processes")
WAYS = ("one", "apart", *(f"{way}, sync-bn {choice}" for way in TOGETHER for choice in SYNC_BN), "input 1", "input 2")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3-tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--input-size", type=int, nargs=2, default=(416, 416), metavar=("H", "W"))
    parser.add_argument("--num-classes", type=int, default=80)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # what a process of its own times
    parser.add_argument("--number", type=int, default=0, help=argparse.SUPPRESS)  # which of two processes it is
    return parser


# In a process of its own


def time_way(arguments: argparse.Namespace, folder: str) -> None:
    """Time a way in this process, once its partner is ready as well; print the seconds as JSON."""
    way, _, choice = arguments.way.partition(", sync-bn ")
    cores = sorted(os.sched_getaffinity(0))[:2]
    both = way == "cpu:2"
    os.sched_setaffinity(0, cores if both else {cores[arguments.number % len(cores)]})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2 if both else 1)

    if way.startswith("input"):
        calls = {"input": input_call(arguments, folder, parts=int(way[-1]))}
    else:
        calls = step_calls(arguments, "cpu:2" if both else "cpu", halved=way == "apart", sync_bn=choice or "on")
    for call in calls.values():
        call()
    print("ready", flush=True)
    sys.stdin.readline()

    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + arguments.steps):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    print(json.dumps(seconds), flush=True)


def step_calls(arguments: argparse.Namespace, devices: str, *, halved: bool, sync_bn: str) -> dict:
    """Return calls of a training step, and of its exchanges alone where there are several replicas."""
    strategy = build_strategy(devices, task_of_environment())
    size, batch_size = tuple(arguments.input_size), arguments.batch_size // (1 + halved)
    work = Workload(arguments.model, arguments.num_classes, size, batch_size)
    config = TrainConfig(model=work.model, input_size=size, batch_size=batch_size, precision="float32", sync_bn=sync_bn)
    with strategy.scope():
        trainer = Trainer(config, work.architecture(), steps=1000)
    batch = synthetic_batch(batch_size, size, num_classes=work.num_classes, rng=np.random.default_rng(0))
    replicas = strategy.num_replicas_in_sync

    def spread(values):
        def of_replica(context):
            first, last = (batch_size * (context.replica_id_in_sync_group + more) // replicas for more in (0, 1))
            return values[first:last]

        return strategy.experimental_distribute_values_from_function(of_replica)

    images, boxes = map(spread, batch) if replicas > 1 else batch
    term = trainer.architecture.terms[0]
    calls = {"step": lambda: float(trainer.train_step(images, boxes, 1e-6)[term])}
    if replicas > 1:
        calls["exchanges"] = exchange_call(trainer)
    return calls


def exchange_call(trainer: Trainer):
    """Return a call of what replicas exchange in a step: gradients, and sums of the layers that normalize."""
    gradients = [tf.zeros(variable.shape) for variable in trainer.network.trainable_variables]
    norms = [layer for layer in trainer.network.layers if isinstance(layer, FusedBatchNormalization)]
    widths = [norm.moving_mean.shape[0] for norm in norms]
    synchronized = trainer.config.sync_bn == "on"

    def of_replica():
        replica = tf.distribute.get_replica_context()
        last = tf.zeros([1])
        for width in 2 * widths if synchronized else ():  # forward: two sums and a count; backward: their gradients
            last = replica.all_reduce("sum", tf.zeros([2 * width + 1]) + last[0])  # one waits for the other
        if not synchronized:
            last = replica.all_reduce("mean", tf.zeros([2 * sum(widths)]))
        return last[0] + sum(tf.reduce_sum(part[..., :1]) for part in replica.all_reduce("sum", gradients))

    run = tf.function(lambda: trainer.strategy.run(of_replica), autograph=False)
    return lambda: trainer.strategy.experimental_local_results(run())[0].numpy()


def input_call(arguments: argparse.Namespace, folder: str, *, parts: int):
    """Return a call that makes this process's parts of the next batches."""
    work = Workload(arguments.model, arguments.num_classes, tuple(arguments.input_size), arguments.batch_size)
    store = open_images(write_jpegs(Path(folder)), largest_side=max(work.input_size), cache="none", folder=folder)
    batches = iter(
        training_batches(
            store,
            batch_size=work.batch_size,
            input_shape=work.input_size,
            stride=work.architecture().stride,
            augmentation=Augmentation(),
            seed=0,
            epochs=range(10**9),
            part=BatchPart(parts, arguments.number, 1),
        )
    )
    return lambda: [next(batches)[0].shape for _ in range(AT_ONCE)]


# All of them


def run_way(way: str, argv: list[str]) -> list[dict[str, list[float]]]:
    """Run the processes of a way at the same time; return the seconds that each of them timed."""
    together = way.startswith("processes")
    count = 2 if together or way in ("apart", "input 2") else 1
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        hosts = [f"localhost:{server.getsockname()[1]}" for server in held]
    processes = []
    for number in range(count):
        cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": number}} if together else {}
        words = [sys.executable, __file__, *argv, "--way", way, "--number", str(number)]
        environment = os.environ | {"TF_CONFIG": json.dumps(cluster)}
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environment))

    for process in processes:
        if not any(line.strip() == "ready" for line in iter(process.stdout.readline, "")):
            raise RuntimeError(f"{way}: ended before it was ready")
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0].strip().split("\n")[-1]) for process in processes]


def row_of(way: str, rounds: list[list[dict]], batch_size: int) -> dict:
    """Return the figures of a way: images per second of all its processes, and the share of its exchanges."""
    name = "input" if way.startswith("input") else "step"
    count = batch_size * (AT_ONCE if name == "input" else 1)  # images of a call, or of one in each of two processes
    rates, shares = [], []
    for processes in rounds:
        medians = [statistics.median(seconds[name]) for seconds in processes]
        halved = way in ("apart", "input 2")
        rates.append(sum(count / 2 / value for value in medians) if halved else count / max(medians))
        exchanges = [statistics.median(seconds["exchanges"]) for seconds in processes if "exchanges" in seconds]
        shares += [max(exchanges) / max(medians)] if exchanges else []
    row = {"images_per_second": statistics.median(rates), "min": min(rates), "max": max(rates)}
    return row | ({"exchanges": statistics.median(shares)} if shares else {})


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = build_parser().parse_args(argv)
    if arguments.way:
        with tempfile.TemporaryDirectory() as folder:
            time_way(arguments, folder)
        return 0
    found: dict[str, list] = {way: [] for way in arguments.only}
    for _ in range(arguments.rounds):
        for way in found:
            found[way].append(run_way(way, list(argv)))

    rows = {way: row_of(way, rounds, arguments.batch_size) for way, rounds in found.items()}
    print(f"{'way':24} images/s (min, max)     share of exchanges")
    for way, row in rows.items():
        share = f"{row['exchanges']:.1%}" if "exchanges" in row else ""
        print(f"{way:24} {row['images_per_second']:7.2f} ({row['min']:.2f}, {row['max']:.2f})  {share}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"settings": vars(arguments), "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
