"""Check how boxes fit a network: those too small for its input, those that share a slot, and anchors that fit badly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.flat_boxes import flatten, shape_rows
from yolo3.models.yolov3.scales import Scale
from yolo3.models.yolov3.targets import assign_slots, candidate_anchors
from yolo3.ops.boxes import shape_iou
from yolo3.training.box_sizes import relative_boxes

ANCHOR_FIT, SHARED_SLOT = "anchor-fit", "shared-slot"  # kinds of findings that depend on the anchors
SMALL_SIDE = 2.0  # pixels of the network input below which a box can hardly be learned
POOR_FIT = 0.5  # shape IoU with the best anchor below which a box counts as badly fitted
MEAN_FIT = 0.6  # mean shape IoU below which the anchors fit badly
MANY_POOR = 0.2  # share of badly fitted boxes above which they do
_PART = 100_000  # boxes compared at a time, so that the IoUs [M, A] stay small


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
    flat = flatten(dataset.annotations)
    keep = ~flat.crowd & np.array([shape is not None for shape in shapes], bool)[flat.image]
    for finding in findings:
        if finding.removes and finding.annotation is not None:
            first, after = flat.first[finding.annotation : finding.annotation + 2]
            keep[slice(first, after) if finding.box is None else first + finding.box] = False
    image = flat.image[keep]  # [M]
    relative = relative_boxes(flat.boxes[keep], shape_rows(shapes)[image], input_shape=input_shape, resize=resize)
    sizes_wh = relative[:, 2:] * np.array(input_shape[::-1])  # [M, 2]

    found = []
    small = np.flatnonzero(sizes_wh.min(1, initial=np.inf) < SMALL_SIDE)
    if len(small):
        message = (
            f"{len(small)} boxes are less than {SMALL_SIDE:g} pixels wide or high at the network's size; a larger "
            "--input-size helps"
        )
        found.append(Finding("warning", "small-box", dataset.annotations[image[small[0]]].source, message))
    if not scales:
        return found

    anchors = candidate_anchors(scales)[0]
    parts = [slice(start, start + _PART) for start in range(0, len(image), _PART)]
    slots = [assign_slots(relative[part], input_shape, scales) for part in parts]
    ious = [best_shape_iou(sizes_wh[part], anchors) for part in parts]

    slots_of_images = np.column_stack([image, np.concatenate([np.zeros((0, 4), np.int32), *slots])])
    shared = image[taken_before(slots_of_images)]
    if len(shared):
        counts = np.bincount(shared)
        worst = int(counts.argmax())
        message = (
            f"{len(shared)} boxes in {(counts > 0).sum()} images share scale, cell and anchor with another one at "
            f"{input_shape[1]}x{input_shape[0]} (most here: {counts[worst]}); a larger --input-size separates them"
        )
        found.append(Finding("warning", SHARED_SLOT, dataset.annotations[worst].source, message))
    return found + _anchor_findings(np.concatenate([np.zeros(0), *ious]), len(anchors), dataset.name)


def best_shape_iou(sizes_wh: np.ndarray, anchors) -> np.ndarray:
    """Return the shape IoU [N] of each size with the most similar anchor.

    Args:
        sizes_wh: [N, 2] (w, h) in pixels of the network input.
        anchors: [A, 2] (w, h) in the same pixels.
    """
    return shape_iou(sizes_wh, np.asarray(anchors, np.float64)).max(1)


def taken_before(rows: np.ndarray) -> np.ndarray:
    """Return bool [N]: whether an earlier row of the integers [N, K] is the same."""
    order = np.lexsort(rows.T[::-1])  # stable: of equal rows the first stays first
    taken = np.zeros(len(rows), bool)
    taken[order[1:]] = (rows[order[1:]] == rows[order[:-1]]).all(1)
    return taken


def _anchor_findings(values: np.ndarray, num_anchors: int, where: str) -> list[Finding]:
    if not len(values):
        return []

    mean, poor = float(values.mean()), float((values < POOR_FIT).mean())
    if mean >= MEAN_FIT and poor <= MANY_POOR:
        return []
    message = (
        f"the anchors fit badly: mean shape IoU {mean:.2f}, {poor:.0%} of boxes below {POOR_FIT:g}; --anchors auto "
        f"trains with {num_anchors} that are clustered on these boxes, `yolo3 anchors` compares both"
    )
    return [Finding("warning", ANCHOR_FIT, where, message)]
