"""Detection of small objects in large images: tile by tile, and in the image as a whole."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.inference.tile_merging import joined, merge_tiles

SMALLEST_TILE = 32  # pixels
MOST_OVERLAP = 0.9  # where a pixel lies in a hundred tiles
OVERLAP = 0.2  # objects smaller than this part of a tile are complete in one of them
_WEAK_KEPT = 50

Image = str | os.PathLike | np.ndarray


def check_tiling(tile: int, overlap: float) -> None:
    """Check the size and overlap of tiles.

    Args:
        tile: Side of a tile in pixels.
        overlap: Part of a tile that the next one shows too.

    Raises:
        ValueError: If a tile is smaller than 32 pixels, or the overlap is not from 0 to `MOST_OVERLAP`.
    """
    if tile < SMALLEST_TILE:
        raise ValueError(f"tile: expected at least {SMALLEST_TILE} pixels, got {tile}")
    if not 0 <= overlap <= MOST_OVERLAP:
        raise ValueError(f"overlap: expected a number from 0 to {MOST_OVERLAP}, got {overlap:g}")


def tile_boxes(image_shape: Sequence[int], tile: int, overlap: float = OVERLAP, whole: bool = True) -> np.ndarray:
    """Return the tiles of an image, row by row.

    The last tiles of a row and of a column lie flush with the border. An image that fits into one tile gives just that.

    Args:
        image_shape: (height, width) in pixels.
        tile: Side of a tile in pixels.
        overlap: Part of a tile that the next one shows too.
        whole: Whether the whole image comes first, as one more tile.

    Returns:
        int [T, 4], xyxy in pixels: squares, cut to the image.
    """
    height, width = image_shape
    step = max(int(round(tile * (1 - overlap), 6)), 1)  # rounded: 100 * (1 - .8) is a little less than 20
    last_x, last_y = max(width - tile, 0), max(height - tile, 0)
    xs, ys = [*range(0, last_x, step), last_x], [*range(0, last_y, step), last_y]

    squares = [[x, y, min(x + tile, width), min(y + tile, height)] for y in ys for x in xs]
    if whole and len(squares) > 1:
        squares.insert(0, [0, 0, width, height])
    return np.array(squares)


class TiledDetector:
    """Detector for images that are large for its network; used like a :class:`yolo3.inference.detector.Detector`.

    Args:
        detector: A detector: anything with `detect_each`, `class_names`, `iou_threshold` and `max_boxes`, which counts
            for each tile and for the whole image.
        tile: Side of a tile in pixels of the image.
        overlap: Part of a tile that the next one shows too, 0 to `MOST_OVERLAP`.
        whole: Whether to detect in the whole image too, for objects longer than half a tile. Of shorter objects some
            tile shows at least half the length, at a higher resolution.
        strong: Score above which detections are merged on their own, so that a weak complete box neither replaces a
            strong cut one nor lengthens it. Of the other detections the 50 best are kept.

    Raises:
        ValueError: For a tile or an overlap out of range.
    """

    def __init__(self, detector: Any, tile: int, overlap: float = OVERLAP, whole: bool = True, strong: float = 0.0):
        check_tiling(tile, overlap)
        self.detector, self.tile, self.overlap, self.whole, self.strong = detector, tile, overlap, whole, strong
        self.class_names = detector.class_names

    def detect_each(
        self, images: Iterable[Image], on_error: Callable[[Image, Exception], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray, Detections]]:
        """Yield the detections of each image in order; see :meth:`yolo3.inference.detector.Detector.detect_each`.

        Tiles of several images share batches.

        Args:
            images: Paths, or arrays uint8 [H, W, 3], RGB.
            on_error: Called with an image that cannot be read, and the error; it is then skipped.

        Yields:
            Tuples of index, image and :class:`yolo3.detections.Detections`.
        """
        pending: deque = deque()  # (index, image, its tiles, number of the tile) of each tile on its way
        found: list[Detections] = []  # in the tiles of the current image
        for _, _, detections in self.detector.detect_each(self._cut(images, on_error, pending)):
            index, image, tiles, number = pending.popleft()
            found.append(detections)
            if number == len(tiles) - 1:
                yield index, image, self._merge(found, tiles, image.shape[:2])
                found = []

    def _cut(self, images, on_error, pending: deque) -> Iterator[np.ndarray]:
        """Yield the tiles of all images, and append to `pending` what each of them is."""
        for index, source in enumerate(images):
            try:
                image = source if isinstance(source, np.ndarray) else read_image(source)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(source, error)
                continue

            tiles = tile_boxes(image.shape[:2], self.tile, overlap=self.overlap, whole=self.whole)
            for number, (left, top, right, bottom) in enumerate(tiles):
                pending.append((index, image, tiles, number))
                yield image[top:bottom, left:right]

    def _merge(self, found: Sequence[Detections], tiles: np.ndarray, image_shape) -> Detections:
        """Return the detections of an image, strong ones before the best of the weak ones."""
        if self.whole and len(found) > 1:  # of the whole image, only what is longer than half a tile
            sides = found[0].boxes[:, 2:] - found[0].boxes[:, :2]
            found = [_chosen(found[0], sides.max(-1) > self.tile / 2), *found[1:]]

        strong = [_chosen(part, part.scores > self.strong) for part in found]
        weak = [_chosen(part, part.scores <= self.strong) for part in found]
        least = np.sort(joined(weak).scores)[-_WEAK_KEPT:].min(initial=np.inf)
        weak = [_chosen(part, part.scores >= least) for part in weak]

        limit = self.detector.iou_threshold
        merged = [merge_tiles(parts, tiles, image_shape, iou_threshold=limit) for parts in (strong, weak)]
        return _chosen(joined(merged), slice(self.detector.max_boxes))


def _chosen(found: Detections, which) -> Detections:
    return Detections(found.boxes[which], found.scores[which], found.class_ids[which])
