"""``yolo3 anchors``: cluster the anchors of a data set and say whether they beat the default ones."""

import argparse
import json
from dataclasses import asdict

import numpy as np

from yolo3.cli.options import check_findings, check_outputs, count, from_zero, run_command, side
from yolo3.datasets.formats.registry import format_help
from yolo3.models.yolov3.anchors import (
    AnchorFit,
    anchor_fit,
    cluster_anchors,
    default_anchors,
    format_anchors,
    read_anchors,
    write_anchors,
)
from yolo3.ops.letterbox import RESIZE_MODES, boxes_to_network

# Gains in average IoU, our own rule of thumb. Below the first, pretrained weights are worth more.
SMALL_GAIN, CLEAR_GAIN = 0.02, 0.05
# Share of boxes at IoU .5 from which the old anchors are good enough: the network learns the rest.
COVERED = 0.98


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 anchors``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 anchors",
        description="Cluster the box sizes of a data set into anchors, in pixels of the network input "
        "(k-means, distance 1 - IoU), and compare them with the default ones.",
    )
    parser.add_argument("--data", required=True, help="annotations: a file or a folder")
    parser.add_argument("--format", help=format_help())
    parser.add_argument("--classes", help="file with one class name a line (default: the data set's own)")
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as trainval")
    parser.add_argument("--num-anchors", type=count, default=9, help="9, or 6 for the tiny network (default: 9)")
    parser.add_argument(
        "--input-size", nargs=2, type=side, default=(416, 416), metavar=("H", "W"),
        help="height and width of the network input in pixels, multiples of 32 (default: 416 416)",
    )  # fmt: skip
    parser.add_argument(
        "--resize", choices=RESIZE_MODES, default="letterbox",
        help="how images are brought to that size (default: letterbox)",
    )  # fmt: skip
    parser.add_argument("--anchors", help="file with anchors to compare with (default: YOLOv3's own)")
    parser.add_argument("--output", help="file to write the new anchors to")
    parser.add_argument("--seed", type=from_zero, default=0, help="seed of the clustering (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 anchors", lambda: _cluster(arguments))


def _cluster(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.output)
    report = _report(arguments)
    if arguments.output:
        write_anchors(arguments.output, report["anchors"])
    print(json.dumps(report, indent=2) if arguments.json else _in_words(report))
    return 0


def _report(arguments: argparse.Namespace) -> dict:
    """Return what the command has to say, ready for JSON."""
    old = read_anchors(arguments.anchors) if arguments.anchors else default_anchors(arguments.num_anchors)
    sizes, left_out = _read_sizes(arguments)
    new = np.maximum(np.round(cluster_anchors(sizes, arguments.num_anchors, arguments.seed), 2), 0.01)
    fit, old_fit = anchor_fit(sizes, new), None if old is None else anchor_fit(sizes, old)
    return {
        "anchors": new.tolist(),
        "fit": asdict(fit),
        "compared_with": None if old is None else np.asarray(old, np.float64).round(4).tolist(),
        "compared_fit": None if old_fit is None else asdict(old_fit),
        "advice": advice(fit, old_fit),
        "input_size": list(arguments.input_size),
        "resize": arguments.resize,
        "left_out": left_out,
        "output": arguments.output,
    }


def _read_sizes(arguments: argparse.Namespace) -> tuple[np.ndarray, int]:
    """Return sizes [N, 2], (w, h) in pixels of the network input, and how many boxes cannot be used."""
    from yolo3.datasets.class_names import read_class_names
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.datasets.image_size import image_size

    names = read_class_names(arguments.classes) if arguments.classes else None
    dataset = read_dataset(arguments.data, arguments.format, names, arguments.list_name)
    check_findings(dataset, arguments.data)
    parts = [np.zeros((0, 2))]
    left_out = 0
    for annotation in dataset.annotations:
        boxes = annotation.boxes[~annotation.crowd]  # one crowd region is many objects
        if len(boxes):
            mapped = boxes_to_network(boxes, image_size(annotation.image_path), arguments.input_size, arguments.resize)
            sizes = (mapped[:, 2:] - mapped[:, :2]).astype(np.float64)
            usable = np.isfinite(sizes).all(axis=1) & (sizes > 0).all(axis=1)
            left_out += int((~usable).sum())
            parts.append(sizes[usable])
    sizes = np.concatenate(parts)
    if not len(sizes):
        raise ValueError(f"{arguments.data}: expected boxes to cluster, got {len(dataset.annotations)} images without")
    return sizes, left_out


def advice(new: AnchorFit, old: AnchorFit | None) -> str:
    """Say in plain words whether the new anchors are worth it."""
    if old is None:
        return "There are no default anchors of this number to compare with."
    gain = new.mean_iou - old.mean_iou
    change = f"average IoU {old.mean_iou:.3f} -> {new.mean_iou:.3f}"
    if gain < SMALL_GAIN:
        return f"Not worth it ({change}): keep the anchors that you have."
    scratch = "when you train from random weights; with pretrained weights keep the anchors they were trained with."
    if old.above_50 >= COVERED:
        served = f"the old anchors serve {old.above_50:.1%} of the boxes"
        return f"Fits closer ({change}), but {served}: worth a try {scratch}"
    if gain < CLEAR_GAIN:
        return f"A small gain ({change}): worth it {scratch}"
    return f"Worth it ({change}): train with the new anchors and keep their file with the weights."


def _in_words(report: dict) -> str:
    """Return the report as lines for a reader."""
    height, width = report["input_size"]
    lines = [
        f"{report['fit']['num_boxes']} boxes, in pixels of a {width} x {height} input ({report['resize']})",
        f"new anchors:  {format_anchors(report['anchors'])}",
        f"  {AnchorFit(**report['fit'])}",
    ]
    if report["compared_fit"]:
        lines.append(f"compared with:  {format_anchors(report['compared_with'])}")
        lines.append(f"  {AnchorFit(**report['compared_fit'])}")
    if report["left_out"]:
        lines.append(f"left out: {report['left_out']} boxes without width or height")
    lines.append(report["advice"])
    if report["output"]:
        lines.append(f"written to {report['output']}")
    return "\n".join(lines)
