"""What is left of a data set when everything that cannot be used is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding, clip_rounding
from yolo3.datasets.check_boxes import SHIFTED_IDS, box_keys
from yolo3.datasets.images import image_size


def usable_annotations(dataset: Dataset, findings: Iterable[Finding]) -> tuple[list[Annotation], dict[str, int]]:
    """The annotations that can be used, and how many things were left out, by kind of finding.

    An error about a box takes the box away, an error about an image the image; a box given twice stays
    once. An image that is listed again is taken away and its boxes join those of its first place. Boxes that
    are partly outside are clipped. What the reader had to leave out already is counted too.
    """
    found = list(dict.fromkeys([*dataset.findings, *findings]))
    removing = [finding for finding in found if _takes_away(finding)]
    bad_images = _images_to_leave_out(removing)
    bad_boxes = _boxes_to_leave_out(removing, bad_images)
    outside = {finding.annotation for finding in found if finding.kind == "outside"}
    kept: dict[str, Annotation] = {}
    for index, annotation in enumerate(dataset.annotations):
        if index in bad_images:
            continue
        annotation = _without_boxes(annotation, bad_boxes.get(index, {}))
        if index in outside:
            annotation = _clipped(annotation)
        key = os.path.realpath(annotation.image_path)
        kept[key] = _joined(kept[key], annotation) if key in kept else annotation
    return list(kept.values()), _count_left_out(found, bad_images, bad_boxes)


# Findings that sum up others, or that take nothing away.
_SUMMARIES = (SHIFTED_IDS,)


def _takes_away(finding: Finding) -> bool:
    """Whether an image or box cannot be used, or is of no further use."""
    return finding.severity == "error" or finding.kind == "duplicate-box"


def _images_to_leave_out(errors: Iterable[Finding]) -> dict[int, str]:
    """Index of each image that cannot be used, and why."""
    return {
        finding.annotation: finding.kind
        for finding in errors
        if finding.annotation is not None and finding.box is None and finding.kind != "duplicate-image"
    }


def _boxes_to_leave_out(removing: Iterable[Finding], bad_images: dict[int, str]) -> dict[int, dict[int, str]]:
    """For each image that stays, the index of each box that does not, and why."""
    boxes: dict[int, dict[int, str]] = {}
    for finding in removing:
        if finding.annotation is not None and finding.box is not None and finding.annotation not in bad_images:
            boxes.setdefault(finding.annotation, {}).setdefault(finding.box, finding.kind)
    return boxes


def _count_left_out(
    found: Iterable[Finding], bad_images: dict[int, str], bad_boxes: dict[int, dict[int, str]]
) -> dict[str, int]:
    """Kind of finding to the number of lines, images and boxes left out for it."""
    counts = Counter(bad_images.values())
    for boxes in bad_boxes.values():
        counts.update(boxes.values())
    for finding in found:
        if finding.kind == "duplicate-image":
            counts[finding.kind] += finding.annotation not in bad_images
        elif finding.severity == "error" and finding.annotation is None and finding.kind not in _SUMMARIES:
            counts[finding.kind] += 1
    return {kind: count for kind, count in counts.items() if count}


def _without_boxes(annotation: Annotation, boxes: Iterable[int]) -> Annotation:
    keep = np.ones(len(annotation.boxes), bool)
    keep[list(boxes)] = False
    return annotation.select(keep)


def _clipped(annotation: Annotation) -> Annotation:
    boxes = clip_rounding(annotation.boxes, image_size(annotation.image_path), slack=np.inf)
    return Annotation(
        annotation.image_path,
        boxes.astype(np.float32),
        annotation.class_ids,
        annotation.difficult,
        annotation.crowd,
        annotation.source,
        annotation.lines,
    )


def _joined(first: Annotation, again: Annotation) -> Annotation:
    """The boxes of both records of an image, each once; line numbers are dropped, as they may be of two
    files.
    """
    known = set(box_keys(first))
    new = again.select(np.array([key not in known for key in box_keys(again)], bool))
    boxes, class_ids, difficult, crowd = (
        np.concatenate([getattr(first, name), getattr(new, name)])
        for name in ("boxes", "class_ids", "difficult", "crowd")
    )
    return Annotation(first.image_path, boxes, class_ids, difficult, crowd, first.source)
