"""Train and detect for long, and look whether memory, open files or threads grow.

    python benchmarks/soak.py --steps 10000 --images 2000

trains a tiny YOLOv3 on rendered shapes for that many steps, then detects in that many images, in this process, and
prints resident memory, open files and threads at ten points of each; JSON with --json. Status 1 if memory grows by more
than a twentieth, or files or threads by more than a few, from the third point on to the last.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def usage() -> dict:
    """Return resident memory in MB, open file handles and threads of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "memory_mb": int(status["VmRSS"].split()[0]) / 1024,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
        "python_threads": threading.active_count(),
    }


def grows(points: list[dict]) -> bool:
    """Return whether something grows after the first two points, by when all is compiled and cached."""
    early, late = points[2], points[-1]
    return late["memory_mb"] > 1.05 * early["memory_mb"] + 20 or any(
        late[name] > early[name] + 4 for name in ("files", "threads")
    )


class Points:
    """Usage at ten points of a part."""

    def __init__(self, part: str, total: int, quiet: bool):
        self.part, self.every, self.quiet = part, max(total // 10, 1), quiet
        self.rows: list[dict] = []

    def note(self, count: int) -> None:
        """Note the usage after `count` steps or images, if it is one of the points."""
        if count % self.every:
            return
        row = {"count": count, **usage()}
        self.rows.append(row)
        if not self.quiet:
            figures = f"{row['memory_mb']:8.0f} MB {row['files']:>4} files {row['threads']:>4} threads"
            print(f"{self.part:<7}{count:>7}  {figures}", flush=True)


def train_long(data: Path, folder: Path, steps: int, points: Points) -> Path:
    """Train for some steps; return the weights."""
    import keras

    from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
    from yolo3.training.loop import train
    from yolo3.training.preparation import prepare
    from yolo3.training.run_folder import RunFolder
    from yolo3.training.settings import TrainConfig

    class Count(keras.callbacks.Callback):
        done = 0

        def on_train_batch_end(self, batch, logs=None):
            self.done += 1
            points.note(self.done)

    write_anchors(folder / "anchors.txt", DEFAULT_TINY_ANCHORS)
    config = TrainConfig(
        anchors=str(folder / "anchors.txt"),
        data=str(data),
        model="yolov3-tiny",
        input_size=(64, 64),
        batch_size=4,
        epochs=-(-steps // 20),
        precision="float32",
    )
    run = RunFolder(folder / "run")
    train(config, prepare(config), run, callbacks=[Count()], say=lambda line: None, show_progress=False)
    return run.file("last.h5")


def detect_long(weights: Path, data: Path, num_images: int, points: Points) -> None:
    """Detect in some images, the same ones again and again."""
    from yolo3.inference.detector import Detector

    images = sorted(str(path) for path in (data / "JPEGImages").iterdir())
    detections = Detector(weights).detect_each(images[number % len(images)] for number in range(num_images))
    for count, _ in enumerate(detections, 1):
        points.note(count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args()

    from yolo3.datasets.shapes import write_shapes

    steps, images = Points("steps", options.steps, options.json), Points("images", options.images, options.json)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "shapes"
        write_shapes(data, num_train=80, num_val=16, image_size=96)
        weights = train_long(data, Path(folder), options.steps, steps)
        detect_long(weights, data, options.images, images)

    result = {points.part: {"points": points.rows, "grows": grows(points.rows)} for points in (steps, images)}
    if options.json:
        print(json.dumps(result, indent=2))
    growing = [part for part, values in result.items() if values["grows"]]
    print(f"grows: {', '.join(growing)}" if growing else "nothing grows", file=sys.stderr)
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
