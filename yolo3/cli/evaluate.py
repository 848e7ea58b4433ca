"""``yolo3 evaluate``: average precision of a network on annotated images."""

import argparse
import json
from collections.abc import Sequence

from yolo3.api.whole_evaluation import ENDINGS, Request, evaluate_detections, evaluate_network
from yolo3.cli.findings import add_findings_option
from yolo3.cli.options import add_detector_options, add_settings, option_type
from yolo3.cli.running import run_command
from yolo3.evaluation.tables import without_nan
from yolo3.files import replace_file
from yolo3.inference.settings import DetectorSettings
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD, SHOWN_SCORE
from yolo3.progress import data_bar, progress_bar
from yolo3.settings import SHARE, settings_in
from yolo3.training.settings import TrainConfig

_FIELDS = "weights data run cfg classes anchors format list_name skip_bad max_pixels at_score".split()


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
    parser.add_argument(
        "--from-detections",
        nargs="+",
        metavar="FILE.json",
        help="what `yolo3 detect --json` wrote, such as the files of its parts, in place of a network; with the "
        f"figures of --weights where `detect` had --score-threshold {AP_SCORE_THRESHOLD:g}",
    )
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
    needed = ("data",) if arguments.from_detections else ("weights", "data")
    missing = [f"--{name}" for name in needed if getattr(arguments, name) is None]
    if missing and not arguments.run:
        parser.error(f"the following arguments are required: {', '.join(missing)}; or --run")
    if arguments.at_score is None:
        arguments.at_score = max(SHOWN_SCORE, arguments.score_threshold)
    if arguments.at_score < arguments.score_threshold:
        parser.error(f"--at-score: expected --score-threshold ({arguments.score_threshold:g}) or more")
    return run_command("yolo3 evaluate", lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    request = Request(
        **{field: getattr(arguments, field) for field in _FIELDS},
        detector={name: getattr(arguments, name) for name in settings_in(DetectorSettings)},
        from_detections=tuple(arguments.from_detections or ()),
        outputs={name: path for name in ENDINGS if (path := getattr(arguments, name))},
    )
    if request.from_detections:
        result = evaluate_detections(request, data_bar=data_bar)
    else:
        result = evaluate_network(request, data_bar=data_bar, image_bar=lambda: progress_bar("image"))
    print(result)

    if arguments.save_detections:
        result.save_detections(arguments.save_detections)
    if arguments.json:
        replace_file(arguments.json, json.dumps(without_nan(result.figures), indent=2) + "\n")
    if arguments.report:
        result.save_report(arguments.report)
        print(f"report: {arguments.report}")
    return 0
