"""The images that a training loop may use, from a path, a data set or a list."""

from __future__ import annotations

import os
from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.usable import usable_annotations


def usable_images(data: str | os.PathLike | Dataset | Sequence[Annotation], skip_bad: bool = False) -> list[Annotation]:
    """Return the checked annotations of a data set.

    Args:
        data: A path in any format that is read, a data set, or annotations, which are taken as they are.
        skip_bad: Whether what is invalid is left out.

    Raises:
        ValueError: Where annotations are invalid and not left out, or there are none.
    """
    if isinstance(data, (str, os.PathLike)):
        data = read_dataset(data)
    if isinstance(data, Dataset):
        findings, _ = check_dataset(data, train=True)
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors and not skip_bad:
            number = f"{len(errors):,} invalid annotation{'' if len(errors) == 1 else 's'}"
            raise ValueError(f"{data.name}: {number}, the first: {errors[0]}; skip_bad=True leaves them out")
        name, (annotations, _) = data.name, usable_annotations(data, findings)
    else:
        name, annotations = "data", list(data)
    if not annotations:
        raise ValueError(f"{name}: expected annotated images, got none")
    return annotations
