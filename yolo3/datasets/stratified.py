"""Divide a data set into parts that hold each class in the same share.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data"): the rarest
class first, each of its images goes to the part that misses it most. Here groups of images take the place of images.
The package iterative-stratification knows no groups, and needs scikit-learn and SciPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.splits import natural_key


def stratified_parts(
    annotations: Sequence[Annotation], shares: Sequence[float], groups: np.ndarray, num_classes: int, seed: int
) -> np.ndarray:
    """Divide images into parts of given shares, in each of which a class is in its share of the images.

    Images without objects count as a class of their own. Where groups leave a part with less than half of its images,
    the largest group of another part is cut once, in the order of names, and its last images fill the part.

    Args:
        annotations: The images.
        shares: Share of the images in each part, above 0; their sum is 1.
        groups: int [N]; images with the same number stay in one part.
        num_classes: Number of classes.
        seed: Seed of the draw; the same seed gives the same parts.

    Returns:
        int64 [N], the part of each image.

    Raises:
        ValueError: If a share is not above 0, or there are more parts than images.
    """
    if min(shares) <= 0:
        raise ValueError(f"split: expected shares above 0 whose sum is below 1, got {', '.join(map(str, shares[1:]))}")
    if len(annotations) < len(shares):
        raise ValueError(f"split: expected at least an image for each of {len(shares)} parts, got {len(annotations)}")
    present = np.zeros((len(annotations), num_classes + 1))
    for row, annotation in zip(present, annotations, strict=True):
        row[annotation.class_ids[~annotation.crowd]] = 1
        row[-1] = not row[:-1].any()

    # Units are groups: how many images they have, and how many of them with each class.
    unit_of = np.unique(groups, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(unit_of)
    labels = np.stack([np.bincount(unit_of, weights=column) for column in present.T], axis=1)  # [U, C + 1]
    part_of = _assign(sizes, labels, np.asarray(shares, np.float64), np.random.default_rng(seed))[unit_of]

    due = np.maximum(1, np.round(np.asarray(shares) * len(annotations))).astype(int)
    for part, wanted in enumerate(due):
        have = int((part_of == part).sum())
        if have < wanted / 2:
            fullest = int(np.argmax(np.bincount(part_of, minlength=len(due)) - due))
            inside = np.flatnonzero(part_of == fullest)
            largest = np.bincount(groups[inside]).argmax()
            film = [int(index) for index in inside if groups[index] == largest]
            film.sort(key=lambda index: natural_key(annotations[index].image_path))
            moved = film[max(1, len(film) - (wanted - have)) :] if len(film) > 1 else film
            part_of[moved] = part
    return part_of


def _assign(sizes: np.ndarray, labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return int64 [U], the part of each unit."""
    missing = shares * sizes.sum()  # images
    missing_labels = shares[:, None] * labels.sum(axis=0)  # [P, C + 1]
    part_of = np.full(len(sizes), -1)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large ones first, while all parts have room

    while (part_of < 0).any():
        left = labels[part_of < 0].sum(axis=0)
        label = int(np.where(left > 0, left, np.inf).argmin())
        for unit in order[(part_of[order] < 0) & (labels[order, label] > 0)]:
            # The part that misses most of this class, then most images.
            part = max(range(len(shares)), key=lambda p: (missing_labels[p, label], missing[p], rng.random()))
            part_of[unit] = part
            missing[part] -= sizes[unit]
            missing_labels[part] -= labels[unit]
    return part_of
