"""The last lines of a training run: how good the network is, where the files are, and what to run next."""

import shlex

from yolo3.training import run_folder


def farewell(prepared, result) -> str:
    """Return the lines that end a training run.

    Args:
        prepared: Its data, a `yolo3.training.preparation.Prepared`.
        result: What `yolo3.training.loop.train` returned.
    """
    path = result.folder.file
    best = path(run_folder.BEST)

    lines = ["", "Done."]
    if "AP50" in result.last_row:
        row = result.last_row
        lines[-1] += f" On {len(prepared.val)} images it has not seen: AP50 {row['AP50']:.3f}, AP {row['AP']:.3f}"
        lines[-1] += f" (best AP50 {result.best_ap50:.3f})."

    lines += [f"Weights      {best} (best), {path(run_folder.LAST)} (last)"]
    lines += [f"Curves       {path(run_folder.CURVES)}, numbers in {path(run_folder.LOG)}"]
    if prepared.val:
        lines += [f"Predictions  {path(run_folder.PREDICTIONS)}"]
        lines += [f"Report       {path(run_folder.REPORT)}"] if path(run_folder.REPORT).exists() else []

    lines += ["", *result.advice] if result.advice else []

    lines += ["", "Next:", f"  yolo3 detect --weights {shlex.quote(str(best))} IMAGES_OR_FOLDERS"]
    if prepared.val:
        lines += [f"  yolo3 evaluate --run {shlex.quote(str(result.folder.path))}"]
    return "\n".join(lines)
