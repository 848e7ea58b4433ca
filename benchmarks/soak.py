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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args()

    import keras

    from yolo3.datasets.shapes import write_shapes
    from yolo3.inference.detector import Detector
    from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors
    from yolo3.training.loop import train
    from yolo3.training.preparation import prepare
    from yolo3.training.run_folder import RunFolder
    from yolo3.training.settings import TrainConfig

    points: dict[str, list[dict]] = {"steps": [], "images": []}

    def note(part: str, count: int, total: int) -> None:
        if count % max(total // 10, 1) == 0:
            points[part].append({"count": count, **usage()})
            if not options.json:
                row = points[part][-1]
                figures = f"{row['memory_mb']:8.0f} MB {row['files']:>4} files {row['threads']:>4} threads"
                print(f"{part:<7}{count:>7}  {figures}", flush=True)

    class Count(keras.callbacks.Callback):
        done = 0

        def on_train_batch_end(self, batch, logs=None):
            self.done += 1
            note("steps", self.done, options.steps)

    with tempfile.TemporaryDirectory() as folder:
        data, anchors = Path(folder) / "shapes", Path(folder) / "anchors.txt"
        write_shapes(data, num_train=80, num_val=16, image_size=96)
        write_anchors(anchors, DEFAULT_TINY_ANCHORS)
        config = TrainConfig(
            anchors=str(anchors),
            data=str(data),
            model="yolov3-tiny",
            input_size=(64, 64),
            batch_size=4,
            epochs=-(-options.steps // 20),
            precision="float32",
        )
        run = RunFolder(Path(folder) / "run")
        train(config, prepare(config), run, callbacks=[Count()], say=lambda line: None, show_progress=False)

        detector = Detector(run.file("last.h5"))
        images = sorted(str(path) for path in (data / "JPEGImages").iterdir())
        for count, _ in enumerate(detector.detect_each(images[n % len(images)] for n in range(options.images)), 1):
            note("images", count, options.images)

    result = {part: {"points": rows, "grows": grows(rows)} for part, rows in points.items()}
    if options.json:
        print(json.dumps(result, indent=2))
    growing = [part for part, values in result.items() if values["grows"]]
    print(f"grows: {', '.join(growing)}" if growing else "nothing grows", file=sys.stderr)
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
