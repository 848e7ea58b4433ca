"""One training step in a process of its own, to see whether memory holds it.

Where memory ends on a processor TensorFlow aborts, or the kernel kills the process, so that no exception could be
caught; and what a failed step has taken is given back whole.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.memory import free_address_space, free_memory, resident_memory
from yolo3.models.architecture import Architecture
from yolo3.training.settings import TrainConfig

ROOM = 0.7  # of the free memory may be taken by a step: decoded images take up to a quarter, and batches are made ahead
_LOOK = 0.02  # seconds between two looks at how much the process takes
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from yolo3.training.batch_trial import main; main()"
)


@dataclass(frozen=True)
class Trial:
    """A training step to be tried.

    Args:
        config: Settings of the run, whose batch size is that of the step.
        architecture: What is trained.
        input_size: (height, width) in pixels, the largest of the run.
        num_classes: Of the boxes.
        num_boxes: Boxes in each image.
        address_space: Bytes that the process may map; None for no limit.
    """

    config: TrainConfig
    architecture: Architecture
    input_size: tuple[int, int]
    num_classes: int
    num_boxes: int
    address_space: int | None = None


def shortage(trial: Trial, room: int | None = None, check: Callable[[], None] = lambda: None) -> str:
    """Run a trial in a process of its own, and return why memory does not hold it; "" if it does.

    Args:
        trial: The step.
        room: Bytes of memory that the process may take, by default `ROOM` of what is free.
        check: Is called now and then; what it raises ends the trial.
    """
    room = int(ROOM * free_memory()) if room is None else room
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        pickle.dump(sys.path, given)
        pickle.dump(trial, given)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=given,
            stdout=said,
            stderr=said,
            start_new_session=True,  # a Ctrl-C is for the run, which ends the trial
        )
        try:
            while process.poll() is None:
                check()
                if resident_memory(process.pid) > room:
                    return f"it takes more than {room / 1e9:.1f} GB"
                time.sleep(_LOOK)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if process.returncode < 0:
        return f"the process was ended by {signal.Signals(-process.returncode).name}"
    return _last_words(lines) if process.returncode else ""


def _last_words(lines: Sequence[str]) -> str:
    """Return the line of what a failed process said that tells why, as far as one does."""
    telling = [line for line in lines if "OOM" in line or "out of memory" in line.lower()]
    return (telling or lines or ["it failed"])[-1].strip()[:200]


def address_space_of_a_step() -> int | None:
    """Return the bytes that the process of a trial may map where this one has a limit; None without one."""
    free = free_address_space()
    if free is None:
        return None
    import resource

    return int(resource.getrlimit(resource.RLIMIT_AS)[0] - (1 - ROOM) * free)


def main() -> None:
    """Run the trial that is on standard input: the whole network is trained for one step."""
    trial: Trial = pickle.load(sys.stdin.buffer)
    _go_first()
    if trial.address_space is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (trial.address_space, resource.getrlimit(resource.RLIMIT_AS)[1]))

    from yolo3.startup import start_tensorflow
    from yolo3.training.step import Trainer
    from yolo3.training.synthetic import synthetic_batch

    start_tensorflow()
    trainer = Trainer(trial.config, trial.architecture, steps=1000)
    images, boxes = synthetic_batch(
        trial.config.batch_size,
        trial.input_size,
        num_classes=trial.num_classes,
        rng=np.random.default_rng(0),
        num_boxes=trial.num_boxes,
    )
    terms = trainer.train_step(images, boxes, 1e-6)
    print(*(float(value) for value in terms.values()))


def _go_first() -> None:
    """Be the process that the kernel ends if memory is short all the same."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{os.getpid()}/oom_score_adj", "w") as file:
            file.write("1000")
