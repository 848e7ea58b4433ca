"""One row of ``bench_backends.py`` in a process of its own: steps, the matrix product or the check of the loss.

    KERAS_BACKEND=jax python benchmarks/backend_steps.py steps jax yolov3-tiny --batch-sizes 2 --input-size 64 64
    KERAS_BACKEND=torch python benchmarks/backend_steps.py matrix torch --matrix-side 512
    KERAS_BACKEND=jax python benchmarks/backend_steps.py check jax

Prints one JSON object per figure, as soon as it is known.
"""

import argparse
import json
import statistics
import time

import numpy as np

BACKENDS = {"jax": "jax", "torch": "torch", "torch-compile": "torch", "pytorch": "torch", "pytorch-compile": "torch"}
NUM_CLASSES = 80
_BOXES = 20  # in each image
_WARM_UP = 4  # calls
_BLOCKS = 5
_BLOCK_SECONDS = 0.4


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("steps", "matrix", "check"))
    parser.add_argument("row", choices=BACKENDS)
    parser.add_argument("model", nargs="?", choices=("yolov3", "yolov3-tiny"), default="yolov3")
    add_sizes(parser)
    return parser


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options that rows and the whole benchmark share."""
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--input-size", type=int, nargs=2, default=(416, 416), metavar=("H", "W"), help="pixels")
    parser.add_argument("--matrix-side", type=int, default=8192, help="of the matrix product (default: %(default)s)")


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


def our_architecture(model: str):
    """Return the architecture, with its default anchors."""
    from yolo3.training.workload import Workload

    return Workload(model, num_classes=NUM_CLASSES).architecture()


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
    channels = len(architecture.scales[0].anchors) * (5 + NUM_CLASSES)
    grids = [scale.grid_shape(input_size) for scale in architecture.scales]
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

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))  # new weights take the memory of the old ones
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
        model,
        input_size=input_size,
        num_classes=NUM_CLASSES,
        bfloat16=True,
        channels_last=True,
        device=_torch_device(),
        compiled=compiled,
    )
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
    """Return the device and the version of the backend."""
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
            "row": row,
            "model": model,
            "batch_size": batch_size,
            "milliseconds": 1000 * seconds,
            "images_per_second": batch_size / seconds,
            "tflops": batch_size * gflop / seconds / 1000,
            "peak_gb": peak_gigabytes(BACKENDS[row]),
            "loss_milliseconds": None if loss is None else 1000 * seconds_of(loss, synchronise),
        }
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


def main(argv=None) -> int:
    """Do one part."""
    arguments = build_parser().parse_args(argv)
    input_size, backend = tuple(arguments.input_size), BACKENDS[arguments.row]

    if arguments.part == "matrix":
        rate = matrix_tflops(backend, arguments.matrix_side)
        print(json.dumps({"backend": backend, "device": device_name(backend), "tflops": rate}), flush=True)
    elif arguments.part == "check":
        print_check(backend, input_size)
    else:
        time_row(arguments.row, arguments.model, arguments.batch_sizes, input_size)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
