"""Find images that are listed twice, different files with the same bytes, and images in both of two lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.check_boxes import box_keys
from yolo3.datasets.check_images import ImageCheck


def duplicate_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    """Report images that a data set lists twice, and different files with the same bytes.

    An image listed again with the same boxes is a warning, with other boxes an error: each record would teach that the
    boxes of the other are background.

    Args:
        annotations: Annotations of the data set.
        images: What decoding their images showed.

    Returns:
        A finding for each repetition, at its later place.
    """
    findings = []
    by_path: dict[str, int] = {}
    by_digest: dict[str, int] = {}
    for index, (annotation, image) in enumerate(zip(annotations, images, strict=True)):
        first = by_path.setdefault(os.path.realpath(annotation.image_path), index)
        if first != index:
            same = sorted(box_keys(annotations[first])) == sorted(box_keys(annotation))
            advice = "remove one" if same else "with other boxes; put all boxes of an image in one place"
            message = (
                f"expected each image once, got {annotation.image_path} again (first at "
                f"{annotations[first].source}), {advice}"
            )
            severity = "warning" if same else "error"
            findings.append(Finding(severity, "duplicate-image", annotation.source, message, annotation=index))
            continue

        if image.fault is not None:
            continue
        first = by_digest.setdefault(image.digest, index)
        if first != index:
            message = (
                f"expected different images, got {annotation.image_path} with the same bytes as "
                f"{annotations[first].image_path}; remove one"
            )
            findings.append(Finding("warning", "same-image", annotation.source, message, annotation=index))
    return findings


def check_overlap(train: Sequence[Annotation], val: Sequence[Annotation]) -> list[Finding]:
    """Report images that are in both lists, by path or by content, which makes validation look too good.

    Only files of equal size are read.

    Args:
        train: Annotations trained on.
        val: Annotations validated on.

    Returns:
        A warning for each image of `val` that is trained on.
    """
    by_path = {os.path.realpath(item.image_path): item for item in train}
    by_size: dict[int, list[Annotation]] = {}
    for item in train:
        if os.path.isfile(item.image_path):
            by_size.setdefault(os.path.getsize(item.image_path), []).append(item)

    digests: dict[str, str] = {}

    def digest(path: str) -> str:
        if path not in digests:
            with open(path, "rb") as file:
                digests[path] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
        return digests[path]

    findings = []
    for item in val:
        twin = by_path.get(os.path.realpath(item.image_path))
        if twin is None and os.path.isfile(item.image_path):
            candidates = by_size.get(os.path.getsize(item.image_path), [])
            same = (other for other in candidates if digest(other.image_path) == digest(item.image_path))
            twin = next(same, None)
        if twin is not None:
            message = (
                f"expected an image that is not trained on, got {item.image_path}, which is in the training list too "
                f"({twin.source}); remove it from one of them"
            )
            findings.append(Finding("warning", "overlap", item.source, message))
    return findings
