"""Training steps under Keras' JAX and PyTorch backends, beside plain PyTorch and the machine's matrix rate.

    python benchmarks/bench_backends.py --models yolov3-tiny yolov3 --batch-sizes 16 64 128 --json backends.json
    python benchmarks/bench_backends.py --models yolov3-tiny --batch-sizes 2 --input-size 64 64 --matrix-side 512  # CPU

A step is forward, our targets and loss, backward and an Adam update, all in `keras.ops` and Keras' own layers, in
bfloat16 (mixed policy), on one synthetic batch that is already on the device. The rows:

    jax              Keras on JAX, the whole step under one `jax.jit`
    torch            Keras on PyTorch, eager
    torch-compile    the same, its network under `torch.compile`
    pytorch          torch_yolov3.py: stock modules, channels_last, autocast to bfloat16; its targets are found once,
                     before the timing, and its loss has no ignore rule
    pytorch-compile  the same, its network under `torch.compile`

Each row runs in a process of its own, which is stopped after --limit seconds. After warm-up, blocks of calls are timed
and synchronised at their end; the figure is the median block. TFLOP/s counts the convolutions alone; its share is that
of a large bfloat16 matrix product on the same device. "Loss" is the time of targets and loss with their gradient for
given outputs. --check compares the terms of the loss and its gradient on one fixed batch with JAX's on the CPU.
Needs neither TensorFlow nor data.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from backend_steps import BACKENDS, add_sizes

_STEPS = Path(__file__).with_name("backend_steps.py")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--models", nargs="+", choices=("yolov3", "yolov3-tiny"), default=["yolov3-tiny", "yolov3"])
    add_sizes(parser)
    parser.add_argument("--limit", type=float, default=120, help="seconds for each row (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare the loss with the CPU's first")
    parser.add_argument("--json", metavar="FILE")
    return parser


def start(arguments, row: str, *part: str, on_cpu: bool = False) -> subprocess.Popen:
    """Start ``backend_steps.py`` on a part, in a process group of its own."""
    root = str(Path(__file__).resolve().parents[1])
    environment = {
        **os.environ,
        "KERAS_BACKEND": BACKENDS[row],
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    if on_cpu:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}

    command = [sys.executable, str(_STEPS), *part, "--matrix-side", str(arguments.matrix_side)]
    command += ["--batch-sizes", *map(str, arguments.batch_sizes), "--input-size", *map(str, arguments.input_size)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def results_of(process: subprocess.Popen, limit: float) -> tuple[list[dict], str]:
    """Return what a child process printed, even if it was stopped, and why it failed ("" if it did not)."""
    try:
        output, errors = process.communicate(timeout=limit)
        lines = errors.strip().splitlines()
        reason = "" if process.returncode == 0 else (lines or [f"status {process.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # torch.compile has workers of its own
        output, _ = process.communicate()
        reason = f"stopped after {limit:g} s"
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], reason


def compare_numbers(arguments) -> list[dict]:
    """Print the difference of the loss and its gradient under each backend from JAX's on the CPU."""
    started = {
        (backend, on_cpu): start(arguments, backend, "check", backend, on_cpu=on_cpu)
        for backend in ("jax", "torch")
        for on_cpu in (True, False)
    }

    rows: list[dict] = []
    for (backend, on_cpu), process in started.items():
        results, reason = results_of(process, limit=arguments.limit)
        rows.append({"backend": backend, "on_cpu": on_cpu, "failed": reason, **(results or [{}])[0]})

    expected = rows[0].get("numbers", {})
    for row in rows:
        numbers = row.get("numbers", {})
        differences = {name: abs(value / expected[name] - 1) for name, value in numbers.items() if expected.get(name)}
        row["largest_relative_difference"] = max(differences.values(), default=None)
        row["of"] = max(differences, key=differences.__getitem__, default=None)
        where = row.get("device", "CPU" if row["on_cpu"] else "device")
        print(f"loss, {row['backend']} on {where}: ", end="")
        print(row["failed"] or f"within {row['largest_relative_difference']:.1e} ({row['of']})", flush=True)
    return rows


def main(argv=None) -> int:
    """Run all rows and print their table."""
    arguments = build_parser().parse_args(argv)
    results: dict = {"command": " ".join(sys.argv), "check": [], "matrix": [], "steps": [], "failed": []}
    if arguments.check:
        results["check"] = compare_numbers(arguments)
    for backend in dict.fromkeys(BACKENDS[row] for row in arguments.rows):
        found, reason = results_of(start(arguments, backend, "matrix", backend), arguments.limit)
        results["matrix"] += found
        print(
            f"matrix product, {backend}: {reason or '{tflops:.3g} TFLOP/s on {device}'.format(**found[0])}", flush=True
        )
    best = max((result["tflops"] for result in results["matrix"]), default=float("nan"))

    columns = ("model", "batch", "row", "ms", "images/s", "TFLOP/s", "share", "loss, ms", "GB")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for model in arguments.models:
        for row in arguments.rows:
            found, reason = results_of(start(arguments, row, "steps", row, model), arguments.limit)
            results["steps"] += found
            for each in found:
                loss, peak = each["loss_milliseconds"], each["peak_gb"]
                figures = f"{each['milliseconds']:.1f} | {each['images_per_second']:.0f} | {each['tflops']:.3g}"
                figures += f" | {each['tflops'] / best:.1%} | {'' if loss is None else f'{loss:.1f}'}"
                figures += f" | {'' if peak is None else f'{peak:.1f}'}"
                print(f"| {model} | {each['batch_size']} | {row} | {figures} |", flush=True)
            if reason:
                results["failed"].append({"row": row, "model": model, "reason": reason})
                print(f"| {model} | | {row} | {reason[:200]} | | | | | |", flush=True)
            if arguments.json:  # after each row, so that a run that is stopped leaves its results
                Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
