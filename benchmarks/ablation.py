"""What each choice within the YOLOv3 loss does to average precision, all else equal.

    python benchmarks/ablation.py --data bccd --output runs/ablation \
        --options "--train-list trainval --val-list test --input-size 320 320 --epochs 15"

One run of the tiny network for each row and seed, one after the other, each with one choice that differs from the
defaults. Rows that are in the output folder already are read, not run again. Prints a Markdown table.
"""

import argparse
import csv
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHOICES = {
    "defaults (Darknet's loss)": "",
    "IoU": "--box-loss iou --box-scale 5",
    "GIoU": "--box-loss giou --box-scale 5",
    "DIoU": "--box-loss diou --box-scale 5",
    "CIoU": "--box-loss ciou --box-scale 5",
    "CIoU, weight 1": "--box-loss ciou",
    "focal loss, objectness": "--focal objectness",
    "focal loss, classes": "--focal class",
    "smoothed labels, .1": "--label-smoothing 0.1",
    "several anchors, IoU above .4": "--iou-thresh 0.4",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--options", default="", help="of `yolo3 train`, for all runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", choices=CHOICES, default=list(CHOICES), metavar="ROW")
    return parser


def last_row(folder: Path) -> dict | None:
    """Return the last row of a run's log, None where there is none."""
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
    print(f"| choice | options | AP50 ({len(arguments.seeds)} seeds) | AP |\n|---|---|---|---|", flush=True)
    for number, (name, choice) in enumerate(CHOICES.items()):
        if name not in arguments.rows:
            continue
        rows = [run(arguments.output / f"{number}-seed-{seed}", choice, arguments, seed) for seed in arguments.seeds]
        figures = [statistics.mean(float(row[key]) for row in rows) for key in ("AP50", "AP")]
        print(f"| {name} | `{choice}` | {figures[0]:.3f} | {figures[1]:.3f} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
