"""The folder of a training run: its files, none of which is ever half-written, and the state that resuming needs."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo3.arrays import read_arrays, write_arrays
from yolo3.darknet.cfg import Cfg, cfg_bytes
from yolo3.datasets.annotation import Finding
from yolo3.datasets.class_names import write_class_names
from yolo3.datasets.finding_groups import format_findings
from yolo3.files import atomic_path, replace_file
from yolo3.models.yolov3.anchors import write_anchors
from yolo3.records import build_record, shown
from yolo3.temporary import remove_dead, temporary_path
from yolo3.training.data_summary import DataSummary, as_json
from yolo3.training.image_lists import ImageLists, read_names, write_names
from yolo3.training.run_lock import LOCK, RunLock
from yolo3.training.settings import TrainConfig, format_config, parse_config

SETTINGS, CLASSES, ANCHORS, FINDINGS = "settings.json", "classes.txt", "anchors.txt", "findings.txt"
TRAIN_LIST, VAL_LIST = "train.txt", "val.txt"
DATA, TIMING = "data.json", "timing.json"
CFG = "network.cfg"  # in runs with --cfg
LOG, CURVES, PREDICTIONS, TARGETS = "log.csv", "curves.png", "predictions.png", "targets.png"
PRECISION_RECALL, CONFUSION, REPORT = "precision_recall.png", "confusion.png", "report.html"
STATE, BEST, LAST = "state.npz", "best.h5", "last.h5"


@dataclasses.dataclass(frozen=True)
class _Seconds:
    """Content of `timing.json`."""

    seconds: dict[str, float]
    total: float


class RunFolder:
    """The files of a run.

    Args:
        path: The folder, which need not exist yet.

    Attributes:
        path: The same as `pathlib.Path`.
        rows: The log so far, a dict for each epoch.
        decoded: Folder for decoded images, which serve this process alone.
        lock: Keeps other processes from training there.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.rows: list[dict] = []
        self.decoded = temporary_path(self.file("decoded"))
        self.lock = RunLock(self.path)

    def file(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.path / name

    def take_lock(self) -> None:
        """Keep other processes from training in the folder until `lock.release()`; makes the folder if need be.

        Raises:
            ValueError: When another process trains there; it is named.
        """
        if not self.lock.acquire():
            raise ValueError(
                f"{self.path}: expected a run that nobody trains, got one that {self.lock.holder()} trains; wait for "
                "it, or train in another folder (--output)"
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Take the lock for the block; one that is held already stays held.

        Raises:
            ValueError: As `take_lock`.
        """
        held = self.lock.held
        self.take_lock()
        try:
            yield
        finally:
            if not held:
                self.lock.release()

    def start(
        self,
        config: TrainConfig,
        *,
        class_names: list[str],
        anchors: np.ndarray | None = None,
        findings: Sequence[Finding] = (),
        lists: ImageLists | None = None,
        data: DataSummary | None = None,
        cfg: Cfg | None = None,
    ) -> None:
        """Make the folder and write down what the run works with.

        Args:
            config: Settings.
            class_names: In order of the class ids.
            anchors: float [A, 2] (w, h) in pixels of the network input; None for an architecture without.
            findings: Of the checks of the data.
            lists: The images that are trained and validated on.
            data: A summary of them.
            cfg: Darknet cfg whose network is trained, if it is one.
        """
        self.remove_leftovers()
        self.path.mkdir(parents=True, exist_ok=True)
        replace_file(self.file(SETTINGS), format_config(config) + "\n")
        write_class_names(self.file(CLASSES), class_names)
        if anchors is not None:
            write_anchors(self.file(ANCHORS), anchors)
        if cfg is not None:
            with atomic_path(self.file(CFG)) as temporary:
                temporary.write_bytes(cfg_bytes(cfg))
        self.keep_findings(findings)
        if lists is not None:
            self.keep_lists(lists)
        if data is not None:
            replace_file(self.file(DATA), json.dumps(as_json(data), indent=2) + "\n")

    def data_summary(self) -> DataSummary | None:
        """Return what the run was trained on so far; None if an earlier version began it, or the file is damaged."""
        try:
            return build_record(DataSummary, json.loads(self.file(DATA).read_text()))
        except (OSError, ValueError, RecursionError):
            return None

    def seconds(self) -> dict[str, float]:
        """Return the seconds that the run took so far, by phase; empty if none were kept, or the file is damaged."""
        try:
            return build_record(_Seconds, json.loads(self.file(TIMING).read_text())).seconds
        except (OSError, ValueError, RecursionError):
            return {}

    def keep_seconds(self, seconds: Mapping[str, float]) -> None:
        """Write down how long each phase took: `yolo3.training.timing`."""
        rounded = {name: round(value, 3) for name, value in seconds.items()}
        content = {"seconds": rounded, "total": round(sum(seconds.values()), 3)}
        replace_file(self.file(TIMING), json.dumps(content, indent=2) + "\n")

    def move_data(self, data: str | None, val: str | None) -> None:
        """Write down that the data of the run is elsewhere now.

        Args:
            data: Path of the training set; None if it has not moved.
            val: Path of the validation set, likewise.
        """
        moved: dict[str, Any] = {name: path for name, path in (("data", data), ("val", val)) if path is not None}
        if moved:
            config = dataclasses.replace(read_settings(self.path), **moved)
            replace_file(self.file(SETTINGS), format_config(config) + "\n")

    def keep_lists(self, lists: ImageLists) -> None:
        """Write which images the run trains and validates on. Inverse: `image_lists`."""
        write_names(self.file(TRAIN_LIST), lists.train)
        write_names(self.file(VAL_LIST), lists.val)

    def image_lists(self) -> ImageLists | None:
        """Return the images of the run; None for one of an earlier version, which did not keep them."""
        train, val = self.file(TRAIN_LIST), self.file(VAL_LIST)
        return ImageLists(read_names(train), read_names(val)) if train.is_file() and val.is_file() else None

    def keep_findings(self, findings: Sequence[Finding]) -> None:
        """Write every finding of the checks of the data, one a line; makes the folder if need be."""
        replace_file(self.file(FINDINGS), format_findings(findings))

    def remove_leftovers(self) -> None:
        """Remove what runs that were killed left behind: temporary files and decoded images."""
        remove_dead(self.path)
        for pattern in (".decoded.[0-9]*", ".state.[0-9]*.npz", ".best.[0-9]*.h5", ".last.[0-9]*.h5"):
            for path in self.path.glob(pattern):  # of versions whose names did not say the host
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def remove_decoded(self) -> None:
        """Remove the decoded images of this run."""
        shutil.rmtree(self.decoded, ignore_errors=True)

    def log(self, row: dict) -> None:
        """Add the row of an epoch to `log.csv`; columns that it lacks stay empty."""
        self.rows.append(row)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        replace_file(self.file(LOG), text.getvalue())

    def save_state(self, arrays: list[np.ndarray], progress: dict) -> None:
        """Write everything that resuming needs, in one step.

        Args:
            arrays: From `yolo3.training.step.Trainer.state`.
            progress: Plain values, which are kept beside the log.
        """
        progress = {**progress, "rows": self.rows}
        named = {f"array_{index}": array for index, array in enumerate(arrays)}
        write_arrays(self.file(STATE), {"progress": np.array(json.dumps(progress)), **named})

    def has_state(self) -> bool:
        """Return whether an epoch was finished and its state saved."""
        return self.file(STATE).is_file()

    def load_state(self) -> tuple[list[np.ndarray], dict]:
        """Read what `save_state` wrote, and take up the log from there.

        Returns:
            (arrays, progress).

        Raises:
            ValueError: When there is no state, or it is damaged.
        """
        if not self.has_state():
            raise ValueError(f"{self.file(STATE)}: expected the state of a run to resume, found no such file")
        try:
            stored = read_arrays(self.file(STATE))
            progress = json.loads(str(stored.pop("progress")))
            arrays = [stored[f"array_{index}"] for index in range(len(stored))]
            if not isinstance(progress, dict) or not isinstance(progress.get("rows"), list):
                raise ValueError(f"expected an object with the rows of the log, got {shown(progress)}")
        except (KeyError, ValueError, RecursionError) as error:
            raise ValueError(f"{self.file(STATE)}: expected the state of a run, got a damaged file") from error
        self.rows = progress.pop("rows")
        return arrays, progress


def new_run_folder(output: str | None, kind: str = "train") -> RunFolder:
    """Return the folder for a new run, made and locked: no other process can be given the same one.

    Args:
        output: The folder asked for, or None for the first free one of runs/KIND-001, runs/KIND-002, ...; a folder is
            free too if it holds nothing but the findings of data that could not be trained on.
        kind: Of the run.

    Returns:
        The folder. Give its lock back with `folder.lock.release()`; an empty folder is removed then.

    Raises:
        ValueError: When the folder asked for holds a run already, or another process trains there.
    """
    if output is None:
        for number in range(1, 100_000):
            folder = RunFolder(f"runs/{kind}-{number:03d}")
            if _is_free(folder.path) and folder.lock.acquire():
                if _is_free(folder.path):
                    return folder
                folder.lock.release()  # a run was finished there in the meantime
        raise ValueError(f"runs/{kind}-001 to runs/{kind}-99999: expected a free folder, got none; choose an --output")

    folder = RunFolder(output)
    if folder.file(SETTINGS).exists():
        raise ValueError(f"{output}: expected a new folder, found a run in it; resume it with --resume {output}")
    folder.take_lock()
    return folder


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    names = set(os.listdir(path)) if path.is_dir() else set()
    return bool(names) and names <= {FINDINGS, LOCK}


def read_settings(path: str | os.PathLike) -> TrainConfig:
    """Read the settings of a run.

    Args:
        path: Its folder.

    Raises:
        ValueError: When the folder holds no settings, or not those of a run.
    """
    settings = Path(path) / SETTINGS
    if not settings.is_file():
        raise ValueError(f"{path}: expected the folder of a run with {SETTINGS} in it, found none")
    try:
        return parse_config(settings.read_text())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{settings}: expected the settings of a run, got {error}") from error
