"""Benefit of pretrained weights: one network, three starts, the same number of epochs.

    python benchmarks/finetune.py --data DATA --cfg FILE --weights WHOLE.weights --backbone BACKBONE_FILE --output DIR

trains the network of a Darknet cfg three times (from all weights, from those of the backbone, from random weights),
each into a folder of its own below DIR, and plots AP50 over the epochs of all three. Complete runs that DIR already
holds are not repeated. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "cfg", "weights", "backbone", "output"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--options", default="", help="more options of train.py, as one string")
    parser.add_argument("--image", type=Path, help="file of the plot (default: OUTPUT/finetune.png)")
    return parser


def train(folder: Path, weights: Path | None, arguments) -> None:
    """Train into a folder unless it holds a complete run."""
    if len(read_rows(folder)) >= arguments.epochs:
        return
    command = [sys.executable, str(ROOT / "train.py"), "--cfg", str(arguments.cfg), "--data", str(arguments.data)]
    command += ["--epochs", str(arguments.epochs), "--evaluate-every", "1", "--output", str(folder)]
    command += ["--weights", str(weights)] if weights else []
    subprocess.run([*command, *arguments.options.split()], check=True)


def read_rows(folder: Path) -> list[dict]:
    """Return the rows of a run's log."""
    log = folder / "log.csv"
    return list(csv.DictReader(log.open(newline=""))) if log.exists() else []


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """Plot AP50 over the epochs, one line per start."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (name, values), marker in zip(curves.items(), "o^s", strict=True):
        axes.plot(range(1, len(values) + 1), values, marker=marker, markersize=4, label=f"{name}: {values[-1]:.3f}")
    axes.set(xlabel="epoch", ylabel="AP50 on images not trained on", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path)


def main() -> int:
    arguments = build_parser().parse_args()
    starts = {"whole": arguments.weights, "backbone": arguments.backbone, "random": None}
    for name, weights in starts.items():
        train(arguments.output / name, weights, arguments)

    words = {"whole": "whole network, trained on COCO", "backbone": "backbone only", "random": "random weights"}
    rows = {name: read_rows(arguments.output / name) for name in starts}
    curves = {words[name]: [float(row["AP50"]) for row in rows[name]] for name in starts}
    draw(curves, arguments.image or arguments.output / "finetune.png")
    last = {name: {key: float(rows[name][-1][key]) for key in ("AP50", "AP")} for name in starts}
    print(json.dumps({"epochs": arguments.epochs, **last}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
