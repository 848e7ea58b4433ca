"""Average precision, differences, size and speed of exported files beside the network that they are made of.

    python benchmarks/bench_export.py --weights runs/train-001/best.h5 --data bccd --list test

Every format and precision is exported as `yolo3 export` does it and evaluated on the data; then all detect the same
images in batches of 1 and 8, taking turns: from images in memory to boxes in pixels, suppression included. Speeds are
medians with the smallest and largest. The table is Markdown, a row for each, with the largest differences on
photographs of the list that int8 is calibrated on; a file that is not written has its reason. OpenCV's DNN module reads
the ONNX file with decoded boxes too: its row holds the largest differences of its outputs from ONNX Runtime's.
"""

import argparse
import functools
import itertools
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image
from yolo3.evaluation.evaluate import evaluate
from yolo3.export.export import Exported, default_path, export
from yolo3.export.registry import EXPORTERS
from yolo3.export.settings import PRECISIONS, ExportSettings
from yolo3.inference.detector import Detector
from yolo3.ops.letterbox import resize_image
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD
from yolo3.training.benchmark import rates, take_turns

BATCHES = (1, 8)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--list", dest="list_name", default="test")
    parser.add_argument("--calibration-list", default="train", help="list that int8 is calibrated on")
    parser.add_argument("--calibration-images", type=int, default=100, help="images of it at most, from all over it")
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
    """Return what was exported, or in one line why it was not, of every format and precision, by name."""
    files: dict[str, Exported | str] = {}
    for name, precision in itertools.product(formats, PRECISIONS):
        try:
            settings = ExportSettings(format=name, precision=precision)
            path = folder / default_path(weights, settings).name
            files[f"{name} {precision}"] = export(detector, path, settings, annotations)
        except ValueError as error:
            files[f"{name} {precision}"] = str(error)
        print(f"{name} {precision}: {files[f'{name} {precision}']}", flush=True)
    return files


def format_row(name: str, result: dict) -> str:
    """Return a row of the table."""
    if "refused" in result:
        return f"| {name} | {result['refused']} | | | | | | |"
    differences = ("", "")
    if "box_difference" in result:
        differences = (f"{result['box_difference']:.2g}", f"{result['score_difference']:.2g}")
    speeds = ("{images_per_second:.1f} ({min:.1f} to {max:.1f})".format(**result[f"batch_{n}"]) for n in BATCHES)
    accuracy = (f"{result[name]:.3f}" for name in ("AP50", "AP"))
    megabytes = f"{result['bytes'] / 1e6:.1f}"
    return f"| {' | '.join((name, *accuracy, *differences, megabytes, *speeds))} |"


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    detector = Detector(arguments.weights, score_threshold=AP_SCORE_THRESHOLD)
    names = detector.class_names
    annotations = list(read_dataset(arguments.data, None, names, arguments.list_name).annotations)
    calibration = list(read_dataset(arguments.data, None, names, arguments.calibration_list).annotations)
    every = -(-len(calibration) // arguments.calibration_images)
    calibration = calibration[::every]  # each int8 file is measured on all of it
    images = [read_image(annotation.image_path) for annotation in annotations[:8]]

    results: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(detector, arguments.weights, Path(folder), arguments.formats, calibration)
        detectors = {"network": detector}
        results["network"] = {"bytes": Path(arguments.weights).stat().st_size}
        for name, file in files.items():
            if isinstance(file, str):
                results[name] = {"refused": file}
                continue
            detectors[name] = Detector(file.path, score_threshold=AP_SCORE_THRESHOLD)
            differences = {"box_difference": file.comparison.boxes, "score_difference": file.comparison.scores}
            results[name] = {"bytes": file.size, **differences}
        for name, each in detectors.items():
            figures = evaluate(each, annotations)
            results[name] |= {"AP50": figures["AP50"], "AP": figures["AP"]}
            print(name, results[name], flush=True)

        for size in BATCHES:
            calls = {name: functools.partial(each, images[:size]) for name, each in detectors.items()}
            for name, seconds in take_turns(calls, arguments.steps).items():
                results[name][f"batch_{size}"] = rates(seconds, size)
        print("| file | AP50 | AP | box, pixels | score | MB | images/s, batch 1 | batch 8 |")
        print("|---|---|---|---|---|---|---|---|")
        for name, result in results.items():
            print(format_row(name, result))

        if isinstance(files.get("onnx float32"), Exported):
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
