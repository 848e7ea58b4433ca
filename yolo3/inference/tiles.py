"""Large images looked at window by window; what several windows saw of one object becomes one box.

Two boxes of a class from two windows are of one object when they agree on the part of the image that both
windows show: each cut down to that part, their IoU exceeds a threshold. Of boxes that agree the best stays. A box
that ends where its window ends, inside the image, is cut: it gives way to any box that is whole, whatever their
scores, and also to one that holds most of it. Where no window shows the object whole, its pieces become the box
around them. Boxes of one window are never compared: the detector has done that, and a small object in front of a
large one of its class stays.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.ops.boxes import coverage, iou

SMALLEST_TILE = 32  # pixels: the stride of the coarsest scale
OVERLAP = 0.2  # what is smaller than this part of a window is seen whole by one of them
_WEAK_KEPT = 50
_CUT_MARGIN = 0.01  # of the window's sides: a box that ends so near the edge counts as cut there

Image = str | os.PathLike | np.ndarray


class TiledDetector:
    """A detector for images that are large for it: used as a :class:`yolo3.inference.detector.Detector` is.

    ``detector``: has ``detect_each``, ``class_names``, ``iou_threshold`` and ``max_boxes``. ``tile``: side of a
    window in pixels of the image. ``overlap``: part of a window that its neighbour shows too, 0 to .9. With
    ``whole`` the image is looked at as a whole as well, for objects that are longer than half a window: of what
    is shorter some window shows half the length at least, and finer. ``max_boxes`` counts for each window and for the
    whole image. ``strong``: a score; what is above it is merged by itself, so that a weak box that lies whole in its
    window takes the place of no strong one that is cut, and lengthens none; of the others the 50 best are kept.
    Raises ``ValueError`` for a window or an overlap out of range.
    """

    def __init__(self, detector: Any, tile: int, overlap: float = OVERLAP, whole: bool = True, strong: float = 0.0):
        check_tiling(tile, overlap)
        self.detector, self.tile, self.overlap, self.whole, self.strong = detector, tile, overlap, whole, strong
        self.class_names = detector.class_names

    def detect_each(
        self, images: Iterable[Image], on_error: Callable[[Image, Exception], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray, Detections]]:
        """Yield (index, image uint8 [H, W, 3], detections) in order, as ``Detector.detect_each``.

        Windows of several images share batches.
        """
        looks: deque = deque()  # (index, image, its windows, number of the window), one for each window on its way
        found: list[Detections] = []  # in the windows of the image so far
        for _, _, detections in self.detector.detect_each(self._cut(images, on_error, looks)):
            index, image, frames, number = looks.popleft()
            found.append(detections)
            if number == len(frames) - 1:
                yield index, image, self._merge(found, frames, image.shape[:2])
                found = []

    def _cut(self, images, on_error, looks: deque) -> Iterator[np.ndarray]:
        """Yield the windows of all images, and note in ``looks`` what each of them is."""
        for index, source in enumerate(images):
            try:
                image = source if isinstance(source, np.ndarray) else read_image(source)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(source, error)
                continue
            frames = windows(image.shape[:2], self.tile, self.overlap, self.whole)
            for number, (left, top, right, bottom) in enumerate(frames):
                looks.append((index, image, frames, number))
                yield image[top:bottom, left:right]

    def _merge(self, found: Sequence[Detections], frames: np.ndarray, image_shape) -> Detections:
        if self.whole and len(found) > 1:
            found = [_longer_than(self.tile / 2, found[0]), *found[1:]]
        limit = self.detector.iou_threshold
        merged = [merge_windows(parts, frames, image_shape, limit) for parts in _apart(found, self.strong)]
        return _chosen(_joined(*merged), slice(self.detector.max_boxes))


def _apart(found: Sequence[Detections], strong: float) -> tuple[list[Detections], list[Detections]]:
    """Return what is above a score in each window, and the best of all the rest, there too."""
    rest = [_chosen(part, part.scores <= strong) for part in found]
    least = np.sort(_joined(*rest).scores)[-_WEAK_KEPT:].min(initial=np.inf)
    above = [_chosen(part, part.scores > strong) for part in found]
    return above, [_chosen(part, part.scores >= least) for part in rest]


def _longer_than(length: float, found: Detections) -> Detections:
    return _chosen(found, (found.boxes[:, 2:] - found.boxes[:, :2]).max(-1) > length)


def _chosen(found: Detections, which) -> Detections:
    return Detections(found.boxes[which], found.scores[which], found.class_ids[which])


def _joined(*parts: Detections) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
    )


def check_tiling(tile: int, overlap: float) -> None:
    """Raise ``ValueError`` for a window that is too small to hold anything, or that hardly moves on."""
    if tile < SMALLEST_TILE:
        raise ValueError(f"tile: expected at least {SMALLEST_TILE} pixels, got {tile}")
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"overlap: expected a number from 0 to 0.9, got {overlap:g}")


def windows(image_shape: Sequence[int], tile: int, overlap: float = OVERLAP, whole: bool = True) -> np.ndarray:
    """Return int [W, 4], xyxy: squares of ``tile`` pixels row by row, cut to the image.

    The last of a row and of a column lie flush with the border. ``whole``: the first window is the whole image.
    An image that fits into one window gives just that.
    """
    height, width = image_shape
    xs, ys = _starts(width, tile, overlap), _starts(height, tile, overlap)
    squares = [[x, y, min(x + tile, width), min(y + tile, height)] for y in ys for x in xs]
    if whole and len(squares) > 1:
        squares.insert(0, [0, 0, width, height])
    return np.array(squares)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where windows begin along a side of ``length`` pixels."""
    last = max(length - tile, 0)
    step = int(round(tile * (1 - overlap), 6))  # 100 * (1 - .8) is a little less than 20
    return [*range(0, last, max(step, 1)), last]


def merge_windows(
    found: Sequence[Detections], frames: np.ndarray, image_shape: Sequence[int], iou_threshold: float
) -> Detections:
    """Return the detections of an image from those of its windows, best scores first.

    ``found``: one for each window, boxes in pixels of the window. ``frames``: int [W, 4], the windows, xyxy in
    pixels of the image. The rules are those at the top of this module.
    """
    origins = np.repeat(np.arange(len(found)), [len(part) for part in found])
    joined = _joined(*found)
    scores, class_ids = joined.scores, joined.class_ids
    boxes = joined.boxes.astype(np.float64) + np.tile(frames[origins, :2], 2)
    cut = _is_cut(boxes, frames[origins], image_shape)
    order = np.lexsort((-scores, cut, class_ids))  # class by class, what is whole before what is cut
    kept: list[int] = []
    for group in np.split(order, np.flatnonzero(np.diff(class_ids[order])) + 1):
        for members in _objects(boxes[group], frames[origins[group]], cut[group], iou_threshold):
            best, *others = group[members]
            if cut[best]:
                boxes[best] = _box_around(boxes[[best, *others]])
            kept.append(best)
    kept.sort(key=lambda index: -scores[index])
    return Detections(boxes[kept], scores[kept], class_ids[kept])


def _is_cut(boxes: np.ndarray, frames: np.ndarray, image_shape) -> np.ndarray:
    """Return bool [N]: boxes [N, 4] that end at an edge of their window [N, 4] which is no border of the image."""
    height, width = image_shape
    margin = _CUT_MARGIN * np.tile(frames[:, 2:] - frames[:, :2], 2)
    at_edge = np.abs(boxes - frames) <= margin
    return (at_edge & (frames != [0, 0, width, height])).any(-1)


def _objects(boxes: np.ndarray, frames: np.ndarray, cut: np.ndarray, iou_threshold: float) -> Iterator[list[int]]:
    """Yield the boxes of each object of a class, as indices, its best box first.

    Boxes [N, 4] in order: whole ones first, then by falling score. Pieces may form a chain: each agrees with one
    of the others.
    """
    free = np.ones(len(boxes), bool)
    for first in range(len(boxes)):
        if not free[first]:
            continue
        free[first] = False
        members = [first]
        for member in members:  # it grows on the way
            same = _same_object(boxes[member], frames[member], boxes[free], frames[free], cut[free], iou_threshold)
            joined = np.flatnonzero(free)[same]
            free[joined] = False
            members += joined.tolist()
            if not cut[first]:
                break
        yield members


def _same_object(box, frame, boxes, frames, cut, iou_threshold: float) -> np.ndarray:
    """Return bool [N]: which boxes [N, 4] of the windows ``frames`` [N, 4] show the object of ``box`` in ``frame``."""
    low, high = np.maximum(frame[:2], frames[:, :2]), np.minimum(frame[2:], frames[:, 2:])  # what both windows show
    agreement = iou(_cut_down(box, low, high), _cut_down(boxes, low, high))
    held = cut & (coverage(boxes, box) > iou_threshold)
    return ((agreement > iou_threshold) | held) & (frames != frame).any(-1)


def _cut_down(boxes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return boxes [N, 4] without what lies outside the corners ``low`` and ``high`` [N, 2]."""
    return np.concatenate([np.maximum(boxes[..., :2], low), np.minimum(boxes[..., 2:], high)], -1)


def _box_around(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
