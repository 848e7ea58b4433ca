"""``yolo3.evaluate``: the figures of ``yolo3 evaluate``, in one call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

from yolo3.api.whole_evaluation import Request, evaluate_detections, evaluate_network
from yolo3.arguments import Arguments
from yolo3.datasets.check_findings import print_to_stderr
from yolo3.evaluation.result import Evaluation
from yolo3.inference.settings import DetectorSettings
from yolo3.progress import data_bar, progress_bar

_FILES = ("weights", "data", "run", "cfg", "classes", "anchors")
_OWN = (*_FILES, "from_detections", "format", "list_name", "skip_bad", "max_pixels", "at_score", "findings", "verbose")
ARGUMENTS = Arguments(
    "evaluate",
    (DetectorSettings,),
    own=_OWN,
    names={"list": "list_name"},
    valued=[name for name in _OWN if name not in ("skip_bad", "verbose")],
)


def evaluate(
    weights: str | os.PathLike | None = None,
    data: str | os.PathLike | None = None,
    *,
    run: str | os.PathLike | None = None,
    cfg: str | os.PathLike | None = None,
    classes: str | os.PathLike | None = None,
    anchors: str | os.PathLike | None = None,
    from_detections: Sequence[str | os.PathLike] = (),
    format: str | None = None,
    list_name: str | None = None,
    skip_bad: bool = Request.skip_bad,
    max_pixels: int = Request.max_pixels,
    at_score: float | None = None,
    findings: str | os.PathLike | None = None,
    verbose: bool = True,
    **settings: Any,
) -> Evaluation:
    """Compute the average precision of a network on annotated images, as ``yolo3 evaluate`` does.

    Args:
        weights: File of the network, of any kind that detects, or the name of a published one.
        data: Annotations, a file or a folder, in any format that is read.
        run: Folder of a training run: its best weights on what it validated on, except for what else is given.
        cfg: Darknet cfg of Darknet weights.
        classes: File of class names, for weights that carry none.
        anchors: File of anchors, for weights that carry none.
        from_detections: Files that ``yolo3 detect --json`` wrote, in place of a network. Figures are those of `weights`
            where ``detect`` had the same settings, ``--score-threshold 0.001`` among them.
        format: Name of the format of the annotations; recognised by content if None.
        list_name: Name of a list of the data set, such as "test".
        skip_bad: Whether invalid annotations are skipped.
        max_pixels: Largest number of pixels of an image.
        at_score: Lowest score of the detections that precision, recall, F1 and the kinds of errors count.
        findings: File to write every finding about the data to.
        verbose: Whether lines about the data and, on a terminal, progress bars are shown.
        **settings: Those of the detector (`batch_size`, `input_shape`, `nms`, ...), the fields of
            :class:`yolo3.inference.settings.DetectorSettings`; `score_threshold` is low by default, as AP needs it.

    Returns:
        The figures: `AP50`, `AP`, `per_class`, `at_score`, all of them in `figures`; it prints as the command does.

    Raises:
        OSError: For files that cannot be read.
        TypeError: For an argument that there is not, or neither `weights` and `data` nor `run`, nor `from_detections`
            and `data`.
        ValueError: For data or files that do not fit the network or each other, and for invalid annotations.

    Example:
        >>> result = yolo3.evaluate("runs/train-001/best.h5", "VOCdevkit/VOC2007", list_name="test")
        >>> result.AP50, result.per_class["dog"]["AP50"]
        (0.62, 0.71)
        >>> result.save_report("report.html")
    """
    detector = ARGUMENTS.checked(settings)
    files = {"weights": weights, "data": data, "run": run, "cfg": cfg, "classes": classes, "anchors": anchors}
    needed = ("data",) if from_detections else ("weights", "data")
    missing = [name for name in needed if files[name] is None]
    if missing and run is None:
        raise TypeError(f"evaluate() needs {' and '.join(missing)}, or run")

    request = Request(
        **{name: None if path is None else os.fspath(path) for name, path in files.items()},
        from_detections=tuple(os.fspath(path) for path in from_detections),
        format=format,
        list_name=list_name,
        skip_bad=skip_bad,
        max_pixels=max_pixels,
        at_score=at_score,
        detector=detector,
        outputs={} if findings is None else {"findings": os.fspath(findings)},
    )
    lowest = detector.get("score_threshold") or 0.0
    if at_score is not None and not lowest <= at_score <= 1:
        raise ValueError(f"at_score: expected a number from score_threshold ({lowest:g}) to 1, got {at_score}")

    options: dict[str, Any] = {"data_bar": data_bar, "image_bar": lambda: progress_bar("image", leave=False)}
    options["warn"] = lambda line: print_to_stderr(ARGUMENTS.words(line))
    if not verbose:
        options = {"data_bar": contextlib.nullcontext, "image_bar": contextlib.nullcontext, "warn": lambda line: None}
    with ARGUMENTS.in_messages():
        if request.from_detections:
            return evaluate_detections(request, warn=options["warn"], data_bar=options["data_bar"])
        return evaluate_network(request, **options)
