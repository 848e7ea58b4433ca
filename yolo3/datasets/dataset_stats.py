"""What is in a data set, in numbers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.datasets.image_groups import group_images
from yolo3.datasets.listed import ListedDataset
from yolo3.ops.letterbox import boxes_to_network_each

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """Numbers of a data set, without what cannot be used.

    Attributes:
        name: Of the data set.
        format: Name of its format.
        num_images: Number of images.
        num_boxes: Number of boxes, crowd regions included.
        num_difficult: Number of boxes that are marked as difficult.
        num_crowd: Number of boxes that are crowd regions.
        background: Number of images without boxes.
        classes: Class name to {"images", "boxes"}.
        lists: List name to {"images", "boxes"}.
        in_no_list: Number of images that no list names; 0 where there are no lists.
        image_sizes: "width x height" to number of images, the most frequent first.
        image_sides: Pixels of the longer side of the images at `QUANTILES`.
        objects: Boxes an image at `QUANTILES`, and their mean last.
        box_sides: Square root of the box's share of its image at `QUANTILES`.
        size_groups: Name of a size group to number of boxes, by their area in pixels of the network input.
        groups: Images that belong together, as paths below the data folder, the largest group first.
        groups_across_lists: Number of these groups with two images that have no list in common.
        findings: "severity kind" to number of findings.
        left_out: Number of lines, images and boxes that cannot be used, by kind of finding.
    """

    name: str
    format: str
    num_images: int
    num_boxes: int
    num_difficult: int
    num_crowd: int
    background: int
    classes: dict[str, dict[str, int]]
    lists: dict[str, dict[str, int]]
    in_no_list: int
    image_sizes: dict[str, int]
    image_sides: list[float]
    objects: list[float]
    box_sides: list[float]
    size_groups: dict[str, int]
    groups: list[list[str]]
    groups_across_lists: int
    findings: dict[str, int]
    left_out: dict[str, int]


def dataset_stats(
    listed: ListedDataset, input_shape: tuple[int, int], resize: str, sides: Mapping[str, tuple[float, float]]
) -> DatasetStats:
    """Return the numbers of a data set.

    Args:
        listed: The data set; at least one image.
        input_shape: (height, width) of the network input in pixels.
        resize: How images get there, one of :data:`yolo3.ops.resize_modes.RESIZE_MODES`.
        sides: Name of a size group to (smallest, largest) root of a box's area, in pixels of the network input.
    """
    dataset, shapes = listed.dataset, [check.shape or (0, 0) for check in listed.checks]
    annotations = dataset.annotations
    counts = np.array([len(item.boxes) for item in annotations])
    ids = np.concatenate([item.class_ids for item in annotations])
    per_image = np.concatenate([np.unique(item.class_ids) for item in annotations])
    boxes_of, images_of = (np.bincount(found, minlength=len(dataset.class_names)) for found in (ids, per_image))

    # Sides of boxes: of the image, and in pixels of the network input.
    boxes = np.concatenate([item.boxes for item in annotations]).astype(np.float64)
    shape_of_box = np.repeat(np.array(shapes), counts, axis=0)
    relative = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / shape_of_box.prod(axis=1))
    mapped = boxes_to_network_each(boxes, shape_of_box, input_shape, resize)
    roots = np.sqrt((mapped[:, 2:] - mapped[:, :2]).prod(axis=1))

    groups: dict[int, list[int]] = {}
    for index, group in enumerate(group_images([item.image_path for item in annotations], listed.checks).tolist()):
        groups.setdefault(group, []).append(index)
    alike = sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)
    lists_of: dict[int, set[str]] = {}
    for name, members in listed.lists.items():
        for item in members:
            lists_of.setdefault(id(item), set()).add(name)
    across = 0
    for group in alike:
        own = [lists_of.get(id(annotations[index]), set()) for index in group]
        across += any(one and other and not one & other for one in own for other in own)
    return DatasetStats(
        name=dataset.name,
        format=dataset.format,
        num_images=len(annotations),
        num_boxes=int(counts.sum()),
        num_difficult=sum(int(item.difficult.sum()) for item in annotations),
        num_crowd=sum(int(item.crowd.sum()) for item in annotations),
        background=int((counts == 0).sum()),
        classes={
            name: {"images": int(images_of[number]), "boxes": int(boxes_of[number])}
            for number, name in enumerate(dataset.class_names)
        },
        lists={
            name: {"images": len(members), "boxes": sum(len(item.boxes) for item in members)}
            for name, members in listed.lists.items()
        },
        in_no_list=len(listed.in_no_list),
        image_sizes=dict(Counter(f"{width} x {height}" for height, width in shapes).most_common()),
        image_sides=_quantiles([max(shape) for shape in shapes]),
        objects=[*_quantiles(counts), float(counts.mean())],
        box_sides=_quantiles(relative),
        size_groups={name: int(((roots >= low) & (roots < high)).sum()) for name, (low, high) in sides.items()},
        groups=[[_below(annotations[index].image_path, dataset.root) for index in group] for group in alike],
        groups_across_lists=across,
        findings=dict(Counter(f"{finding.severity} {finding.kind}" for finding in dataset.findings).most_common()),
        left_out=listed.left_out,
    )


def _below(path: str, root: str) -> str:
    """Return a path relative to a folder that it lies in, else as it is."""
    relative = os.path.relpath(path, root or os.curdir)
    return path if relative.startswith(os.pardir) else relative


def _quantiles(values: np.ndarray | Sequence[float]) -> list[float]:
    """Return the values at `QUANTILES`, [] of none."""
    values = np.asarray(values, np.float64)
    return np.quantile(values, QUANTILES).tolist() if values.size else []
