"""Draw the validation images of a data set, with images that belong together on one side."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation


def split_annotations(
    annotations: Sequence[Annotation], fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[list[Annotation], list[Annotation]]:
    """Split images at random; the same seed gives the same split.

    Args:
        annotations: The images.
        fraction: Share of the images in the validation part, between 0 and 1.
        seed: Seed of the draw.
        groups: int [N], see `draw_validation`.

    Returns:
        (train, val), each in the old order. Of two images or more both parts get at least one; a single one goes to
        train.

    Raises:
        ValueError: If the fraction is not between 0 and 1.
    """
    chosen = draw_validation([annotation.image_path for annotation in annotations], fraction, seed, groups)
    train = [annotation for annotation, held_out in zip(annotations, chosen, strict=True) if not held_out]
    return train, [annotation for annotation, held_out in zip(annotations, chosen, strict=True) if held_out]


def draw_validation(paths: Sequence[str], fraction: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Draw validation images at random.

    A group comes with the first of its images that is drawn, if it still fits. Where all groups are so large that less
    than half of the images wanted could be drawn, the smallest of them is added, up to twice the images wanted; if that
    is too much as well, it is cut once, and its last images in the order of their names are added.

    Args:
        paths: Paths of the images.
        fraction: Share of the images to draw, between 0 and 1.
        seed: Seed of the draw.
        groups: int [N]; images with the same number stay on one side. None if each may be drawn alone.

    Returns:
        bool [N], whether an image is drawn; of two images or more at least one is, and at least one is not.

    Raises:
        ValueError: If the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation split: expected a fraction between 0 and 1, got {fraction}")
    count = len(paths)
    wanted = min(max(round(count * fraction), 1), count - 1) if count >= 2 else 0
    members: dict[int, list[int]] = {}
    for index, group in enumerate(range(count) if groups is None else groups.tolist()):
        members.setdefault(group, []).append(index)
    group_of = {index: group for group, indices in members.items() for index in indices}

    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(count).tolist():
        group = members[group_of[index]]
        if index not in chosen and len(chosen) + len(group) <= wanted:
            chosen.update(group)

    if len(chosen) < wanted / 2:
        smallest = min((group for group in members.values() if group[0] not in chosen), key=len)
        if len(chosen) + len(smallest) > min(2 * wanted, count - 1):
            in_order = sorted(smallest, key=lambda index: natural_key(paths[index]))
            smallest = in_order[len(chosen) - wanted :]
        chosen.update(smallest)
    return np.isin(np.arange(count), list(chosen))


def natural_key(path: str) -> list[str | int]:
    """Return a key that sorts "frame_9.jpg" before "frame_10.jpg"."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split("([0-9]+)", path))]
