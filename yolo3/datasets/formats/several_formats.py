"""Whether two formats in one folder say the same: CSV that was made of XML does, and needs no question."""

from __future__ import annotations

import filecmp
import os

from yolo3.datasets.annotation import Dataset


def disagreement(taken: Dataset, other: Dataset, whole: bool) -> str:
    """Say where two readings of the same data differ in a way that matters for training.

    The other may know fewer images, and need not know background images; copies in another folder count as the images.
    In each image that both annotate it has to have as many boxes as the one that is taken, with or without difficult
    and crowd ones, which most formats cannot mark.

    Args:
        taken: The data set, or one of its lists, in the format that is taken.
        other: All of it in another format.
        whole: Whether `taken` is all of it as well.

    Returns:
        What differs, "" if nothing does.
    """
    counts = _box_counts(taken)
    named_alike: dict[str, list[str]] = {}
    for path in counts:
        named_alike.setdefault(os.path.basename(path), []).append(path)

    unknown, differing = [], []
    for path, numbers in _box_counts(other).items():
        if not max(numbers):
            continue
        same = path if path in counts else _copy_of(path, named_alike.get(os.path.basename(path), []))
        if same is None:
            unknown.append(path)
        elif not counts[same] & numbers:
            differing.append(
                f"{same} has {max(counts[same])} boxes in {taken.format}, {max(numbers)} in {other.format}"
            )

    if whole and unknown:
        images = "image" if len(unknown) == 1 else "images"
        return f"{other.format} has boxes of {len(unknown)} {images} that {taken.format} lacks, first {unknown[0]}"
    more = f", and {len(differing) - 1} more images differ" if len(differing) > 1 else ""
    return differing[0] + more if differing else ""


def _copy_of(path: str, others: list[str]) -> str | None:
    """Return the one of the others that has the same bytes, None if none has."""
    return next((other for other in others if filecmp.cmp(path, other, shallow=False)), None)


def _box_counts(dataset: Dataset) -> dict[str, set[int]]:
    """Map image to its numbers of boxes: of all, and without the difficult and crowd ones."""
    counts: dict[str, set[int]] = {}
    for annotation in dataset.annotations:
        plain = int((~annotation.difficult & ~annotation.crowd).sum())
        counts.setdefault(os.path.realpath(annotation.image_path), set()).update((len(annotation.boxes), plain))
    return counts
