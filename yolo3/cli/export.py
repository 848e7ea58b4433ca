"""``yolo3 export``: write a network to a file that runs without Keras, and check what was written."""

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any

from yolo3.arguments import options_in_messages
from yolo3.cli.options import add_network_files, add_settings
from yolo3.cli.running import run_command
from yolo3.export.registry import EXPORTERS
from yolo3.export.settings import ExportSettings
from yolo3.inference.runtimes.registry import RUNTIMES, find_runtime
from yolo3.inference.settings import DetectorSettings
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD
from yolo3.settings import settings_in
from yolo3.startup import held_back_stderr, start_tensorflow

_DETECTOR_SETTINGS = ("input_shape", "resize", "score_threshold", "iou_threshold", "nms_overlap", "max_boxes")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 export``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 export",
        description="Write a network to a file that runs without Keras, and compare the file, run by its own runtime, "
        "with the network; a file that computes something else is not written.",
    )
    add_network_files(parser)
    add_settings(parser, ExportSettings)
    parser.add_argument(
        "--output", metavar="PATH", help="file to write, a folder for saved_model (default: beside the weights)"
    )
    add_settings(parser, DetectorSettings, _DETECTOR_SETTINGS)
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="annotated images to compare on and, for int8, to calibrate and measure with (default: rendered shapes)",
    )
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as train")
    parser.add_argument("--json", metavar="FILE", help="write the figures of the comparison as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake or where the file differs from the network."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        with options_in_messages():
            settings = ExportSettings(**{name: getattr(arguments, name) for name in settings_in(ExportSettings)})
    except ValueError as error:
        parser.error(str(error))
    return run_command("yolo3 export", lambda: _export(arguments, settings))


def _export(arguments: argparse.Namespace, settings: ExportSettings) -> int:
    os.stat(arguments.weights)
    if find_runtime(arguments.weights) is not None:
        raise ValueError(f"{arguments.weights}: expected weights of Keras or Darknet, got an exported file")
    if settings.precision == "int8" and not arguments.data:
        raise ValueError("--precision int8: expected --data DATA with it, images to calibrate and measure with")
    EXPORTERS[settings.format].check_packages()
    suffix = RUNTIMES[settings.format].suffix
    if arguments.output and not arguments.output.lower().endswith(suffix):
        raise ValueError(f"{arguments.output}: expected a name that ends in {suffix} for {settings.format}")

    start_tensorflow()
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.evaluation.evaluate import check_classes
    from yolo3.export.export import default_path, export, metadata_path
    from yolo3.inference.loading import load_detector

    options = {name: getattr(arguments, name) for name in _DETECTOR_SETTINGS}
    if not settings.suppression:
        options["score_threshold"] = AP_SCORE_THRESHOLD  # of the comparison; the file holds all scores
    detector = load_detector(
        arguments.weights,
        classes_path=arguments.classes,
        anchors_path=arguments.anchors,
        cfg_path=arguments.cfg,
        nms=settings.suppression or DetectorSettings.nms,
        **options,
    )
    annotations: list = []
    if arguments.data:
        names = None if detector.network.one_class else detector.class_names
        annotations = list(read_dataset(arguments.data, None, names, arguments.list_name).annotations)
        check_classes(detector, annotations)

    path = arguments.output or default_path(arguments.weights, settings)
    with held_back_stderr():  # converters tell of every step
        exported = export(detector, path, settings, annotations)
    comparison = exported.comparison
    print(f"{exported.path}: {exported.size / 1e6:.1f} MB, metadata also in {metadata_path(exported.path)}")
    print(f"compared with {arguments.weights} on {comparison.images} images, {comparison.milliseconds:.0f} ms each:")
    for name, difference in comparison.outputs.items():
        print(f"  {name:<10} largest difference {difference:.2g}")
    line = f"  {comparison.detections} detections: boxes within {comparison.boxes:.2g} pixels, "
    print(line + f"scores within {comparison.scores:.2g}, {comparison.unmatched} without a match")
    for name, (ap50, ap) in exported.average_precision.items():
        print(f"  {name:<10} AP50 {ap50:.3f}  AP {ap:.3f}")

    if arguments.json:
        write_figures(arguments.json, exported)
    return 0


def write_figures(path: str, exported: Any) -> None:
    """Write the figures of an export as JSON, a :class:`yolo3.export.export.Exported`."""
    from dataclasses import asdict

    from yolo3.files import replace_file

    figures = asdict(exported) | {"path": os.fspath(exported.path)}
    replace_file(path, json.dumps(figures, indent=2) + "\n")
