"""What is wrong with a data set, found before the first step of training.

`check_dataset` lists it, `usable_annotations` leaves out what cannot be used, `check_overlap` compares two
lists.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from yolo3.boxes import shape_iou, xyxy_to_cxcywh
from yolo3.datasets.annotation import Annotation, Dataset, Finding, bad_id_message, clip_rounding, image_size
from yolo3.images import boxes_to_network
from yolo3.targets import assign_slots

SMALL_SIDE = 2.0  # pixels of the network input below which a box can hardly be learned
POOR_FIT = 0.5  # shape IoU with the best anchor below which a box counts as badly fitted
MEAN_FIT = 0.6  # and the mean over all boxes below which the anchors do
MANY_POOR = 0.2  # and the share of badly fitted boxes above which they do
_READ_AHEAD = 64  # images in the pool at a time, to bound its memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageCheck:
    """What decoding an image showed: (height, width) upright or None, a digest of its bytes, and (kind,
    message).
    """

    shape: tuple[int, int] | None
    digest: str
    fault: tuple[str, str] | None


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


def usable_annotations(
    dataset: Dataset, findings: Iterable[Finding]
) -> tuple[list[Annotation], dict[str, int]]:
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


def check_overlap(train: Sequence[Annotation], val: Sequence[Annotation]) -> list[Finding]:
    """Warnings for images that are in both lists, by path or by content; they make the validation look too
    good.
    """
    train_paths = {os.path.realpath(item.image_path): item for item in train}
    by_size: dict[int, list[Annotation]] = {}
    for item in train:
        by_size.setdefault(_file_size(item.image_path), []).append(item)
    digests: dict[str, str] = {}
    findings = []
    for item in val:
        twin = train_paths.get(os.path.realpath(item.image_path)) or _same_bytes(item, by_size, digests)
        if twin is not None:
            findings.append(
                Finding(
                    "warning",
                    "overlap",
                    item.source,
                    f"expected an image that is not trained on, got {item.image_path}, which is in "
                    f"the training list too ({twin.source}); take it out of one of them",
                )
            )
    return findings


# Leaving out

SHIFTED_IDS = "one-based-ids"  # all ids are off by one: leaving out the largest would not help
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


def _boxes_to_leave_out(
    removing: Iterable[Finding], bad_images: dict[int, str]
) -> dict[int, dict[int, str]]:
    """For each image that stays, the index of each box that does not, and why."""
    boxes: dict[int, dict[int, str]] = {}
    for finding in removing:
        if (
            finding.annotation is not None
            and finding.box is not None
            and finding.annotation not in bad_images
        ):
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
    known = set(_box_keys(first))
    new = again.select(np.array([key not in known for key in _box_keys(again)], bool))
    boxes, class_ids, difficult, crowd = (
        np.concatenate([getattr(first, name), getattr(new, name)])
        for name in ("boxes", "class_ids", "difficult", "crowd")
    )
    return Annotation(first.image_path, boxes, class_ids, difficult, crowd, first.source)


def _box_keys(annotation: Annotation) -> list[tuple[float, ...]]:
    """Class and coordinates of each box, to compare."""
    return [
        (int(class_id), *box)
        for class_id, box in zip(annotation.class_ids, annotation.boxes.tolist(), strict=True)
    ]


# Images


def check_images(
    paths: Sequence[str], workers: int = 2, progress: Progress | None = None
) -> Iterator[ImageCheck]:
    """Decode each image once, in their order.

    The end waits for no thread, as in :meth:`yolo3.detector.Detector.detect_each`.
    """
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for start in range(0, len(paths), _READ_AHEAD):
            chunk = paths[start : start + _READ_AHEAD]
            for done, result in enumerate(pool.map(check_image, chunk), start + 1):
                if progress is not None:
                    progress(done, len(paths))
                yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def check_image(path: str) -> ImageCheck:
    """Decode one image and say what is wrong with it; never raises."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        return ImageCheck(
            None, "", ("unreadable-image", f"expected an image, got '{error.strerror}' for {path}")
        )
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    fault = image_fault(content)
    if fault is None:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is not None:
            return ImageCheck(image.shape[:2], digest, None)
        fault = "unreadable-image", "got a file that cannot be decoded"
    kind, text = fault
    return ImageCheck(
        None, digest, (kind, f"expected an image, {text}: {path}; replace it or take it out")
    )


def image_fault(content: bytes) -> tuple[str, str] | None:
    """(kind, message) for a file that is empty or ends too early; decoders fill the rest with grey."""
    if not content:
        return "empty-image", "got an empty file"
    complete = True
    if content[:2] == b"\xff\xd8":
        complete = _jpeg_is_complete(content)
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        complete = b"IEND" in content[-64:] or content.rfind(b"\0\0\0\0IEND") > 0
    elif content[:2] == b"BM" and len(content) >= 34:
        complete = _bmp_is_complete(content)
    return (
        None
        if complete
        else ("truncated-image", f"got a file that ends too early, after {len(content)} bytes")
    )


# A marker that is no byte stuffing (00), no restart (D0 to D7) and no fill byte.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


def _jpeg_is_complete(content: bytes) -> bool:
    """Whether the end-of-image marker follows the scans; a thumbnail's own does not count (ISO/IEC 10918-1
    B.1.1).
    """
    at = 2
    while (found := _MARKER.search(content, at)) is not None:
        marker, at = found.group(1), found.end()
        if marker == b"\xd9":
            return True
        if marker in (b"\xd8", b"\x01"):
            continue
        if at + 2 > len(content):
            return False
        at += int.from_bytes(content[at : at + 2], "big")
    return False


def _bmp_is_complete(content: bytes) -> bool:
    """Whether an uncompressed BMP holds all its rows, each filled up to four bytes."""
    offset = int.from_bytes(content[10:14], "little")
    width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
    bits, compression = int.from_bytes(content[28:30], "little"), int.from_bytes(content[30:34], "little")
    return compression != 0 or len(content) >= offset + (width * bits + 31) // 32 * 4 * abs(height)


def _image_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    return [
        Finding("error", image.fault[0], annotation.source, image.fault[1], annotation=index)
        for index, (annotation, image) in enumerate(zip(annotations, images, strict=True))
        if image.fault is not None
    ]


def _duplicate_findings(annotations: Sequence[Annotation], images: Sequence[ImageCheck]) -> list[Finding]:
    """Images listed twice, and different files with the same bytes."""
    findings = []
    by_path: dict[str, int] = {}
    by_digest: dict[str, int] = {}
    for index, (annotation, image) in enumerate(zip(annotations, images, strict=True)):
        path = os.path.realpath(annotation.image_path)
        if path in by_path:
            findings.append(_listed_again(annotations, by_path[path], index))
            continue
        by_path[path] = index
        if image.digest and image.fault is None:
            first = by_digest.setdefault(image.digest, index)
            if first != index:
                findings.append(
                    Finding(
                        "warning",
                        "same-image",
                        annotation.source,
                        f"expected different images, got {annotation.image_path} with the same "
                        f"bytes as {annotations[first].image_path}; take one out",
                        annotation=index,
                    )
                )
    return findings


def _listed_again(annotations: Sequence[Annotation], first: int, again: int) -> Finding:
    """The same boxes twice are a warning, different ones an error: each record would teach that the others'
    boxes are background.
    """
    same = sorted(_box_keys(annotations[first])) == sorted(_box_keys(annotations[again]))
    advice = "take one out" if same else "with other boxes; put all boxes of an image in one place"
    return Finding(
        "warning" if same else "error",
        "duplicate-image",
        annotations[again].source,
        f"expected each image once, got {annotations[again].image_path} again (first at "
        f"{annotations[first].source}), {advice}",
        annotation=again,
    )


def _file_size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else -1


def _digest(path: str, known: dict[str, str]) -> str:
    if path not in known:
        with open(path, "rb") as file:
            known[path] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    return known[path]


def _same_bytes(
    item: Annotation, by_size: dict[int, list[Annotation]], digests: dict[str, str]
) -> Annotation | None:
    """A training image with the bytes of `item`; only files of the same size are read."""
    size = _file_size(item.image_path)
    candidates = by_size.get(size, []) if size >= 0 else []
    return next(
        (
            other
            for other in candidates
            if _digest(other.image_path, digests) == _digest(item.image_path, digests)
        ),
        None,
    )


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
    for box, (xyxy, key) in enumerate(zip(annotation.boxes.tolist(), _box_keys(annotation), strict=True)):
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
        good = [
            box
            for box in range(len(annotation.boxes))
            if (index, box) not in bad and not annotation.crowd[box]
        ]
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
