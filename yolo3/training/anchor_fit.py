"""Check how boxes fit a network: those too small for its input, those that share a slot, and anchors that fit badly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.clipping import clip_boxes
from yolo3.models.yolov3.scales import Scale
from yolo3.models.yolov3.targets import assign_slots, candidate_anchors
from yolo3.ops.boxes import shape_iou, xyxy_to_cxcywh
from yolo3.ops.letterbox import boxes_to_network

SMALL_SIDE = 2.0  # pixels of the network input below which a box can hardly be learned
POOR_FIT = 0.5  # shape IoU with the best anchor below which a box counts as badly fitted
MEAN_FIT = 0.6  # mean shape IoU below which the anchors fit badly
MANY_POOR = 0.2  # share of badly fitted boxes above which they do


def check_anchor_fit(
    dataset: Dataset,
    shapes: Sequence[tuple[int, int] | None],
    findings: Iterable[Finding],
    *,
    scales: Sequence[Scale],
    input_shape: tuple[int, int],
    resize: str = "letterbox",
) -> list[Finding]:
    """Check the usable boxes of a data set as the network sees them.

    Args:
        dataset: The data set.
        shapes: (height, width) of each image, None for one that cannot be decoded; the shapes of the checks that
            :func:`yolo3.datasets.checks.check_dataset` returns.
        findings: Its findings; boxes that they remove are not checked.
        scales: Outputs of a YOLOv3 network; none for a network without anchors.
        input_shape: (height, width) of the network input.
        resize: How images get there, "letterbox" or "stretch".

    Returns:
        Up to three warnings, of the kinds "small-box", "shared-slot" and "anchor-fit".
    """
    removed = {(finding.annotation, finding.box) for finding in findings if finding.removes}
    ious: list[np.ndarray] = []
    small: list[Annotation] = []
    shared: list[tuple[int, Annotation]] = []
    for index, (annotation, shape) in enumerate(zip(dataset.annotations, shapes, strict=True)):
        if shape is None or (index, None) in removed:
            continue
        usable = [box for box in range(len(annotation.boxes)) if (index, box) not in removed]
        boxes = annotation.boxes[[box for box in usable if not annotation.crowd[box]]]

        # Pixels of the image, to pixels and fractions of the network input.
        corners = boxes_to_network(clip_boxes(boxes, shape, slack=np.inf), shape, input_shape, resize)
        relative = xyxy_to_cxcywh(corners / np.array(input_shape[::-1] * 2, np.float32))  # [N, 4]
        sizes_wh = relative[:, 2:] * np.array(input_shape[::-1])  # [N, 2]

        small += [annotation] * int((sizes_wh.min(1) < SMALL_SIDE).sum() if len(boxes) else 0)
        if not scales:
            continue
        ious.append(best_shape_iou(sizes_wh, candidate_anchors(scales)[0]))
        count = count_shared(assign_slots(relative, input_shape, scales))
        shared += [(count, annotation)] if count else []

    found = []
    if small:
        message = (
            f"{len(small)} boxes are less than {SMALL_SIDE:g} pixels wide or high at the network's size; a larger "
            "--input-size helps"
        )
        found.append(Finding("warning", "small-box", small[0].source, message))
    if shared:
        total = sum(count for count, _ in shared)
        count, worst = max(shared, key=lambda pair: pair[0])
        message = (
            f"{total} boxes in {len(shared)} images share scale, cell and anchor with another one at "
            f"{input_shape[1]}x{input_shape[0]} (most here: {count}); a larger --input-size separates them"
        )
        found.append(Finding("warning", "shared-slot", worst.source, message))
    return found + _anchor_findings(ious, dataset.name)


def best_shape_iou(sizes_wh: np.ndarray, anchors) -> np.ndarray:
    """Return the shape IoU [N] of each size with the most similar anchor.

    Args:
        sizes_wh: [N, 2] (w, h) in pixels of the network input.
        anchors: [A, 2] (w, h) in the same pixels.
    """
    return shape_iou(sizes_wh, np.asarray(anchors, np.float64)).max(1)


def count_shared(slots: np.ndarray) -> int:
    """Return how many of the slots [N, 4] are taken by an earlier one."""
    return len(slots) - len(np.unique(slots, axis=0))


def _anchor_findings(ious: Sequence[np.ndarray], where: str) -> list[Finding]:
    values = np.concatenate([*ious, np.zeros(0)])
    if not len(values):
        return []

    mean, poor = float(values.mean()), float((values < POOR_FIT).mean())
    if mean >= MEAN_FIT and poor <= MANY_POOR:
        return []
    message = (
        f"the anchors fit badly: mean shape IoU {mean:.2f}, {poor:.0%} of boxes below {POOR_FIT:g}; `yolo3 anchors` "
        "computes anchors for these boxes"
    )
    return [Finding("warning", "anchor-fit", where, message)]
