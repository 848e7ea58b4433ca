"""``yolo3 evaluate``: average precision of a network on annotated images."""

import argparse
import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence

from yolo3.cli.findings import add_findings_option, check_findings
from yolo3.cli.options import add_detector_options, add_settings, detector_options, option_type
from yolo3.cli.outputs import check_outputs
from yolo3.cli.running import run_command
from yolo3.datasets.annotation import Dataset
from yolo3.datasets.images import limit_pixels
from yolo3.detections import AP_SCORE_THRESHOLD, SHOWN_SCORE
from yolo3.evaluation.advice import some_of
from yolo3.file_states import one_look
from yolo3.files import real_paths, replace_file
from yolo3.inference.loading import loading_network
from yolo3.models.published import is_published_name
from yolo3.progress import data_bar, progress_bar
from yolo3.settings import SHARE
from yolo3.training.settings import TrainConfig

_EMPTY_SHOWN = 5  # classes without ground truth that have a row of their own
_ENDINGS = {"report": (".html", ".htm"), "json": (".json",), "save_detections": (".json",), "findings": (".txt",)}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 evaluate``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 evaluate",
        description="Average precision on annotated images, as COCO computes it: AP50 at IoU .5, AP the "
        "mean over IoU .5 to .95. With --report a page that shows where the errors are.",
    )
    parser.add_argument(
        "--run",
        metavar="RUN",
        help="folder of a training run: its best weights on the images that it validated on, except for what other "
        "options say; give --data if the data has moved",
    )
    parser.add_argument("--data", metavar="PATH", help="annotations: a file or a folder; required without --run")
    add_settings(parser, TrainConfig, ["format"])
    parser.add_argument("--list", dest="list_name", metavar="NAME", help="list of the data set, such as test")
    add_detector_options(parser, required=False, score_threshold=AP_SCORE_THRESHOLD)
    add_settings(parser, TrainConfig, ["skip_bad", "max_pixels"])

    parser.add_argument(
        "--at-score",
        type=option_type(SHARE.parse),
        metavar="S",
        help="lowest score of the detections that precision, recall, F1 and the kinds of errors count (default: "
        f"{SHOWN_SCORE}, as in `yolo3 detect`, or --score-threshold if that is higher)",
    )
    parser.add_argument("--report", metavar="FILE.html", help="write a page with figures, curves, errors and images")
    parser.add_argument(
        "--json",
        metavar="FILE.json",
        help="write the figures as JSON: AP50, AP, per_class, at_score, images, images_trained_on",
    )
    parser.add_argument(
        "--save-detections",
        metavar="FILE.json",
        help="write the detections in COCO's results format; images have the ids of COCO annotations, else the "
        "number that is their name, else their position from 1",
    )
    add_findings_option(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    missing = [f"--{name}" for name in ("weights", "data") if getattr(arguments, name) is None]
    if missing and not arguments.run:
        parser.error(f"the following arguments are required: {', '.join(missing)}; or --run")
    if arguments.at_score is None:
        arguments.at_score = max(SHOWN_SCORE, arguments.score_threshold)
    if arguments.at_score < arguments.score_threshold:
        parser.error(f"--at-score: expected --score-threshold ({arguments.score_threshold:g}) or more")
    return run_command("yolo3 evaluate", lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    listed = _take_from_run(arguments) if arguments.run else None
    limit_pixels(arguments.max_pixels)
    _check_files(arguments)

    from yolo3.evaluation import evaluate
    from yolo3.evaluation.measures import measure
    from yolo3.evaluation.recall import RECALL_PROPOSALS, recall_of_best
    from yolo3.inference.loading import load_detector
    from yolo3.training.trained_images import count_trained

    with loading_network(arguments.weights):
        detector = load_detector(**detector_options(arguments))
    dataset, digests = _read_checked(arguments, detector, listed)
    annotations = dataset.annotations
    evaluate.check_classes(detector, annotations, dataset.class_names)
    evaluate.check_objects(annotations, arguments.data)
    if arguments.save_detections:
        # Images that cannot be told apart are an error before the work begins.
        evaluate.coco_ids(annotations, detector.class_names)

    with progress_bar("image") as show:
        detections = evaluate.detect_annotations(detector, annotations, show)
    measures = measure(annotations, detections, detector.class_names, arguments.at_score)
    print(f"{arguments.weights} on {len(annotations)} images of {dataset.name}")
    trained = count_trained((detector.metadata.get("training") or {}).get("images"), digests)
    if trained is not None:
        print(format_trained(trained, len(annotations)))
    print(format_table(measures.coco))
    print(format_line(measures.at_score()))
    results = measures.coco | {"at_score": measures.at_score()}
    results |= {"images": len(annotations), "images_trained_on": trained}
    if detector.network.one_class:
        results["recall"] = recall_of_best(annotations, detections)
        print(f"recall of the {RECALL_PROPOSALS} best boxes per image: {results['recall']:.3f}")

    if arguments.save_detections:
        evaluate.write_coco_detections(arguments.save_detections, annotations, detections, detector.class_names)
    if arguments.json:
        replace_file(arguments.json, json.dumps(without_nan(results), indent=2) + "\n")
    if arguments.report:
        from yolo3.evaluation.report import write_report  # needs Jinja2 and matplotlib

        subject = evaluate.describe(detector, arguments.weights, dataset.name, dataset.format, arguments.at_score)
        if trained is not None:
            facts = {**subject.facts, "Trained on": format_trained(trained, len(annotations))}
            subject = dataclasses.replace(subject, facts=facts)
        write_report(arguments.report, subject, measures, annotations, detections)
        print(f"report: {arguments.report}")
    return 0


def _take_from_run(arguments: argparse.Namespace) -> list[str] | None:
    """Fill in what was not given from the folder of a run.

    Returns:
        Names of the images that the run validated on, as its list has them; None for a list of the data set.
    """
    from yolo3.training import run_folder
    from yolo3.training.sources import data_sources

    config, folder = run_folder.read_settings(arguments.run), run_folder.RunFolder(arguments.run)
    arguments.skip_bad = arguments.skip_bad or config.skip_bad
    arguments.max_pixels = max(arguments.max_pixels, config.max_pixels)
    if arguments.weights is None:
        arguments.weights = str(folder.file(run_folder.BEST))
        if not os.path.exists(arguments.weights):
            raise ValueError(f"{arguments.run}: expected {run_folder.BEST} in it, found none: it has not evaluated yet")

    # A list of the data set that is named is taken as it is, else the run's own list of whatever it was drawn from.
    own = "val" if config.val else "data"
    config = dataclasses.replace(
        config,
        **{own: arguments.data or getattr(config, own), "format": arguments.format or config.format},
    )
    if (path := getattr(config, own)) and not os.path.exists(path):
        raise ValueError(f"{path}: the data of {arguments.run} is not there; if it has moved, say where with --data")
    sources, _ = data_sources(config)
    source = sources[-1]
    arguments.data, arguments.format = source.path, source.format
    if arguments.list_name is not None:
        return None

    arguments.list_name, lists = source.list_name, folder.image_lists()
    if lists is not None and lists.val:
        return lists.val
    if lists is None and len(sources) == 2:
        return None
    why = "it validated on no images" if lists else "runs of earlier versions do not keep which images they drew"
    raise ValueError(f"{arguments.run}: expected a list of validation images: {why}; choose images with --list")


def _outputs(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the files that are to be written, by the options that name them."""
    return {name: path for name in _ENDINGS if (path := getattr(arguments, name))}


def _check_files(arguments: argparse.Namespace) -> None:
    """Raise `ValueError` or `OSError` now for files that would stop the command after its work, or be overwritten."""
    named = (arguments.weights, arguments.cfg, arguments.data, arguments.classes, arguments.anchors)
    taken = [path for path in named if path and not is_published_name(path)]
    for path in taken:
        os.stat(path)

    for name, path in _outputs(arguments).items():
        check_outputs(path)
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(folder):
            try:
                tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell
            except OSError as error:
                message = f"{path}: expected a folder that can be written to, got {folder} ({error.strerror})"
                raise ValueError(message) from error
        if not path.lower().endswith(_ENDINGS[name]):
            option = name.replace("_", "-")
            raise ValueError(f"{path}: expected a name that ends in {_ENDINGS[name][0]} for --{option}")
        if os.path.realpath(path) in map(os.path.realpath, taken):
            raise ValueError(f"{path}: expected a separate output file, got one that another option names")
        taken.append(path)


def _read_checked(arguments: argparse.Namespace, detector, listed: list[str] | None) -> tuple[Dataset, list[str]]:
    """Return the data set as training would validate on it, and the digests of its images.

    Invalid annotations stop the command, or are skipped.

    Args:
        arguments: Of the command.
        detector: What will detect.
        listed: Names of the images to select; all if None.
    """
    from yolo3.datasets.annotation import in_one_class
    from yolo3.datasets.check_boxes import SHIFTED_IDS
    from yolo3.datasets.checks import check_dataset
    from yolo3.datasets.formats.registry import read_dataset
    from yolo3.datasets.usable import usable_annotations
    from yolo3.training.image_lists import select_images

    one_class = detector.network.one_class
    names = None if one_class else detector.class_names
    with one_look(), data_bar() as show:
        dataset = read_dataset(arguments.data, arguments.format, names, arguments.list_name)
        if one_class:
            dataset = in_one_class(dataset, one_class)

        sources = set(real_paths({annotation.source for annotation in dataset.annotations}))
        for path in _outputs(arguments).values():
            if os.path.realpath(path) in sources:
                raise ValueError(f"{path}: expected a separate output file, got one that holds the annotations")

        # report each class that the network does not know once; the reader has a finding for each box
        if not arguments.skip_bad and any(finding.kind == "unknown-class" for finding in dataset.findings):
            own = read_dataset(arguments.data, arguments.format, None, arguments.list_name).class_names
            unknown = [f"'{name}'" for name in own if name not in detector.class_names]
            if unknown:
                raise ValueError(
                    f"{arguments.data}: expected classes that {arguments.weights} knows "
                    f"({some_of(detector.class_names)}), got {some_of(unknown)}; rename them, or skip them with "
                    "--skip-bad"
                )

        findings, images = check_dataset(dataset, train=False, progress=show)
    digests = {item.image_path: image.digest for item, image in zip(dataset.annotations, images, strict=True)}
    usable, skipped = usable_annotations(dataset, findings)
    if arguments.skip_bad:
        findings = [finding for finding in findings if finding.severity != "error" or finding.kind == SHIFTED_IDS]
        if skipped:
            print("skipped: " + ", ".join(f"{number} {kind}" for kind, number in skipped.items()), file=sys.stderr)
    check_findings(
        dataclasses.replace(dataset, annotations=usable, findings=findings), arguments.data, arguments.findings
    )

    name = dataset.name
    if listed is not None:
        name = f"{name}, validation images of {os.path.basename(os.path.normpath(arguments.run))}"
        usable, gone = select_images(usable, listed, dataset.root)
        if gone:
            line = f"{len(gone)} of {len(listed)} validation images of {arguments.run} are not there, first {gone[0]}"
            if not usable:
                raise ValueError(f"{arguments.data}: {line}; if they have moved, say where with --data")
            print(f"warning: {arguments.data}: {line}", file=sys.stderr)
    dataset = dataclasses.replace(dataset, annotations=usable, findings=[], name=name)
    return dataset, [digests[annotation.image_path] for annotation in usable]


def format_table(results: dict) -> str:
    """Return a table with AP50, AP and the number of annotated objects of each class and of all.

    Args:
        results: Figures as from `yolo3.evaluation.coco.coco_results`. Classes without objects have a row each while
            they are few, and a line together when they are many.
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
    lines = [f"{'class':<{width}}{'AP50':>8}{'AP':>8}{'objects':>9}"]
    lines += [f"{name:<{width}}{_figure(ap50):>8}{_figure(ap):>8}{objects:>9}" for name, ap50, ap, objects in rows]
    return "\n".join(lines + ([f"({len(hidden)} classes have no objects)"] if hidden else []))


def format_trained(trained: int, number: int) -> str:
    """Return a line on how many of the images that are evaluated the network was trained on.

    Args:
        trained: Images that were trained on.
        number: All images.
    """
    if not trained:
        return f"None of these {number} images was trained on."
    were = "was" if trained == 1 else "were"
    return (
        f"{trained} of these {number} images {were} trained on: on new images the network is worse than these figures "
        "say; --run or --list selects others."
    )


def format_line(figures: dict) -> str:
    """Return the figures of `yolo3.evaluation.measures.Measures.at_score` as a line."""
    parts = [f"{name} {_figure(figures[name])}" for name in ("precision", "recall", "F1")]
    best = f"best F1 {_figure(figures['best_F1'])} at a score of {_figure(figures['best_score'])}"
    if math.isnan(figures["best_F1"]):
        best = "no hit at any score"
    return f"at a score of {figures['score']:g}: {', '.join(parts)}; {best}"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def without_nan(value):
    """Return a value with None in place of NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
