"""Anchors: the default ones, their files, clustering a data set's own, and how well a set of anchors fits.

``anchors`` are float [A, 2], (width, height) in pixels of the network input, small ones first.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo3.files import replace_file
from yolo3.ops.boxes import shape_iou

# Clustered on COCO at 416 x 416 by YOLOv3's authors: pjreddie/darknet cfg/yolov3.cfg and cfg/yolov3-tiny.cfg.
DEFAULT_ANCHORS = np.array(
    [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]],
    np.float32,
)
DEFAULT_TINY_ANCHORS = np.array([[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]], np.float32)
DEFAULT_ANCHORS.setflags(write=False)
DEFAULT_TINY_ANCHORS.setflags(write=False)

# More boxes than this do not move the clusters by a tenth of a pixel, but cost minutes (COCO has 860,000).
_MAX_CLUSTERED = 30_000
_MAX_ROUNDS = 200


def default_anchors(num_anchors: int) -> np.ndarray | None:
    """Return YOLOv3's anchors for 9, the tiny network's for 6, None for another number."""
    return {9: DEFAULT_ANCHORS, 6: DEFAULT_TINY_ANCHORS}.get(num_anchors)


# ------------------------------------------------------------------------------------------------- files


def parse_anchors(text: str, source: str = "anchors") -> np.ndarray:
    """Return float32 [A, 2] from text: pairs "w,h" separated by commas, blanks or line ends, all lines read.

    ``source`` names the text in errors. Raises ``ValueError`` with the line for what is no positive number,
    for half a pair and for no pair at all. Inverse: :func:`format_anchors`.
    """
    values: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        values += [_positive(word, f"{source}:{number}") for word in re.split(r"[,\s]+", line) if word]
    if not values:
        raise ValueError(f"{source}: expected anchors such as '10,13,  16,30,  33,23', got no number")
    if len(values) % 2:
        last = max(number for number, line in enumerate(text.splitlines(), 1) if line.strip(", \t"))
        raise ValueError(f"{source}:{last}: expected pairs 'width,height', got an odd number of values, {len(values)}")
    return np.array(values, np.float32).reshape(-1, 2)


def _positive(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{where}: expected a width or height in pixels, got {word!r}") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{where}: expected a width or height above 0 pixels, got {word!r}")
    return value


def read_anchors(path: str | os.PathLike) -> np.ndarray:
    """Return float32 [A, 2], (w, h) in pixels of the network input, from a file: :func:`parse_anchors`."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text file with anchors, got bytes that are no text") from error
    return parse_anchors(text, os.fspath(path))


def format_anchors(anchors) -> str:
    """Return "w,h,  w,h" on one line, whole numbers without a point. Inverse: :func:`parse_anchors`."""
    return ",  ".join(f"{width:.6g},{height:.6g}" for width, height in _checked_sizes(anchors, "anchors"))


def write_anchors(path: str | os.PathLike, anchors) -> None:
    """Write anchors [A, 2] as one line, replacing the file in one step. Inverse: :func:`read_anchors`."""
    replace_file(path, format_anchors(anchors) + "\n")


def _checked_sizes(sizes_wh, name: str) -> np.ndarray:
    """Return float64 [N, 2]; raises ``ValueError`` for another shape and for what is no positive number."""
    sizes = np.asarray(sizes_wh, np.float64)
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(f"{name}: expected an array [N, 2] of widths and heights, got shape {list(sizes.shape)}")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        wrong = sizes[~(np.isfinite(sizes) & (sizes > 0)).all(axis=1)][0]
        raise ValueError(f"{name}: expected widths and heights above 0, got {wrong[0]:g} x {wrong[1]:g}")
    return sizes


# -------------------------------------------------------------------------------------------- clustering


def cluster_anchors(sizes_wh, num_anchors: int, seed: int = 0, restarts: int = 8) -> np.ndarray:
    """Return float64 [A, 2], sorted by area: anchors with a large mean of each size's best IoU.

    k-means with distance 1 - IoU (Redmon & Farhadi 2017, section 2), started as k-means++ (Arthur &
    Vassilvitskii 2007). ``sizes_wh``: [N, 2] widths and heights in pixels of the network input. Each of
    ``restarts`` runs moves centres to the median of their sizes, then goes on with the mean; the best set
    seen wins. At most 30,000 sizes, drawn with ``seed``, are used. Raises ``ValueError`` for fewer distinct
    sizes than anchors.
    """
    sizes = _checked_sizes(sizes_wh, "sizes")
    distinct = len(np.unique(sizes, axis=0))
    if num_anchors < 1 or distinct < num_anchors:
        raise ValueError(
            f"cannot make {num_anchors} anchors of {len(sizes)} boxes with {distinct} distinct sizes: "
            "give more boxes or ask for fewer anchors"
        )
    rng = np.random.default_rng(seed)
    sizes = _sample(sizes, num_anchors, rng)
    candidates = [centres for _ in range(restarts) for centres in _one_run(sizes, num_anchors, rng)]
    best = max(candidates, key=lambda centres: _mean_best_iou(sizes, centres))
    return best[np.lexsort((best[:, 0], best.prod(axis=1)))]


def _sample(sizes: np.ndarray, num_anchors: int, rng: np.random.Generator) -> np.ndarray:
    if len(sizes) <= _MAX_CLUSTERED:
        return sizes
    drawn = sizes[rng.choice(len(sizes), _MAX_CLUSTERED, replace=False)]
    return drawn if len(np.unique(drawn, axis=0)) >= num_anchors else np.unique(sizes, axis=0)


def _one_run(sizes: np.ndarray, num_anchors: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the centres that the median settles on, and those that the mean then makes of them."""
    by_median = _settle(sizes, _spread_start(sizes, num_anchors, rng), np.median)
    return [by_median, _settle(sizes, by_median, np.mean)]


def _spread_start(sizes: np.ndarray, num_anchors: int, rng: np.random.Generator) -> np.ndarray:
    """Return [A, 2] distinct sizes: drawn with chances as their squared distance to those drawn before."""
    centres = sizes[rng.integers(len(sizes))][None]
    while len(centres) < num_anchors:
        distance = np.clip(1 - shape_iou(sizes, centres).max(axis=1), 0, None)
        distance[(sizes[:, None] == centres[None]).all(axis=2).any(axis=1)] = 0  # rounding may leave 1e-16
        chance = distance**2
        pick = rng.choice(len(sizes), p=chance / chance.sum())
        centres = np.append(centres, sizes[pick][None], axis=0)
    return centres


def _settle(sizes: np.ndarray, centres: np.ndarray, centre_of: Callable) -> np.ndarray:
    """Assign and move until nothing changes; returns the centres with the best mean IoU on the way."""
    best, best_iou, previous = centres, -1.0, None
    for _ in range(_MAX_ROUNDS):
        overlap = shape_iou(sizes, centres)  # [N, A]
        mean_iou = overlap.max(axis=1).mean()
        if mean_iou > best_iou:
            best, best_iou = centres, mean_iou
        owner = overlap.argmax(axis=1)
        if previous is not None and (owner == previous).all():
            break
        centres, previous = _moved(sizes, owner, overlap, centres, centre_of), owner
    return best


def _moved(sizes, owner, overlap, centres, centre_of) -> np.ndarray:
    """Return each centre moved to its sizes; one without sizes goes to the size that is served worst."""
    moved = centres.copy()
    served = overlap.max(axis=1)
    for index in range(len(centres)):
        mine = owner == index
        if mine.any():
            moved[index] = centre_of(sizes[mine], axis=0)
        else:
            worst = served.argmin()
            moved[index], served[worst] = sizes[worst], 1.0
    return moved


def _mean_best_iou(sizes: np.ndarray, anchors: np.ndarray) -> float:
    return float(shape_iou(sizes, anchors).max(axis=1).mean())


# --------------------------------------------------------------------------------------------------- fit


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors fit boxes.

    ``mean_iou``: mean over the boxes of the IoU with their best anchor. ``above_50``, ``above_25``: share of
    boxes, 0..1, for which it is at least .5 or .25. ``num_boxes``: how many there were.
    """

    mean_iou: float
    above_50: float
    above_25: float
    num_boxes: int

    def __str__(self) -> str:
        return (
            f"average IoU {self.mean_iou:.3f}; of {self.num_boxes} boxes {self.above_50:.1%} reach .5 "
            f"and {self.above_25:.1%} reach .25"
        )


def anchor_fit(sizes_wh, anchors) -> AnchorFit:
    """Return the :class:`AnchorFit` of anchors [A, 2] to sizes [N, 2], both in pixels of the network input.

    The IoU is that of widths and heights laid on one centre. Raises ``ValueError`` without boxes.
    """
    sizes, anchors = _checked_sizes(sizes_wh, "sizes"), _checked_sizes(anchors, "anchors")
    if not len(sizes) or not len(anchors):
        raise ValueError(f"anchor_fit: expected boxes and anchors, got {len(sizes)} boxes and {len(anchors)} anchors")
    best = np.concatenate([shape_iou(part, anchors).max(axis=1) for part in _parts(sizes)])
    return AnchorFit(float(best.mean()), float((best >= 0.5).mean()), float((best >= 0.25).mean()), len(sizes))


def _parts(sizes: np.ndarray, length: int = 100_000) -> list[np.ndarray]:
    """Return the sizes in parts whose [N, A] arrays stay small."""
    return [sizes[start : start + length] for start in range(0, len(sizes), length)]
