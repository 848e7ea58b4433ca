"""``yolo3 anchors``: cluster the box sizes of a data set into anchors and compare them with the default ones."""

import argparse
import json
import shlex
from dataclasses import asdict

import numpy as np

from yolo3.cli.findings import add_findings_option
from yolo3.cli.options import add_settings, option_type
from yolo3.cli.running import run_command
from yolo3.datasets.check_findings import check_findings
from yolo3.models.registry import DEFAULT_MODEL, default_model_for_anchors, find_model
from yolo3.models.yolov3.anchor_clusters import AnchorFit, anchor_fit, cluster_rounded
from yolo3.models.yolov3.anchors import (
    default_anchors,
    format_anchors,
    read_anchors,
    write_anchors,
)
from yolo3.outputs import check_outputs
from yolo3.progress import data_bar
from yolo3.settings import COUNT, settings_in
from yolo3.training.box_sizes import network_sizes
from yolo3.training.settings import TrainConfig, anchor_counts

# Of average IoU, a rule of thumb; below the first, pretrained weights are worth more.
SMALL_GAIN, CLEAR_GAIN = 0.02, 0.05
COVERED = 0.98  # share of boxes with IoU .5 or more from which anchors are good enough: the network learns the rest


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 anchors``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 anchors",
        description="Cluster the box sizes of a data set into anchors, in pixels of the network input "
        "(k-means with distance 1 - IoU), and compare them with the default ones.",
    )

    parser.add_argument("--data", required=True, metavar="PATH", help="annotations: a file or a folder")
    add_settings(parser, TrainConfig, ["format", "classes"])
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as trainval")
    parser.add_argument(
        "--num-anchors",
        type=option_type(COUNT.parse),
        default=len(find_model(DEFAULT_MODEL).anchors),
        metavar="N",
        help=f"number of anchors, {anchor_counts()} (default: %(default)s)",
    )
    add_settings(parser, TrainConfig, ["input_size", "resize"])

    parser.add_argument(
        "--anchors", metavar="FILE", help="anchors to compare with (default: those of the network with this number)"
    )
    parser.add_argument("--output", metavar="FILE", help="file to write the new anchors to")
    add_settings(parser, TrainConfig, ["seed"])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_findings_option(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 anchors", lambda: _cluster(arguments))


def _cluster(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.output, arguments.findings)
    old = read_anchors(arguments.anchors) if arguments.anchors else default_anchors(arguments.num_anchors)
    sizes, left_out = _read_sizes(arguments)
    new = cluster_rounded(sizes, arguments.num_anchors, arguments.seed)
    fit, old_fit = anchor_fit(sizes, new), None if old is None else anchor_fit(sizes, old)

    report = {
        "anchors": new.tolist(),
        "fit": asdict(fit),
        "compared_with": None if old is None else np.asarray(old, np.float64).round(4).tolist(),
        "compared_fit": None if old_fit is None else asdict(old_fit),
        "advice": advice(fit, old_fit),
        "next": next_step(arguments) if is_worth_it(fit, old_fit) else None,
        "input_size": list(arguments.input_size),
        "resize": arguments.resize,
        "left_out": left_out,
        "output": arguments.output,
    }
    if arguments.output:
        write_anchors(arguments.output, report["anchors"])
    print(json.dumps(report, indent=2) if arguments.json else _in_words(report))
    return 0


def _read_sizes(arguments: argparse.Namespace) -> tuple[np.ndarray, int]:
    """Return sizes [N, 2], (w, h) in pixels of the network input, and how many boxes cannot be used."""
    from yolo3.datasets.class_names import read_class_names
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.datasets.image_size import shape_of

    names = read_class_names(arguments.classes) if arguments.classes else None
    with data_bar():
        dataset = read_dataset(arguments.data, arguments.format, names, arguments.list_name)
    check_findings(dataset, arguments.data, arguments.findings)

    shapes = [shape_of(annotation) for annotation in dataset.annotations]
    size, resize = tuple(arguments.input_size), arguments.resize
    sizes = network_sizes(dataset.annotations, shapes, input_shape=size, resize=resize)  # [N, 2]
    usable = np.isfinite(sizes).all(axis=1) & (sizes > 0).all(axis=1)
    left_out, sizes = int((~usable).sum()), sizes[usable]
    if not len(sizes):
        raise ValueError(f"{arguments.data}: expected boxes to cluster, got {len(dataset.annotations)} images without")
    return sizes, left_out


def is_worth_it(new: AnchorFit, old: AnchorFit | None) -> bool:
    """Return whether new anchors fit clearly better than those in use, or there are none in use."""
    return old is None or new.mean_iou - old.mean_iou >= SMALL_GAIN


def next_step(arguments: argparse.Namespace) -> str:
    """Return what to do with new anchors: the command that trains with them, or first the option that writes them."""
    entry = default_model_for_anchors(arguments.num_anchors)
    defaults = {name: default for name, (default, _) in settings_in(TrainConfig).items()}
    words = ["yolo3", "train", "--data", arguments.data, "--anchors", arguments.output or "anchors.txt"]
    if tuple(arguments.input_size) != defaults["input_size"]:
        words += ["--input-size", *map(str, arguments.input_size)]
    if arguments.resize != defaults["resize"]:
        words += ["--resize", arguments.resize]
    words += [] if entry else ["--model", "NAME", "--anchor-mask", "I,I,I ..."]

    command = shlex.join(words) if entry else " ".join(words)
    trains = f"trains {entry.name} with them" if entry else "trains with them"
    if arguments.output:
        return f"{command}  # {trains}"
    return f"--output anchors.txt writes the new anchors; then this {trains}: {command}"


def advice(new: AnchorFit, old: AnchorFit | None) -> str:
    """Return a sentence on whether new anchors are worth it.

    Args:
        new: Fit of the new anchors to the boxes of the data set.
        old: Fit of the anchors in use; None where there are none to compare with.
    """
    if old is None:
        return "There are no default anchors of this number to compare with."
    gain = new.mean_iou - old.mean_iou
    change = f"average IoU {old.mean_iou:.3f} -> {new.mean_iou:.3f}"
    if not is_worth_it(new, old):
        return f"Not worth it ({change}): keep the anchors you have."

    scratch = "when you train from random weights; with pretrained weights keep the anchors they were trained with."
    if old.above_50 >= COVERED:
        covered = f"the old anchors cover {old.above_50:.1%} of the boxes"
        return f"A closer fit ({change}), but {covered}: worth a try {scratch}"
    if gain < CLEAR_GAIN:
        return f"A small gain ({change}): worth it {scratch}"
    return f"Worth it ({change}): train with the new anchors and keep their file with the weights."


def _in_words(report: dict) -> str:
    """Return the report as text."""
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
        lines.append(f"skipped: {report['left_out']} boxes without width or height")
    lines.append(report["advice"])
    if report["output"]:
        lines.append(f"written to {report['output']}")
    if report["next"]:
        lines.append(report["next"])
    return "\n".join(lines)
