"""Leave out and count the annotations of a data set that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.check_boxes import SHIFTED_IDS, box_keys
from yolo3.datasets.clipping import clip_boxes
from yolo3.datasets.image_size import shape_of
from yolo3.files import real_paths

_SUMMARIES = (SHIFTED_IDS,)  # findings that sum up others and are not counted


def usable_annotations(dataset: Dataset, findings: Iterable[Finding]) -> tuple[list[Annotation], dict[str, int]]:
    """Return what can be used of a data set.

    An error about a box removes the box, an error about an image the image; a box given twice stays once. An image that
    is listed again is removed and its boxes join those of its first place. Boxes partly outside are clipped.

    Args:
        dataset: The data set. Not changed.
        findings: What the checks found; the reader's own findings are always taken into account.

    Returns:
        The annotations that can be used, and how many lines, images and boxes were left out, by kind of finding.
    """
    found = list(dict.fromkeys([*dataset.findings, *findings]))
    removing = [(finding.annotation, finding) for finding in found if finding.removes]
    bad_images = {
        index: finding.kind
        for index, finding in removing
        if index is not None and finding.box is None and finding.kind != "duplicate-image"
    }
    bad_boxes: dict[int, dict[int, str]] = {}
    for index, finding in removing:
        if index is not None and finding.box is not None and index not in bad_images:
            bad_boxes.setdefault(index, {}).setdefault(finding.box, finding.kind)
    outside = {finding.annotation for finding in found if finding.kind == "outside"}

    kept: dict[str, Annotation] = {}
    paths = real_paths(annotation.image_path for annotation in dataset.annotations)
    for index, (annotation, key) in enumerate(zip(dataset.annotations, paths, strict=True)):
        if index in bad_images:
            continue
        if index in bad_boxes:
            keep = np.ones(len(annotation.boxes), bool)
            keep[list(bad_boxes[index])] = False
            annotation = annotation.select(keep)
        if index in outside:
            boxes = clip_boxes(annotation.boxes, shape_of(annotation), slack=np.inf)
            annotation = replace(annotation, boxes=boxes.astype(np.float32))
        kept[key] = _joined(kept[key], annotation) if key in kept else annotation
    return list(kept.values()), _count_left_out(found, bad_images, bad_boxes)


def _count_left_out(
    found: Iterable[Finding], bad_images: dict[int, str], bad_boxes: dict[int, dict[int, str]]
) -> dict[str, int]:
    """Return kind of finding to the number of lines, images and boxes left out for it."""
    counts = Counter(bad_images.values())
    for boxes in bad_boxes.values():
        counts.update(boxes.values())
    for finding in found:
        if finding.kind == "duplicate-image":
            counts[finding.kind] += finding.annotation not in bad_images
        elif finding.severity == "error" and finding.annotation is None and finding.kind not in _SUMMARIES:
            counts[finding.kind] += 1
    return {kind: count for kind, count in counts.items() if count}


def _joined(first: Annotation, again: Annotation) -> Annotation:
    """Join the boxes of two records of an image, each once; lines are dropped, as they may be of two files."""
    known = set(box_keys(first))
    new = again.select(np.array([key not in known for key in box_keys(again)], bool))

    return replace(
        first,
        boxes=np.concatenate([first.boxes, new.boxes]),
        class_ids=np.concatenate([first.class_ids, new.class_ids]),
        difficult=np.concatenate([first.difficult, new.difficult]),
        crowd=np.concatenate([first.crowd, new.crowd]),
        lines=None,
    )
