"""Images per second of detection: ours, OpenCV's DNN module and plain PyTorch, with one network of Darknet's cfg.

    python benchmarks/bench_inference.py --cfg yolov3-tiny.cfg --batch-sizes 1 8

Weights are random, in Darknet's format, so that OpenCV reads the same network. Ours is the whole detector, from
images in memory to boxes in pixels, suppression included; OpenCV decodes in its last layers but does not suppress;
PyTorch gives raw outputs only. All take turns; figures are medians with the smallest and largest. OpenCV's row needs
OpenCV 4 (5 no longer reads cfg files: `pip install 'opencv-python-headless<5'`); PyTorch's rows need `pip install
torch` and the cfg of yolov3 or yolov3-tiny with 80 classes.
"""

import argparse
import functools
import importlib.util
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.keras_weights import save_weights
from yolo3.inference.loading import load_detector
from yolo3.models.registry import architecture_of_cfg
from yolo3.training.benchmark import rates, take_turns


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--input-size", type=int, default=416)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", metavar="FILE")
    return parser


def opencv_calls(cfg: str, weights: str, images: np.ndarray) -> dict:
    """Return the call of OpenCV's network; none if this OpenCV does not read cfg files."""
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        return {}
    network = cv2.dnn.readNetFromDarknet(cfg, weights)
    names = network.getUnconnectedOutLayersNames()
    size = (images.shape[2], images.shape[1])

    def call():
        network.setInput(cv2.dnn.blobFromImages(list(images), 1 / 255, size, swapRB=True))
        return network.forward(names)

    return {"OpenCV DNN (decoded)": call}


def torch_calls(tiny: bool, images: np.ndarray) -> dict:
    """Return the calls of PyTorch; none if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch_yolov3 import Full, Tiny

    calls = {}
    for name, layout, half in (
        ("PyTorch", torch.contiguous_format, False),
        ("PyTorch, channels_last", torch.channels_last, False),
        ("PyTorch, channels_last, bfloat16", torch.channels_last, True),
    ):
        network = (Tiny if tiny else Full)(255).eval().to(memory_format=layout)

        def call(network=network, layout=layout, half=half):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                tensor = torch.from_numpy(images).permute(0, 3, 1, 2).to(memory_format=layout).float() / 255
                return network(tensor)

        calls[name] = call
    return calls


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    side = arguments.input_size
    cfg = read_cfg(arguments.cfg)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "random.weights")
        save_weights(architecture_of_cfg(cfg).build_network((None, None, 3)), cfg, weights)
        for batch_size in arguments.batch_sizes:
            rng = np.random.default_rng(0)
            images = rng.integers(0, 255, (batch_size, side, side, 3), np.uint8)
            options = {"input_shape": (side, side), "batch_size": batch_size}
            detectors = {
                name: load_detector(weights, cfg_path=arguments.cfg, precision=name, **options)
                for name in ("float32", "bfloat16")
            }
            calls = {
                **{f"yolo3 {name} (boxes)": functools.partial(each, images) for name, each in detectors.items()},
                **opencv_calls(arguments.cfg, weights, images),
                **torch_calls("tiny" in Path(arguments.cfg).stem, images),
            }
            seconds = take_turns(calls, arguments.steps)
            results[batch_size] = {name: rates(values, batch_size) for name, values in seconds.items()}
            for name, result in results[batch_size].items():
                line = "{images_per_second:8.2f} img/s ({min:.2f} to {max:.2f})".format(**result)
                print(f"batch {batch_size:<4}{name:<34}{line}", flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
