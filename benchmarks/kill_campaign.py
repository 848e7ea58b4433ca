"""Kill a training run many times and look whether anything is lost, unreadable or different.

    python benchmarks/kill_campaign.py --kills 100 --seed 0

A tiny YOLOv3 is trained on rendered shapes, once without interruption, then again and again with SIGKILL, SIGTERM and
SIGINT: at random instants of start, compilation, steps and evaluation, and as often within a fifth of a second after a
file of the run begins to change; now and then the disk is full or cannot be written to.
After each kill every file must be readable, no epoch may be missing from the log or logged twice, and no epoch that the
state held may be lost; then the run is resumed. When a run ends, its weights must be those of the uninterrupted one bit
for bit. Prints a line for each kill and, last, the numbers; status 1 unless lost, unreadable and different are all 0.

Processes are forked from one that has imported TensorFlow, so that a kill costs seconds. As root the run lies on a
small disk in memory (tmpfs), which is filled and remounted; else a full disk is a limit on the size of files, and one
that cannot be written to is a folder without permissions.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DISK_BYTES = 600 << 20


class Disk:
    """The place of the runs: a tmpfs if it can be mounted, else a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder]
        self.mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0

    @contextlib.contextmanager
    def full(self):
        """Leave no room within the block; yields the limit on the size of files for a child, if that is the way."""
        if not self.mounted:
            yield 100_000
            return
        filler = self.folder / "filler"
        with open(filler, "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        yield None
        filler.unlink()

    @contextlib.contextmanager
    def read_only(self):
        """Refuse writing within the block."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        else:
            os.chmod(self.folder / "run", 0o500)
        yield None
        if self.mounted:
            subprocess.run(["mount", "-o", f"remount,rw,size={DISK_BYTES}", self.folder], check=True)
        else:
            os.chmod(self.folder / "run", 0o700)

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.folder], check=False)


def train(arguments: list[str], log: Path, limit: int | None = None) -> int:
    """Fork a process that runs `yolo3 train`; return its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell started with &
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    from yolo3.cli.train import main

    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code or 0
    sys.stdout.flush()
    os._exit(status)


def wait(child: int, seconds: float = 600.0) -> int:
    """Wait for a process; return its status, or minus the signal that ended it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise SystemExit(f"process {child} did not end within {seconds:.0f} s")


def look(run: Path) -> tuple[list[str], int]:
    """Read every file of a run; return (faults, epochs that its state holds)."""
    from yolo3.models.loading import read_layer_arrays
    from yolo3.models.metadata import read_metadata
    from yolo3.training.run_folder import RunFolder, read_settings

    faults, epochs = [], 0
    folder = RunFolder(run)
    readers = {
        "settings.json": lambda path: read_settings(run),
        "state.npz": lambda path: folder.load_state(),
        "best.h5": lambda path: (read_metadata(path), read_layer_arrays(path)),
        "last.h5": lambda path: (read_metadata(path), read_layer_arrays(path)),
        "data.json": lambda path: json.loads(path.read_text()),
    }
    for name, read in readers.items():
        if (run / name).exists():
            try:
                content = read(run / name)
                epochs = content[1]["epoch"] if name == "state.npz" else epochs
            except Exception as error:
                faults.append(f"unreadable {name}: {error}")
    if (run / "log.csv").exists():
        rows = [int(row["epoch"]) for row in csv.DictReader(io.StringIO((run / "log.csv").read_text()))]
        if rows != list(range(1, len(rows) + 1)):
            faults.append(f"lost: the log has epochs {rows}")
        if epochs > len(rows):
            faults.append(f"lost: the state holds {epochs} epochs, the log {len(rows)}")
    return faults, epochs


def weights_of(run: Path) -> list:
    from yolo3.training.run_folder import RunFolder

    return RunFolder(run).load_state()[0]


class Instant:
    """When a run is killed: after some seconds, or shortly after its files begin to change for the nth time.

    Args:
        draw: Random numbers.
        run: Folder of the run.
        whole: Seconds that a run takes.
    """

    def __init__(self, draw: random.Random, run: Path, whole: float):
        self.run, self.changes, self.after = run, draw.choice([0, 0, 0, 1, 2, 4]), draw.uniform(0, 0.2)
        self.end = time.monotonic() + (3 * whole if self.changes else draw.uniform(0, 1.1 * whole))
        self._seen = self._files()

    def _files(self) -> frozenset:
        with contextlib.suppress(OSError):
            return frozenset((entry.name, entry.inode()) for entry in os.scandir(self.run))
        return frozenset()

    def has_come(self) -> bool:
        """Return whether it is time."""
        if self.changes and (files := self._files()) != self._seen:
            self._seen, self.changes = files, self.changes - 1
            if not self.changes:
                self.end = time.monotonic() + self.after
        return time.monotonic() >= self.end


def try_once(arguments: list[str], log: Path, *, limit: int | None, number: int, instant: Instant) -> tuple[bool, int]:
    """Run a training and kill it by a signal at an instant; return (whether it was killed, its status)."""
    child = train(arguments, log, limit)
    while not instant.has_come():
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            return False, os.waitstatus_to_exitcode(code)
        time.sleep(0.01)
    os.kill(child, number)
    return True, wait(child, 60)


def draw_trouble(disk: Disk, draw: random.Random, begun: bool):
    """Return (name, context) of what ails the disk; mostly nothing, and nothing before a run has begun."""
    drawn = draw.random() if begun else 1.0
    if drawn < 0.08:
        return "full disk", disk.full()
    if drawn < 0.14:
        return "read-only disk", disk.read_only()
    return "", contextlib.nullcontext()


def campaign(disk: Disk, place: Path, common: list[str], options: argparse.Namespace) -> dict[str, int]:
    """Kill and resume runs until there were enough kills; return how often something was lost and so on."""
    log, run, draw = place / "output.log", disk.folder / "run", random.Random(options.seed)
    started = time.monotonic()
    if wait(train([*common, "--output", str(place / "whole")], log)):
        raise SystemExit(f"the uninterrupted run failed: see {log}")
    whole, expected = time.monotonic() - started, weights_of(place / "whole")

    counts = {"kills": 0, "completed": 0, "lost": 0, "unreadable": 0, "different": 0}
    while counts["kills"] < options.kills:
        before = look(run)[1] if run.exists() else 0
        begun = (run / "settings.json").exists()
        arguments = ["--resume", str(run)] if begun else [*common, "--output", str(run)]
        number = draw.choice(SIGNALS)
        trouble, context = draw_trouble(disk, draw, begun)
        with context as limit:
            instant = Instant(draw, run, whole)
            killed, status = try_once(arguments, log, limit=limit, number=number, instant=instant)
        if status and not killed and not trouble:
            raise SystemExit(f"a run without trouble ended with status {status}: see {log}")

        faults, epochs = look(run) if run.exists() else ([], 0)
        if epochs < before:
            faults.append(f"lost: the state held {before} epochs, it holds {epochs}")
        counts["kills"] += killed
        if status == 0:
            counts["completed"] += 1
            if not all((a == b).all() for a, b in zip(weights_of(run), expected, strict=True)):
                faults.append("different: the weights are not those of the uninterrupted run")
            shutil.rmtree(run)
        for fault in faults:
            counts[fault.split(":")[0].split()[0]] += 1
        words = f"{counts['kills']:>4}  {signal.Signals(number).name if killed else 'ended':<8} status {status}"
        print(f"{words:<32}{trouble:<16}{epochs} epochs  {'; '.join(faults)}", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8, help="of each run")
    options = parser.parse_args()

    import keras  # noqa: F401  imported once, before processes are forked

    import yolo3.cli.farewell  # noqa: F401
    import yolo3.cli.train  # noqa: F401
    import yolo3.training.loop  # noqa: F401
    from yolo3.datasets.shapes import write_shapes
    from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, write_anchors

    place = Path(tempfile.mkdtemp(prefix="kill-campaign-"))
    data, anchors = place / "shapes", place / "anchors.txt"
    write_shapes(data, num_train=24, num_val=8, image_size=96)
    write_anchors(anchors, DEFAULT_TINY_ANCHORS)
    common = f"--data {data} --anchors {anchors} --model yolov3-tiny --input-size 64 64 --batch-size 4 --seed 3"
    common += f" --epochs {options.epochs} --evaluate-every 2 --precision float32 --save-minutes 0.005"

    disk = Disk(place / "disk")
    print(f"runs on {'a tmpfs' if disk.mounted else 'a folder'}; full and read-only disks now and then", flush=True)
    try:
        counts = campaign(disk, place, common.split(), options)
    finally:
        disk.unmount()
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    if counts["lost"] or counts["unreadable"] or counts["different"]:
        return 1
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
