"""Report boxes and class ids that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.class_names import bad_id_message
from yolo3.datasets.clipping import ROUNDING
from yolo3.datasets.flat_boxes import FlatBoxes, shape_rows

SHIFTED_IDS = "one-based-ids"  # kind of the finding that all ids are off by one
_CLASSES_SHOWN = 5
_FACTORS = np.random.default_rng(0).integers(1, 1 << 62, 6, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def class_id_findings(annotations: Sequence[Annotation], class_names: Sequence[str], flat: FlatBoxes) -> list[Finding]:
    """Report ids out of range, and once if all of them look as if they count from 1; `flat` holds the same boxes."""
    count = len(class_names)
    findings = []
    for place in np.flatnonzero((flat.class_ids < 0) | (flat.class_ids >= count)).tolist():
        index = int(flat.image[place])
        box = place - int(flat.first[index])
        message = bad_id_message(int(flat.class_ids[place]), class_names)
        where = annotations[index].where(box)
        findings.append(Finding("error", "bad-class-id", where, message, annotation=index, box=box))

    ids = np.unique(flat.class_ids).tolist()
    if ids and min(ids) >= 1 and max(ids) == count:
        message = (
            f"class ids seem to start at 1: they go from {min(ids)} to {count} with {count} classes; subtract 1 from "
            "each"
        )
        findings.append(Finding("error", SHIFTED_IDS, findings[0].where, message))
    return findings


def unused_class_findings(dataset: Dataset, flat: FlatBoxes) -> list[Finding]:
    """Return one warning that names the classes without boxes; `flat` holds the boxes of the data set."""
    used = set(np.unique(flat.class_ids).tolist())
    unused = [name for number, name in enumerate(dataset.class_names) if number not in used]
    if not unused:
        return []
    shown = ", ".join(unused[:_CLASSES_SHOWN]) + (", ..." if len(unused) > _CLASSES_SHOWN else "")
    message = f"expected boxes of all classes, got none for {len(unused)} of {len(dataset.class_names)}: {shown}"
    return [Finding("warning", "unused-class", dataset.name, message)]


def suspect_images(flat: FlatBoxes, shapes: Sequence[tuple[int, int] | None]) -> list[int]:
    """Return the annotations for which `box_findings` may have something to report; the others need no look.

    Args:
        flat: The boxes of all annotations.
        shapes: (height, width) of each image, None if unknown.
    """
    rows = shape_rows(shapes)[flat.image]
    limit = np.where(rows > 0, rows, np.inf)[:, ::-1]  # [M, 2] (width, height); nothing is outside an unknown image
    low, high = flat.boxes[:, :2], flat.boxes[:, 2:]
    inside = (low >= np.where(limit < np.inf, 0, -np.inf)) & (high <= limit)
    bad = ~((high > low) & inside).all(1)

    # Boxes that occur twice in an image share a code; that others may do so too costs a look.
    bits = (flat.boxes + np.float32(0)).view(np.uint32)  # + 0 makes -0 and 0 the same
    codes = flat.image.astype(np.uint64) * _FACTORS[0] + flat.class_ids.astype(np.uint64) * _FACTORS[1]
    for column, factor in zip(bits.T, _FACTORS[2:], strict=True):
        codes += column * factor
    order = np.argsort(codes, kind="stable")
    again = order[1:][codes[order[1:]] == codes[order[:-1]]]
    return np.unique(np.concatenate([flat.image[bad], flat.image[again]])).tolist()


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
