"""``yolo3 evaluate``: average precision of a network on annotated pictures."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence

from yolo3.cli import (
    add_detector_options,
    check_findings,
    check_outputs,
    detector_options,
    run_command,
    start_tensorflow,
)
from yolo3.datasets.annotation import replace_file


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 evaluate``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 evaluate",
        description="Average precision on annotated pictures, as COCO computes it: AP50 at IoU .5, AP the "
        "mean over IoU .5 to .95.",
    )
    parser.add_argument("--data", required=True, metavar="PATH", help="annotations: a file or a folder")
    parser.add_argument("--format", help="format of the annotations (default: recognised)")
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as test")
    add_detector_options(parser, 0.001)
    parser.add_argument("--skip-bad", action="store_true", help="leave out what cannot be used instead of stopping")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON: AP50, AP, per_class")
    parser.add_argument(
        "--save-detections", metavar="FILE", help="write the detections in COCO's results format"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 evaluate", lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.json, arguments.save_detections)
    start_tensorflow()

    from yolo3.datasets.formats import read_dataset
    from yolo3.detector import load_detector
    from yolo3.evaluation import check_classes, detect_annotations, write_coco_detections
    from yolo3.metrics import coco_results

    detector = load_detector(**detector_options(arguments))
    dataset = read_dataset(arguments.data, arguments.format, detector.class_names, arguments.list_name)
    dataset = _checked(dataset, detector, arguments)
    check_classes(detector, dataset.annotations, dataset.class_names)
    with _Bar() as bar:
        detections = detect_annotations(detector, dataset.annotations, bar.show)
    results = coco_results(dataset.annotations, detections, detector.class_names)
    if arguments.save_detections:
        write_coco_detections(
            arguments.save_detections, dataset.annotations, detections, detector.class_names
        )
    if arguments.json:
        replace_file(arguments.json, json.dumps(without_nan(results), indent=2) + "\n")
    print(format_table(results))
    return 0


def _checked(dataset, detector, arguments: argparse.Namespace):
    """Return the data set as training would validate on it; what cannot be used stops, or is left out."""
    from yolo3.datasets.checks import SHIFTED_IDS, check_dataset, usable_annotations

    with _Bar() as bar:
        findings = check_dataset(
            dataset, anchors=detector.anchors, anchor_mask=detector.anchor_mask, input_shape=detector.input_shape,
            resize=detector.resize, train=False, progress=bar.show,
        )  # fmt: skip
    usable, left_out = usable_annotations(dataset, findings)
    if arguments.skip_bad:
        shown = [finding for finding in findings if finding.severity != "error" or finding.kind == SHIFTED_IDS]
        if left_out:
            print("left out: " + ", ".join(f"{n} {kind}" for kind, n in left_out.items()), file=sys.stderr)
    else:
        shown = findings
    check_findings(dataclasses.replace(dataset, annotations=usable, findings=shown), arguments.data)
    return dataclasses.replace(dataset, annotations=usable, findings=[])


class _Bar:
    """A progress bar on stderr that is told (done, all)."""

    def __enter__(self):
        from tqdm import tqdm

        self._bar = tqdm(unit="picture", file=sys.stderr, disable=None)
        return self

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_) -> None:
        self._bar.close()


def format_table(results: dict) -> str:
    """Return a table with a row for each class and one for all: AP50, AP and the number of truths."""
    rows = [
        (name, part["AP50"], part["AP"], part["num_truths"]) for name, part in results["per_class"].items()
    ]
    rows.append(("all", results["AP50"], results["AP"], sum(row[3] for row in rows)))
    width = max(len(row[0]) for row in rows) + 2
    lines = [f"{'class':<{width}}{'AP50':>8}{'AP':>8}{'truths':>8}"]
    lines += [
        f"{name:<{width}}{_figure(ap50):>8}{_figure(ap):>8}{truths:>8}" for name, ap50, ap, truths in rows
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def without_nan(value):
    """Return the value with ``None`` for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
