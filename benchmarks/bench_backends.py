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
given outputs. --check compares the terms of the loss and its gradient on one fixed batch with JAX's on the processor.
Needs neither TensorFlow nor data.
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

BACKENDS = {"jax": "jax", "torch": "torch", "torch-compile": "torch", "pytorch": "torch", "pytorch-compile": "torch"}
NUM_CLASSES = 80
_BOXES = 20  # in each image
_WARM_UP = 4  # calls
_BLOCKS = 5
_BLOCK_SECONDS = 0.4


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--models", nargs="+", choices=("yolov3", "yolov3-tiny"), default=["yolov3-tiny", "yolov3"])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--input-size", type=int, nargs=2, default=(416, 416), metavar=("H", "W"))
    parser.add_argument("--matrix-side", type=int, default=8192, help="of the matrix product (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=120, help="seconds for each row (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare the loss with the processor's first")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)  # what a child process is to do
    return parser


def fixed_batch(batch_size: int, input_size, seed: int = 0):
    """Return images float32 [B, H, W, 3] in 0..1 and boxes float32 [B, 20, 5] (x, y, w, h relative, class id)."""
    rng = np.random.default_rng(seed)
    images = rng.random((batch_size, *input_size, 3), np.float32)
    boxes = rng.random((batch_size, _BOXES, 5), np.float32)
    boxes[..., 2:4] = 0.05 + 0.4 * boxes[..., 2:4]
    boxes[..., 4] = rng.integers(0, NUM_CLASSES, boxes.shape[:2])
    return images, boxes


def seconds_of(call, synchronise) -> float:
    """Return the median seconds of a call, over blocks that are synchronised at their end."""
    for _ in range(_WARM_UP):
        result = call()
    synchronise(result)

    start = time.perf_counter()
    synchronise(call())
    count = max(1, min(50, int(_BLOCK_SECONDS / (time.perf_counter() - start))))

    blocks = []
    for _ in range(_BLOCKS):
        start = time.perf_counter()
        for _ in range(count):
            result = call()
        synchronise(result)
        blocks.append((time.perf_counter() - start) / count)
    return statistics.median(blocks)


# What the child processes do


def our_architecture(model: str):
    """Return the architecture, with its default anchors."""
    from yolo3.models.registry import named_architecture
    from yolo3.models.yolov3.anchors import default_anchors

    return named_architecture(model, num_classes=NUM_CLASSES, anchors=default_anchors(6 if "tiny" in model else 9))


def total_loss(architecture, outputs, boxes, input_size):
    """Return (loss, its terms) of raw outputs, targets included."""
    targets = architecture.build_targets(boxes, input_size)
    terms = architecture.loss_terms(outputs, targets, input_size)
    return sum(terms[name] for name in architecture.terms), terms


def network_and_optimizer(architecture, input_size):
    """Return our network under the mixed policy, and Adam built for its weights."""
    import keras

    from yolo3.precision import dtype_policy

    with dtype_policy("mixed_bfloat16"):
        network = architecture.build_network((*input_size, 3))
    optimizer = keras.optimizers.Adam(1e-6)
    optimizer.build(network.trainable_variables)
    return network, optimizer


def random_outputs(architecture, batch_size: int, input_size) -> list[np.ndarray]:
    """Return small raw outputs [B, H, W, A * (5 + C)] of each scale."""
    rng = np.random.default_rng(1)
    channels = len(architecture.anchors) // len(architecture.strides) * (5 + NUM_CLASSES)
    grids = [(input_size[0] // stride, input_size[1] // stride) for stride in architecture.strides]
    return [rng.normal(0, 0.1, (batch_size, *grid, channels)).astype(np.float32) for grid in grids]


def jax_calls(architecture, batch_size: int, input_size):
    """Return (step, loss with gradient, synchronise) of Keras on JAX."""
    import jax

    network, optimizer = network_and_optimizer(architecture, input_size)
    images, boxes = map(jax.numpy.asarray, fixed_batch(batch_size, input_size))
    outputs = [jax.numpy.asarray(output) for output in random_outputs(architecture, batch_size, input_size)]

    def loss_of(learned, others, images, boxes):
        raw, others = network.stateless_call(learned, others, images, training=True)
        loss, _ = total_loss(architecture, raw, boxes, input_size)
        return loss, others

    def step(learned, others, state, images, boxes):
        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(learned, others, images, boxes)
        learned, state = optimizer.stateless_apply(state, gradients, learned)
        return loss, learned, others, state

    # what the step gives back takes the place of what it was given
    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    weights = [
        [jax.numpy.array(variable.value) for variable in variables]
        for variables in (network.trainable_variables, network.non_trainable_variables, optimizer.variables)
    ]
    loss_alone = jax.jit(jax.grad(lambda outputs, boxes: total_loss(architecture, outputs, boxes, input_size)[0]))

    def call_step():
        loss, *weights[:] = compiled(*weights, images, boxes)
        return loss

    return call_step, lambda: loss_alone(outputs, boxes), jax.block_until_ready


def torch_calls(architecture, batch_size: int, input_size, compiled: bool):
    """Return (step, loss with gradient, synchronise) of Keras on PyTorch."""
    import torch
    from keras import ops

    network, optimizer = network_and_optimizer(architecture, input_size)
    images, boxes = map(ops.convert_to_tensor, fixed_batch(batch_size, input_size))
    outputs = [ops.convert_to_tensor(output) for output in random_outputs(architecture, batch_size, input_size)]
    outputs = [output.detach().requires_grad_() for output in outputs]
    forward = lambda images: network(images, training=True)  # noqa: E731
    if compiled:
        forward = torch.compile(forward)

    def step():
        loss, _ = total_loss(architecture, forward(images), boxes, input_size)
        network.zero_grad()
        loss.backward()
        variables = network.trainable_variables
        with torch.no_grad():
            optimizer.apply([variable.value.grad for variable in variables], variables)
        return loss.detach()

    def loss_alone():
        loss, _ = total_loss(architecture, outputs, boxes, input_size)
        return torch.autograd.grad(loss, outputs)[0]

    return step, loss_alone, _synchronise_torch


def plain_calls(model: str, batch_size: int, input_size, compiled: bool):
    """Return (step, None, synchronise) of plain PyTorch."""
    import torch
    from torch_yolov3 import build_step

    images, boxes = map(torch.from_numpy, fixed_batch(batch_size, input_size))
    step = build_step(
        model, input_size=input_size, num_classes=NUM_CLASSES, bfloat16=True,
        channels_last=True, device=_torch_device(), compiled=compiled,
    )  # fmt: skip
    images = images.permute(0, 3, 1, 2)
    return lambda: step(images, boxes), None, _synchronise_torch


def _torch_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _synchronise_torch(_) -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matrix_tflops(backend: str, side: int) -> float:
    """Return the rate of a bfloat16 matrix product on random data, in TFLOP/s."""
    values = np.random.default_rng(0).normal(size=(2, side, side)).astype(np.float32)
    if backend == "jax":
        import jax

        a, b = (jax.numpy.asarray(value, "bfloat16") for value in values)
        product = jax.jit(jax.numpy.matmul)
        seconds = seconds_of(lambda: product(a, b), jax.block_until_ready)
    else:
        import torch

        a, b = (torch.from_numpy(value).to(_torch_device(), torch.bfloat16) for value in values)
        seconds = seconds_of(lambda: a @ b, _synchronise_torch)
    return 2 * side**3 / seconds / 1e12


def device_name(backend: str) -> str:
    """Return what the backend computes on."""
    if backend == "jax":
        import jax

        return f"{jax.devices()[0].device_kind}, JAX {jax.__version__}"
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return f"{name}, PyTorch {torch.__version__}"


def peak_gigabytes(backend: str) -> float | None:
    """Return the most device memory that was held by arrays so far; None where the backend does not say."""
    if backend == "jax":
        import jax

        statistics_of_device = jax.devices()[0].memory_stats() or {}
        peak = statistics_of_device.get("peak_bytes_in_use")
        return None if peak is None else peak / 1e9
    import torch

    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None


def step_gflop(architecture, input_size) -> float:
    """Return the GFLOP of an image's convolutions in a step: forward, and the gradients of inputs and of kernels."""
    import keras
    from flops import training_flop

    network = architecture.build_network((*input_size, 3))
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    return training_flop(layers) / 1e9


def time_row(row: str, model: str, batch_sizes, input_size) -> None:
    """Print one JSON object for each batch size of a row and model."""
    architecture = our_architecture(model)
    gflop = step_gflop(architecture, input_size)
    for batch_size in batch_sizes:
        began = time.perf_counter()
        if row == "jax":
            step, loss, synchronise = jax_calls(architecture, batch_size, input_size)
        elif row.startswith("torch"):
            step, loss, synchronise = torch_calls(architecture, batch_size, input_size, compiled="compile" in row)
        else:
            step, loss, synchronise = plain_calls(model, batch_size, input_size, compiled="compile" in row)
        seconds = seconds_of(step, synchronise)
        result = {
            "row": row, "model": model, "batch_size": batch_size, "milliseconds": 1000 * seconds,
            "images_per_second": batch_size / seconds, "tflops": batch_size * gflop / seconds / 1000,
            "peak_gb": peak_gigabytes(BACKENDS[row]),
            "loss_milliseconds": None if loss is None else 1000 * seconds_of(loss, synchronise),
        }  # fmt: skip
        result["seconds_in_all"] = time.perf_counter() - began  # with compilation
        print(json.dumps(result), flush=True)


def print_check(backend: str, input_size) -> None:
    """Print the terms of the loss on a fixed batch of 8 in float32, and each output's gradient projected at random."""
    architecture = our_architecture("yolov3")
    _, boxes = fixed_batch(8, input_size)
    outputs = random_outputs(architecture, 8, input_size)
    if backend == "jax":
        import jax

        function = jax.jit(
            jax.value_and_grad(
                lambda outputs, boxes: total_loss(architecture, outputs, boxes, input_size), has_aux=True
            )
        )
        (loss, terms), gradients = function(outputs, boxes)
    else:
        import torch
        from keras import ops

        outputs = [ops.convert_to_tensor(output).detach().requires_grad_() for output in outputs]
        loss, terms = total_loss(architecture, outputs, ops.convert_to_tensor(boxes), input_size)
        gradients = [gradient.cpu().numpy() for gradient in torch.autograd.grad(loss, outputs)]

    rng = np.random.default_rng(2)
    numbers = {"loss": float(loss), **{name: float(value) for name, value in terms.items()}}
    for scale, gradient in enumerate(gradients):
        gradient = np.asarray(gradient, np.float64)
        numbers[f"gradient {scale}"] = float(np.sum(gradient * rng.random(gradient.shape)))
    print(json.dumps({"device": device_name(backend), "numbers": numbers}), flush=True)


def run_part(arguments) -> int:
    """Do what a child process is for."""
    kind, name, *model = arguments.part
    size = tuple(arguments.input_size)
    if kind == "matrix":
        rate = matrix_tflops(name, arguments.matrix_side)
        print(json.dumps({"backend": name, "device": device_name(name), "tflops": rate}), flush=True)
    elif kind == "check":
        print_check(name, size)
    else:
        time_row(name, model[0], arguments.batch_sizes, size)
    return 0


# What the parent process does


def start(arguments, backend: str, *part: str, on_processor: bool = False) -> subprocess.Popen:
    """Start a child process, which prints a JSON object a line."""
    environment = {
        **os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    if on_processor:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--part", *part, "--matrix-side", str(arguments.matrix_side)]
    command += ["--batch-sizes", *map(str, arguments.batch_sizes), "--input-size", *map(str, arguments.input_size)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results_of(process: subprocess.Popen, limit: float) -> tuple[list[dict], str]:
    """Return what a child printed, also one that was stopped, and why it did not finish ("" where it did)."""
    try:
        output, errors = process.communicate(timeout=limit)
        lines = errors.strip().splitlines()
        reason = "" if process.returncode == 0 else (lines or [f"status {process.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        reason = f"stopped after {limit:g} s"
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], reason


def compare_numbers(arguments) -> list[dict]:
    """Print how far the loss and its gradient are from JAX's on the processor, under each backend."""
    started = {
        (backend, on_processor): start(arguments, backend, "check", backend, on_processor=on_processor)
        for backend in ("jax", "torch")
        for on_processor in (True, False)
    }
    rows: list[dict] = []
    for (backend, on_processor), process in started.items():
        results, reason = results_of(process, limit=arguments.limit)
        rows.append({"backend": backend, "on_processor": on_processor, "failed": reason, **(results or [{}])[0]})
    expected = rows[0].get("numbers", {})
    for row in rows:
        numbers = row.get("numbers", {})
        differences = {name: abs(value / expected[name] - 1) for name, value in numbers.items() if expected.get(name)}
        row["largest_relative_difference"] = max(differences.values(), default=None)
        row["of"] = max(differences, key=differences.__getitem__, default=None)
        where = row.get("device", "processor" if row["on_processor"] else "device")
        print(f"loss, {row['backend']} on {where}: ", end="")
        print(row["failed"] or f"within {row['largest_relative_difference']:.1e} ({row['of']})", flush=True)
    return rows


def main(argv=None) -> int:
    """Run all rows and print their table."""
    arguments = build_parser().parse_args(argv)
    if arguments.part:
        return run_part(arguments)

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

    print(
        "| model | batch | row | ms | images/s | TFLOP/s | share | loss, ms | GB |\n|---|---|---|---|---|---|---|---|---|"
    )
    for model in arguments.models:
        for row in arguments.rows:
            found, reason = results_of(start(arguments, BACKENDS[row], "steps", row, model), arguments.limit)
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
            if arguments.json:  # after each row: a run that is stopped leaves what it has
                Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
