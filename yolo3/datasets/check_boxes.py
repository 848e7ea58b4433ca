"""Report boxes and class ids that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.class_names import bad_id_message
from yolo3.datasets.clipping import ROUNDING

SHIFTED_IDS = "one-based-ids"  # kind of the finding that all ids are off by one
_CLASSES_SHOWN = 5


def class_id_findings(annotations: Sequence[Annotation], class_names: Sequence[str]) -> list[Finding]:
    """Report ids out of range, and once if all of them look as if they count from 1."""
    count = len(class_names)
    findings = [
        Finding(
            severity="error",
            kind="bad-class-id",
            where=annotation.where(box),
            message=bad_id_message(int(class_id), class_names),
            annotation=index,
            box=box,
        )
        for index, annotation in enumerate(annotations)
        for box, class_id in enumerate(annotation.class_ids)
        if not 0 <= class_id < count
    ]

    ids = {int(class_id) for annotation in annotations for class_id in annotation.class_ids}
    if ids and min(ids) >= 1 and max(ids) == count:
        message = (
            f"class ids seem to start at 1: they go from {min(ids)} to {count} with {count} classes; subtract 1 from "
            "each"
        )
        findings.append(Finding("error", SHIFTED_IDS, findings[0].where, message))
    return findings


def unused_class_findings(dataset: Dataset) -> list[Finding]:
    """Return one warning that names the classes without boxes."""
    used = {int(class_id) for annotation in dataset.annotations for class_id in annotation.class_ids}
    unused = [name for number, name in enumerate(dataset.class_names) if number not in used]
    if not unused:
        return []
    shown = ", ".join(unused[:_CLASSES_SHOWN]) + (", ..." if len(unused) > _CLASSES_SHOWN else "")
    message = f"expected boxes of all classes, got none for {len(unused)} of {len(dataset.class_names)}: {shown}"
    return [Finding("warning", "unused-class", dataset.name, message)]


def box_findings(index: int, annotation: Annotation, image_shape: tuple[int, int] | None) -> list[Finding]:
    """Report the boxes of one image that have no area, lie outside the image, or repeat another one.

    Args:
        index: Index of the annotation in its data set.
        annotation: The annotation.
        image_shape: (height, width) of the image, None if unknown.

    Returns:
        At most one finding per box.
    """
    findings = []
    seen: set[tuple[float, ...]] = set()
    for box, (xyxy, key) in enumerate(zip(annotation.boxes.tolist(), box_keys(annotation), strict=True)):
        fault = box_fault(xyxy, image_shape)
        if fault is None and key in seen:
            fault = "warning", "duplicate-box", f"expected each box once, got {_format_box(xyxy)} of one class again"
        if fault is not None:
            severity, kind, message = fault
            findings.append(
                Finding(severity, kind, where=annotation.where(box), message=message, annotation=index, box=box)
            )
        seen.add(key)
    return findings


def box_fault(xyxy: Sequence[float], image_shape: tuple[int, int] | None) -> tuple[str, str, str] | None:
    """Return what is wrong with a box.

    Args:
        xyxy: Corners in pixels of the image.
        image_shape: (height, width) of the image, None if unknown.

    Returns:
        (severity, kind, message), None for a good box.
    """
    x_min, y_min, x_max, y_max = xyxy
    if not (x_max > x_min and y_max > y_min):
        message = f"expected x_min < x_max and y_min < y_max, got {_format_box(xyxy)}; correct the box"
        return "error", "no-area", message
    if image_shape is None:
        return None

    height, width = image_shape
    expected = f"expected a box in the {width}x{height} image, got {_format_box(xyxy)}"
    if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
        return "error", "outside", f"{expected}, which lies wholly outside; correct or remove the box"
    if min(x_min, y_min) < -ROUNDING or x_max > width + ROUNDING or y_max > height + ROUNDING:
        return "warning", "outside", f"{expected}, which reaches outside and is clipped"
    return None


def _format_box(xyxy: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in xyxy)


def box_keys(annotation: Annotation) -> list[tuple[float, ...]]:
    """Return (class id, corners) of each box, to compare boxes by."""
    return [
        (int(class_id), *box) for class_id, box in zip(annotation.class_ids, annotation.boxes.tolist(), strict=True)
    ]
