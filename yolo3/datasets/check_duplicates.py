"""Find images that are listed twice, different files with the same bytes, and images in both of two lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.check_boxes import box_keys
from yolo3.datasets.check_images import ImageCheck
from yolo3.files import real_paths


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
    paths = real_paths(annotation.image_path for annotation in annotations)
    for index, (annotation, image, path) in enumerate(zip(annotations, images, paths, strict=True)):
        first = by_path.setdefault(path, index)
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


def check_overlap(
    train: Sequence[Annotation], val: Sequence[Annotation], digests: Mapping[str, str] | None = None
) -> list[Finding]:
    """Report images that are in both lists, by path or by content, which makes validation look too good.

    Args:
        train: Annotations trained on.
        val: Annotations validated on.
        digests: Digest of each image's bytes by its path, as `ImageCheck` has it; files are read where it is missing.

    Returns:
        A warning for each image of `val` that is trained on.
    """
    known = dict(digests or {})

    def digest(path: str) -> str:
        if path not in known:
            try:
                with open(path, "rb") as file:
                    known[path] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
            except OSError:
                known[path] = ""
        return known[path]

    by_path = dict(zip(real_paths(item.image_path for item in train), train, strict=True))
    by_digest: dict[str, Annotation] = {}
    for item in train if val else ():
        by_digest.setdefault(digest(item.image_path), item)
    by_digest.pop("", None)

    findings = []
    for item, path in zip(val, real_paths(item.image_path for item in val), strict=True):
        twin = by_path.get(path) or by_digest.get(digest(item.image_path))
        if twin is not None:
            message = (
                f"expected an image that is not trained on, got {item.image_path}, which is in the training list too "
                f"({twin.source}); remove it from one of them"
            )
            findings.append(Finding("warning", "overlap", item.source, message))
    return findings
