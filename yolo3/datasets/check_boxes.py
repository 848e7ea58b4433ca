"""What is wrong with the boxes and class ids of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.class_names import bad_id_message

# Leaving out

SHIFTED_IDS = "one-based-ids"  # all ids are off by one: leaving out the largest would not help


# Classes


def _id_findings(annotations: Sequence[Annotation], class_names: Sequence[str]) -> list[Finding]:
    """Ids out of range, and one line when all of them look as if they counted from 1."""
    count = len(class_names)
    findings = [
        Finding(
            "error",
            "bad-class-id",
            annotation.where(box),
            bad_id_message(int(class_id), class_names),
            index,
            box,
        )
        for index, annotation in enumerate(annotations)
        for box, class_id in enumerate(annotation.class_ids)
        if not 0 <= class_id < count
    ]
    ids = {int(class_id) for annotation in annotations for class_id in annotation.class_ids}
    if ids and min(ids) >= 1 and max(ids) == count:
        findings.append(
            Finding(
                "error",
                SHIFTED_IDS,
                findings[0].where,
                f"your ids look like they start at 1: they go from {min(ids)} to {count} with {count} "
                "classes; subtract 1 from each",
            )
        )
    return findings


def _unused_class_findings(dataset: Dataset) -> list[Finding]:
    used = {int(class_id) for annotation in dataset.annotations for class_id in annotation.class_ids}
    unused = [name for number, name in enumerate(dataset.class_names) if number not in used]
    if not unused:
        return []
    shown = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
    return [
        Finding(
            "warning",
            "unused-class",
            dataset.name,
            f"expected boxes of all classes, none for {len(unused)} of {len(dataset.class_names)}: {shown}",
        )
    ]


# Boxes


def _box_findings(index: int, annotation: Annotation, shape: tuple[int, int] | None) -> list[Finding]:
    """Boxes of one image that have no area, lie outside, or are there twice."""
    findings = []
    seen: set[tuple[float, ...]] = set()
    for box, (xyxy, key) in enumerate(zip(annotation.boxes.tolist(), box_keys(annotation), strict=True)):
        fault = box_fault(xyxy, shape)
        if fault is None and key in seen:
            fault = (
                "warning",
                "duplicate-box",
                f"expected each box once, got {_format_box(xyxy)} of one class again",
            )
        if fault is not None:
            severity, kind, message = fault
            findings.append(Finding(severity, kind, annotation.where(box), message, index, box))
        seen.add(key)
    return findings


def box_fault(xyxy: Sequence[float], shape: tuple[int, int] | None) -> tuple[str, str, str] | None:
    """(severity, kind, message) for a box in pixels of an image of `shape` (height, width); None for a good
    one.
    """
    x_min, y_min, x_max, y_max = xyxy
    if not (x_max > x_min and y_max > y_min):
        return (
            "error",
            "no-area",
            f"expected x_min < x_max and y_min < y_max, got {_format_box(xyxy)}; correct the box",
        )
    if shape is None:
        return None
    height, width = shape
    image = f"expected a box in the {width}x{height} image, got {_format_box(xyxy)}"
    if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
        return "error", "outside", f"{image}, which lies wholly outside; correct the box or take it out"
    if x_min < -1 or y_min < -1 or x_max > width + 1 or y_max > height + 1:
        return "warning", "outside", f"{image}, which reaches outside and is clipped"
    return None


def _format_box(xyxy: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in xyxy)


def box_keys(annotation: Annotation) -> list[tuple[float, ...]]:
    """Class and coordinates of each box, to compare."""
    return [
        (int(class_id), *box) for class_id, box in zip(annotation.class_ids, annotation.boxes.tolist(), strict=True)
    ]
