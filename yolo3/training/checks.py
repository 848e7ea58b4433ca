"""All checks of a data set for training, those of how its boxes fit anchors and scales included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding, clip_rounding
from yolo3.datasets.check_boxes import _box_findings, _id_findings, _unused_class_findings
from yolo3.datasets.check_images import Progress, _duplicate_findings, _image_findings, check_images
from yolo3.datasets.usable import _takes_away
from yolo3.models.yolov3.targets import assign_slots
from yolo3.ops.boxes import shape_iou, xyxy_to_cxcywh
from yolo3.ops.letterbox import boxes_to_network

SMALL_SIDE = 2.0  # pixels of the network input below which a box can hardly be learned
POOR_FIT = 0.5  # shape IoU with the best anchor below which a box counts as badly fitted
MEAN_FIT = 0.6  # and the mean over all boxes below which the anchors do
MANY_POOR = 0.2  # and the share of badly fitted boxes above which they do


def check_dataset(
    dataset: Dataset,
    *,
    anchors,
    anchor_mask,
    input_shape: tuple[int, int],
    resize: str = "letterbox",
    strides: Sequence[int] | None = None,
    train: bool = True,
    workers: int = 2,
    progress: Progress | None = None,
) -> list[Finding]:
    """All findings about a data set: those of its reader first, then those of its images and boxes.

    `anchors`: [A, 2] (w, h) in pixels of the network input, None for a network without; `anchor_mask`,
    `strides`: anchor indices and input pixels per cell of each scale;
    `input_shape`: (height, width), multiples of 32. Every image is decoded once, in `workers` threads;
    `progress` is called with (done, all). With `train=False` what only matters for training (slots, anchors,
    small boxes, classes without boxes) is left out. Nothing is changed.
    """
    annotations = dataset.annotations
    images = list(check_images([item.image_path for item in annotations], workers, progress))
    shapes = [image.shape for image in images]
    findings = list(dataset.findings)
    findings += _image_findings(annotations, images)
    findings += _duplicate_findings(annotations, images)
    findings += _id_findings(annotations, dataset.class_names)
    for index, (annotation, shape) in enumerate(zip(annotations, shapes, strict=True)):
        findings += _box_findings(index, annotation, shape)
    if train:
        findings += _unused_class_findings(dataset)
        findings += check_fit(dataset, shapes, findings, anchors, anchor_mask, input_shape, resize, strides)
    return findings


# Boxes and the network


def check_fit(
    dataset: Dataset,
    shapes: Sequence[tuple[int, int] | None],
    findings: Iterable[Finding],
    anchors,
    anchor_mask,
    input_shape: tuple[int, int],
    resize: str,
    strides: Sequence[int] | None = None,
) -> list[Finding]:
    """Warnings about usable boxes as the network sees them: too small, sharing a slot, badly fitted by the
    anchors.
    """
    bad = {(finding.annotation, finding.box) for finding in findings if _takes_away(finding)}
    ious: list[np.ndarray] = []
    small: list[Annotation] = []
    shared: list[tuple[int, Annotation]] = []
    for index, (annotation, shape) in enumerate(zip(dataset.annotations, shapes, strict=True)):
        if shape is None or (index, None) in bad:
            continue
        good = [box for box in range(len(annotation.boxes)) if (index, box) not in bad and not annotation.crowd[box]]
        relative = _relative_boxes(annotation.boxes[good], shape, input_shape, resize)
        sizes_wh = relative[:, 2:] * np.array(input_shape[::-1])
        small += [annotation] * int((sizes_wh.min(1) < SMALL_SIDE).sum() if len(good) else 0)
        if anchors is None:
            continue
        ious.append(best_shape_iou(sizes_wh, anchors))
        count = count_shared(assign_slots(relative, input_shape, anchors, anchor_mask, strides))
        shared += [(count, annotation)] if count else []
    return [
        *_small_findings(small),
        *_shared_findings(shared, input_shape),
        *_anchor_findings(ious, dataset.name),
    ]


def _relative_boxes(
    boxes_xyxy: np.ndarray, shape: tuple[int, int], input_shape: tuple[int, int], resize: str
) -> np.ndarray:
    """Clipped boxes in pixels of the image to boxes_cxcywh [N, 4] relative to the network input."""
    clipped = clip_rounding(boxes_xyxy, shape, slack=np.inf)
    corners = boxes_to_network(clipped, shape, input_shape, resize)
    return xyxy_to_cxcywh(corners / np.array(input_shape[::-1] * 2, np.float32))


def best_shape_iou(sizes_wh: np.ndarray, anchors) -> np.ndarray:
    """[N] IoU of each size [N, 2] (w, h) with the anchor [A, 2] of the most similar shape, both in network
    pixels.
    """
    return shape_iou(sizes_wh, np.asarray(anchors, np.float64)).max(1)


def count_shared(slots: np.ndarray) -> int:
    """How many of the slots [N, 4] are taken already by an earlier one."""
    return len(slots) - len(np.unique(slots, axis=0))


def _small_findings(small: Sequence[Annotation]) -> list[Finding]:
    if not small:
        return []
    return [
        Finding(
            "warning",
            "small-box",
            small[0].source,
            f"{len(small)} boxes are less than {SMALL_SIDE:g} pixels wide or high at the network's size; a "
            "larger --input-size helps",
        )
    ]


def _shared_findings(shared: Sequence[tuple[int, Annotation]], input_shape: tuple[int, int]) -> list[Finding]:
    if not shared:
        return []
    total = sum(count for count, _ in shared)
    count, worst = max(shared, key=lambda pair: pair[0])
    return [
        Finding(
            "warning",
            "shared-slot",
            worst.source,
            f"{total} boxes in {len(shared)} images share scale, cell and anchor with another one at "
            f"{input_shape[1]}x{input_shape[0]} (most here: {count}); a larger --input-size separates them",
        )
    ]


def _anchor_findings(ious: Sequence[np.ndarray], where: str) -> list[Finding]:
    values = np.concatenate([*ious, np.zeros(0)])
    if not len(values):
        return []
    mean, poor = float(values.mean()), float((values < POOR_FIT).mean())
    if mean >= MEAN_FIT and poor <= MANY_POOR:
        return []
    return [
        Finding(
            "warning",
            "anchor-fit",
            where,
            f"the anchors fit badly: mean shape IoU {mean:.2f}, {poor:.0%} of boxes below {POOR_FIT:g}; "
            "`yolo3 anchors` makes anchors for your boxes",
        )
    ]
