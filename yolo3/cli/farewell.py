"""The last lines of a training run: how good the network is, where the files are, and what to run next."""

import shlex

from yolo3.training import run_folder
from yolo3.training.result import Result
from yolo3.training.timing import time_in_words


def farewell(result: Result) -> str:
    """Return the lines that end a training run.

    Args:
        result: What `yolo3.training.loop.train` returned.
    """
    path = result.folder.file
    best = path(run_folder.BEST)

    lines = ["", "Done."]
    if result.chosen:
        lines[-1] += f" On {result.num_val} images it has not seen: AP50 {result.AP50:.3f}, AP {result.AP:.3f}"
        lines[-1] += f"{result.chosen}."

    lines += [f"Weights      {best} (best), {path(run_folder.LAST)} (last)"]
    lines += [f"Curves       {path(run_folder.CURVES)}, numbers in {path(run_folder.LOG)}"]
    if result.num_val:
        lines += [f"Predictions  {path(run_folder.PREDICTIONS)}"]
        lines += [f"Report       {path(run_folder.REPORT)}"] if path(run_folder.REPORT).exists() else []

    lines += [f"Time         {time_in_words(result.seconds)}"] if result.seconds else []
    lines += ["", *result.advice] if result.advice else []

    lines += ["", "Next:", f"  yolo3 detect --weights {shlex.quote(str(best))} IMAGES_OR_FOLDERS"]
    if result.num_val:
        lines += [f"  yolo3 evaluate --run {shlex.quote(str(result.folder.path))}"]
    return "\n".join(lines)
