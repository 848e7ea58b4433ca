"""Effect of each choice within the YOLOv3 loss, or of the precision, on average precision, all else being equal.

    python benchmarks/ablation.py --data bccd --output runs/ablation \
        --options "--train-list trainval --val-list test --input-size 320 320 --epochs 15"
    python benchmarks/ablation.py --of precision --seeds 0 1 --data bccd --output runs/precision \
        --options "--train-list trainval --val-list test --input-size 320 320 --epochs 20"

One run of YOLOv3-tiny for each row and seed, each with one choice that differs from the defaults. Runs that the output
folder already holds are read, not repeated. Prints a Markdown table of the means over the seeds, and each seed's AP50.
"""

import argparse
import csv
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOSS = {
    "defaults": "",
    "Darknet's loss": "--box-loss xywh --objectness-target one",
    "Darknet's boxes": "--box-loss xywh",
    "objectness of one": "--objectness-target one",
    "IoU": "--box-loss iou",
    "GIoU": "--box-loss giou",
    "DIoU": "--box-loss diou",
    "CIoU, weight 1": "--box-scale 1",
    "CIoU, weight 10": "--box-scale 10",
    "focal loss, objectness": "--focal objectness",
    "focal loss, classes": "--focal class",
    "smoothed labels, .1": "--label-smoothing 0.1",
    "several anchors, IoU above .4": "--iou-thresh 0.4",
}
PRECISION = {name: f"--precision {name}" for name in ("bfloat16", "float32")}
CHOICES = {"loss": LOSS, "precision": PRECISION}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=CHOICES, default="loss", help="what differs between the rows")
    parser.add_argument("--data", required=True, help="data set, as of `yolo3 train`")
    parser.add_argument("--output", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--options", default="", help="options of `yolo3 train` for all runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="names of rows (default: all)")
    return parser


def last_row(folder: Path) -> dict | None:
    """Return the last row of a run's log, or None if there is no such run."""
    log = folder / "log.csv"
    if not log.exists():
        return None
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[-1] if rows and rows[-1].get("AP50") else None


def run(folder: Path, choice: str, arguments, seed: int) -> dict:
    """Train, unless the folder holds the run, and return the last row of its log."""
    anchors = ROOT / "model_data" / "tiny_yolo_anchors.txt"
    command = [sys.executable, "-m", "yolo3", "train", "--anchors", str(anchors), "--data", arguments.data]
    command += ["--seed", str(seed), "--output", str(folder), *shlex.split(arguments.options), *shlex.split(choice)]
    if last_row(folder) is None:
        subprocess.run(command, check=True, stdout=sys.stderr)
    row = last_row(folder)
    assert row is not None, f"{folder}: the run left no figures"
    return row


def main(argv=None) -> int:
    """Run what is missing and print the table."""
    arguments = build_parser().parse_args(argv)
    choices = CHOICES[arguments.of]
    unknown = set(arguments.rows or ()) - set(choices)
    if unknown:
        raise SystemExit(f"--rows: expected some of {', '.join(choices)}; got {', '.join(sorted(unknown))}")

    print("| choice | options | AP50 | AP | AP50 of each seed |\n|---|---|---|---|---|", flush=True)
    for number, (name, choice) in enumerate(choices.items()):
        if arguments.rows and name not in arguments.rows:
            continue

        folders = [arguments.output / f"{arguments.of}-{number}-seed-{seed}" for seed in arguments.seeds]
        rows = [run(folder, choice, arguments, seed) for folder, seed in zip(folders, arguments.seeds, strict=True)]
        means = [statistics.mean(float(row[key]) for row in rows) for key in ("AP50", "AP")]
        each = ", ".join(f"{float(row['AP50']):.3f}" for row in rows)
        print(f"| {name} | `{choice}` | {means[0]:.3f} | {means[1]:.3f} | {each} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
