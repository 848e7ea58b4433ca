"""``yolo3 evaluate``: average precision of a network on annotated images."""

import argparse
import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence

from yolo3.cli.options import (
    add_detector_options,
    check_findings,
    check_outputs,
    detector_options,
    fraction,
    run_command,
    start_tensorflow,
)
from yolo3.datasets.formats.registry import format_help
from yolo3.detections import AP_SCORE_THRESHOLD, SHOWN_SCORE
from yolo3.evaluation.advice import some_of
from yolo3.files import replace_file

_EMPTY_SHOWN = 5  # classes without truths that have a row of their own
_ENDINGS = {"report": (".html", ".htm"), "json": (".json",), "save_detections": (".json",)}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 evaluate``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 evaluate",
        description="Average precision on annotated images, as COCO computes it: AP50 at IoU .5, AP the "
        "mean over IoU .5 to .95. With --report a page that shows where the errors are.",
    )
    parser.add_argument("--data", required=True, metavar="PATH", help="annotations: a file or a folder")
    parser.add_argument("--format", help=format_help())
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as test")
    add_detector_options(parser, AP_SCORE_THRESHOLD)
    parser.add_argument("--skip-bad", action="store_true", help="leave out what cannot be used instead of stopping")
    parser.add_argument(
        "--at-score", type=fraction, metavar="S",
        help="precision, recall, F1 and the errors are those of detections with at least this score (default: "
        f"{SHOWN_SCORE}, as `yolo3 detect`, or --score-threshold where that is higher)",
    )  # fmt: skip
    parser.add_argument("--report", metavar="FILE.html", help="write a page with figures, curves, errors and images")
    parser.add_argument("--json", metavar="FILE.json", help="write the figures as JSON: AP50, AP, per_class, at_score")
    parser.add_argument(
        "--save-detections", metavar="FILE.json",
        help="write the detections in COCO's results format; images have the ids of COCO annotations, else the "
        "number that is their name, else their place from 1",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.at_score is None:
        arguments.at_score = max(SHOWN_SCORE, arguments.score_threshold)
    if arguments.at_score < arguments.score_threshold:
        parser.error(f"--at-score: expected --score-threshold ({arguments.score_threshold:g}) or more")
    return run_command("yolo3 evaluate", lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    _check_files(arguments)
    start_tensorflow()

    from yolo3.datasets.annotation import in_one_class
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.evaluation.evaluate import (
        check_classes,
        check_objects,
        coco_ids,
        describe,
        detect_annotations,
        write_coco_detections,
    )
    from yolo3.evaluation.measures import measure
    from yolo3.evaluation.report import write_report
    from yolo3.inference.detector import load_detector
    from yolo3.training.validation import RECALL_PROPOSALS, recall_of_best

    detector = load_detector(**detector_options(arguments))
    one_class = detector.architecture.one_class
    names = None if one_class else detector.class_names
    dataset = read_dataset(arguments.data, arguments.format, names, arguments.list_name)
    if one_class:
        dataset = in_one_class(dataset, one_class)
    _check_sources(dataset, arguments)
    _check_names(dataset, detector, arguments)
    dataset = _checked(dataset, detector, arguments)
    check_classes(detector, dataset.annotations, dataset.class_names)
    check_objects(dataset.annotations, arguments.data)
    if arguments.save_detections:
        coco_ids(dataset.annotations, detector.class_names)  # images that cannot be told apart stop now, not at the end
    with _Bar() as bar:
        detections = detect_annotations(detector, dataset.annotations, bar.show)
    measures = measure(dataset.annotations, detections, detector.class_names, arguments.at_score)
    print(format_table(measures.coco))
    print(format_line(measures.at_score()))
    results = measures.coco | {"at_score": measures.at_score()}
    if one_class:
        results["recall"] = recall_of_best(dataset.annotations, detections)
        print(f"recall of the {RECALL_PROPOSALS} best boxes an image: {results['recall']:.3f}")
    if arguments.save_detections:
        write_coco_detections(arguments.save_detections, dataset.annotations, detections, detector.class_names)
    if arguments.json:
        replace_file(arguments.json, json.dumps(without_nan(results), indent=2) + "\n")
    if arguments.report:
        subject = describe(detector, arguments.weights, dataset.name, dataset.format, arguments.at_score)
        write_report(arguments.report, subject, measures, dataset.annotations, detections)
        print(f"report: {arguments.report}")
    return 0


def _outputs(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the files that are to be written, by the options that name them."""
    return {name: path for name in _ENDINGS if (path := getattr(arguments, name))}


def _check_files(arguments: argparse.Namespace) -> None:
    """Raise ``ValueError`` or ``OSError`` now for files that would stop, or be spoilt by, what comes after the work."""
    named = (arguments.weights, arguments.cfg, arguments.data, arguments.classes, arguments.anchors)
    taken = [path for path in named if path]
    for path in taken:
        os.stat(path)
    for name, path in _outputs(arguments).items():
        check_outputs(path)
        _try_folder(path)
        if not path.lower().endswith(_ENDINGS[name]):
            option = name.replace("_", "-")
            raise ValueError(f"{path}: expected a name that ends in {_ENDINGS[name][0]} for --{option}")
        if os.path.realpath(path) in map(os.path.realpath, taken):
            raise ValueError(f"{path}: expected a file of its own to write, got one that another option names")
        taken.append(path)


def _try_folder(path: str) -> None:
    """Raise ``ValueError`` where no file can be put beside this one: what permissions say is not all."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        return
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        message = f"{path}: expected a folder that can be written to, got {folder} ({error.strerror})"
        raise ValueError(message) from error


def _check_sources(dataset, arguments: argparse.Namespace) -> None:
    """Raise ``ValueError`` for an output that is a file of the data set."""
    sources = {os.path.realpath(annotation.source) for annotation in dataset.annotations}
    for path in _outputs(arguments).values():
        if os.path.realpath(path) in sources:
            raise ValueError(f"{path}: expected a file of its own to write, got one that holds the annotations")


def _check_names(dataset, detector, arguments: argparse.Namespace) -> None:
    """Raise ``ValueError`` for classes that the network does not know: once, where the reader tells of each box."""
    from yolo3.datasets.formats.registry import read_dataset

    if arguments.skip_bad or all(finding.kind != "unknown-class" for finding in dataset.findings):
        return
    own = read_dataset(arguments.data, arguments.format, None, arguments.list_name).class_names
    unknown = [f"'{name}'" for name in own if name not in detector.class_names]
    if unknown:
        raise ValueError(
            f"{arguments.data}: expected classes that {arguments.weights} knows ({some_of(detector.class_names)}), got "
            f"{some_of(unknown)}; name them alike, or leave what is unknown out with --skip-bad"
        )


def _checked(dataset, detector, arguments: argparse.Namespace):
    """Return the data set as training would validate on it; what cannot be used stops, or is left out."""
    from yolo3.datasets.check_boxes import SHIFTED_IDS
    from yolo3.datasets.checks import check_dataset
    from yolo3.datasets.usable import usable_annotations

    with _Bar() as bar:
        findings, _ = check_dataset(dataset, train=False, progress=bar.show)
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

        self._bar = tqdm(unit="image", file=sys.stderr, disable=None)
        return self

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_) -> None:
        self._bar.close()


def format_table(results: dict) -> str:
    """Return a table with a row for each class and one for all: AP50, AP and the number of truths.

    Classes without truths are a row each while they are few, and one line together when they are many.
    """
    empty = [name for name, part in results["per_class"].items() if not part["num_truths"]]
    hidden = empty if len(empty) > _EMPTY_SHOWN else []
    rows = [
        (name, part["AP50"], part["AP"], part["num_truths"])
        for name, part in results["per_class"].items()
        if name not in hidden
    ]
    rows.append(("all", results["AP50"], results["AP"], sum(row[3] for row in rows)))
    width = max(len(row[0]) for row in rows) + 2
    lines = [f"{'class':<{width}}{'AP50':>8}{'AP':>8}{'truths':>8}"]
    lines += [f"{name:<{width}}{_figure(ap50):>8}{_figure(ap):>8}{truths:>8}" for name, ap50, ap, truths in rows]
    return "\n".join(lines + ([f"({len(hidden)} classes have no truths)"] if hidden else []))


def format_line(figures: dict) -> str:
    """Return the figures of :meth:`yolo3.evaluation.measures.Measures.at_score` as a line."""
    parts = [f"{name} {_figure(figures[name])}" for name in ("precision", "recall", "F1")]
    best = f"best F1 {_figure(figures['best_F1'])} at a score of {_figure(figures['best_score'])}"
    if math.isnan(figures["best_F1"]):
        best = "no hit at any score"
    return f"at a score of {figures['score']:g}: {', '.join(parts)}; {best}"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def without_nan(value):
    """Return the value with ``None`` for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
