"""Average precision, differences, size and speed of exported files beside the network that they are made of.

    python benchmarks/bench_export.py --weights runs/train-001/best.h5 --data bccd --list test

Every format and precision is exported as `yolo3 export` does it and evaluated on the data; then all detect the same
images in batches of 1 and 8, taking turns: from images in memory to boxes in pixels, suppression included. Figures are
medians with the smallest and largest. OpenCV's DNN module reads the ONNX file with decoded boxes too: its row holds the
largest differences of its outputs from ONNX Runtime's.
"""

import argparse
import functools
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image
from yolo3.detections import AP_SCORE_THRESHOLD
from yolo3.evaluation.evaluate import evaluate
from yolo3.export.export import default_path, export
from yolo3.export.registry import EXPORTERS
from yolo3.export.settings import ExportSettings
from yolo3.inference.detector import Detector
from yolo3.ops.letterbox import resize_image
from yolo3.training.benchmark import rates, take_turns


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--list", dest="list_name", default="test")
    parser.add_argument("--calibration-list", default="train", help="list that int8 is calibrated on")
    parser.add_argument("--formats", nargs="+", choices=EXPORTERS, default=list(EXPORTERS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", metavar="FILE")
    return parser


def opencv_row(path: Path, image: np.ndarray, detector: Detector) -> dict:
    """Return the largest differences of OpenCV's outputs for an ONNX file with decoded boxes from ONNX Runtime's."""
    given = resize_image(image, detector.input_shape, detector.resize)[None]
    expected = detector.network.run(given)
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(given.astype(np.float32) / 255)
    got = dict(zip(("boxes", "scores"), network.forward(["boxes", "scores"]), strict=True))
    return {name: float(np.abs(got[name] - expected[name]).max()) for name in got}


def export_all(detector: Detector, weights: str, folder: Path, formats, annotations: list[Annotation]) -> dict:
    """Return (path, largest difference of a box in pixels, size) of every format and precision, by name."""
    files = {}
    for name in formats:
        for precision in EXPORTERS[name].precisions:
            settings = ExportSettings(format=name, precision=precision)
            path = folder / default_path(weights, settings).name
            try:
                done = export(detector, path, settings, annotations)
            except ValueError as error:
                print(f"{name} {precision}: {error}", flush=True)
                continue
            files[f"{name} {precision}"] = (path, done.comparison.boxes, done.size)
    return files


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    detector = Detector(arguments.weights, score_threshold=AP_SCORE_THRESHOLD)
    names = detector.class_names
    annotations = list(read_dataset(arguments.data, None, names, arguments.list_name).annotations)
    calibration = list(read_dataset(arguments.data, None, names, arguments.calibration_list).annotations)
    images = [read_image(annotation.image_path) for annotation in annotations[:8]]

    results: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(detector, arguments.weights, Path(folder), arguments.formats, calibration)
        detectors = {"network": detector}
        detectors |= {name: Detector(path, score_threshold=AP_SCORE_THRESHOLD) for name, (path, _, _) in files.items()}
        for name, each in detectors.items():
            figures = evaluate(each, annotations)
            results[name] = {"AP50": figures["AP50"], "AP": figures["AP"]}
            if name in files:
                results[name] |= {"box_difference": files[name][1], "bytes": files[name][2]}
            print(name, results[name], flush=True)

        for size in (1, 8):
            calls = {name: functools.partial(each, images[:size]) for name, each in detectors.items()}
            for name, seconds in take_turns(calls, arguments.steps).items():
                results[name][f"batch_{size}"] = rates(seconds, size)
        for name, result in results.items():
            speed = ", ".join(
                "{images_per_second:.1f} ({min:.1f} to {max:.1f})".format(**result[f"batch_{n}"]) for n in (1, 8)
            )
            print(f"{name:<20} AP50 {result['AP50']:.3f}  AP {result['AP']:.3f}  images/s at batch 1, 8: {speed}")

        if "onnx float32" in files:
            settings = ExportSettings(format="onnx", input="float32", batch=1)
            path = Path(folder, "float_input.onnx")
            export(detector, path, settings, calibration)
            results["OpenCV DNN"] = opencv_row(path, images[0], Detector(path))
            print("OpenCV DNN", cv2.__version__, results["OpenCV DNN"])
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
