"""AP of training runs against the minutes that they took.

    python benchmarks/curves.py "random weights=runs/train-001" "from yolov3-tiny=runs/train-002" --output ap.png

A point for each evaluation in a run's `log.csv`. Its time is that of the steps and evaluations up to there; what
`timing.json` has beside them (start, compilation, saving, drawing) is counted before the first step.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="what the legend says, and the folder of a run")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.png")
    return parser


def points(folder: Path) -> list[tuple[float, float, float]]:
    """Return (minutes, AP50, AP) after each evaluation of a run."""
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    num_images = len((folder / "train.txt").read_text().splitlines())
    seconds, found = 0.0, []
    for row in rows:
        seconds += num_images / float(row["images_per_second"]) + float(row.get("validation_seconds") or 0)
        if row.get("AP"):
            found.append((seconds, float(row["AP50"]), float(row["AP"])))
    before = json.loads((folder / "timing.json").read_text())["total"] - seconds
    return [((before + at) / 60, ap50, ap) for at, ap50, ap in found]


def draw(runs: dict[str, list[tuple[float, float, float]]], path: Path) -> None:
    """Plot AP50 and AP of runs over minutes, a colour for each run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (name, found) in enumerate(runs.items()):
        minutes, ap50, ap = zip(*found, strict=True)
        axes.plot(minutes, ap, f"C{number}o-", markersize=4, label=f"{name}: AP50 {ap50[-1]:.3f}, AP {ap[-1]:.3f}")
        axes.plot(minutes, ap50, f"C{number}o--", markersize=3, alpha=0.6)
    axes.set(xlabel="minutes", ylabel="AP (solid), AP50 (dashed)", ylim=(0, 1), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path)


def main(argv=None) -> int:
    """Draw the curves, and print their points."""
    arguments = build_parser().parse_args(argv)
    runs = {}
    for given in arguments.runs:
        name, _, folder = given.rpartition("=")
        runs[name] = points(Path(folder))
        print(name, "; ".join(f"{minutes:.1f} min {ap50:.3f} / {ap:.3f}" for minutes, ap50, ap in runs[name]))
    draw(runs, arguments.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
