"""Draw the lists train, val and test of a data set, stratified and with images that belong together in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.check_images import ImageCheck
from yolo3.datasets.image_groups import describe_groups, group_images
from yolo3.datasets.split_settings import SplitSettings
from yolo3.datasets.stratified import stratified_parts


def draw_lists(
    annotations: Sequence[Annotation], checks: Sequence[ImageCheck], num_classes: int, settings: SplitSettings
) -> tuple[dict[str, Sequence[Annotation]], list[str]]:
    """Draw lists; the same seed gives the same ones.

    Args:
        annotations: The images.
        checks: What decoding each of them showed.
        num_classes: Number of classes.
        settings: Shares and seed.

    Returns:
        List name to images in the old order, and lines for the user.

    Raises:
        ValueError: If the shares leave nothing to train on, or there are too few images.
    """
    shares = {"train": 1 - settings.val_split - settings.test_split, "val": settings.val_split}
    shares |= {"test": settings.test_split} if settings.test_split else {}
    groups = group_images([item.image_path for item in annotations], checks)
    part_of = stratified_parts(annotations, list(shares.values()), groups, num_classes, settings.seed)

    lists: dict[str, Sequence[Annotation]] = {
        name: [item for item, own in zip(annotations, part_of, strict=True) if own == part]
        for part, name in enumerate(shares)
    }
    notes = []
    if together := describe_groups(groups):
        notes.append(f"Kept in one list each: {together}.")
    cut = sum(len(set(part_of[groups == group])) > 1 for group in np.unique(groups))
    if cut:
        notes.append(f"Cut in two: {cut} of these groups, too large for the lists; frames beside the cut look alike.")
    return lists, notes
