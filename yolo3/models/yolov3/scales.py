"""The record of one output scale.

Scales come in the order of the network's outputs: the coarsest first in Darknet's and keras-yolo3's YOLOv3, any order
in a network that a cfg describes. What arrives as parallel lists (arguments of keras-yolo3's functions, metadata of
saved files, sections of a cfg) becomes records here, in :func:`make_scales`, and stays records from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.models.yolov3.defaults import FULL_MASK, IGNORE_THRESH, STRIDES, TINY_MASK, AnchorMask


@dataclass(frozen=True, eq=False)
class Scale:
    """One output of a YOLOv3 network.

    Args:
        stride: Pixels of the network input per cell.
        anchor_mask: Indices of this scale's anchors in the network's list of anchors.
        anchors: float32 [A, 2] (w, h) in pixels of the network input, those that ``anchor_mask`` names.
        scale_x_y: Factor s that stretches the sigmoid of a centre to s * sigmoid - (s - 1) / 2; 1 is Darknet's YOLOv3.
        ignore_thresh: IoU with any ground truth above which a prediction is not trained as background.
        new_coords: Whether boxes are coded as in Scaled-YOLOv4; see :mod:`yolo3.models.yolov3.head`.
    """

    stride: int
    anchor_mask: tuple[int, ...]
    anchors: np.ndarray
    scale_x_y: float = 1.0
    ignore_thresh: float = IGNORE_THRESH
    new_coords: bool = False

    def grid_shape(self, input_shape: Sequence[int]) -> tuple[int, int]:
        """Return (height, width) in cells for a network input of ``input_shape`` (height, width) in pixels."""
        return input_shape[0] // self.stride, input_shape[1] // self.stride


def make_scales(
    anchors,
    anchor_mask: Sequence[Sequence[int]] | None = None,
    strides: Sequence[int] | None = None,
    scale_x_y: float | Sequence[float] = 1.0,
    ignore_thresh: float | Sequence[float] = IGNORE_THRESH,
    new_coords: bool | Sequence[bool] = False,
) -> tuple[Scale, ...]:
    """Return one record for each output of a network.

    Args:
        anchors: float [N, 2] (w, h) in pixels of the network input.
        anchor_mask: Indices of the anchors of each scale; by default those of nine (YOLOv3) or six anchors (tiny).
        strides: Pixels of the network input per cell of each scale; by default YOLOv3's, 32, 16 and 8.
        scale_x_y: One number, or one per scale.
        ignore_thresh: One number, or one per scale.
        new_coords: One truth value, or one per scale.

    Raises:
        ValueError: Where the lists do not fit each other or the anchors.
    """
    anchors = np.asarray(anchors, np.float32)
    mask = check_anchor_mask(anchor_mask, len(anchors))
    num_scales = len(mask)

    strides = STRIDES[:num_scales] if strides is None else tuple(strides)
    if len(strides) != num_scales:
        raise ValueError(f"strides: expected {num_scales}, one per scale, got {strides}")
    factors = _per_scale(scale_x_y, num_scales, "scale_x_y")
    thresholds = _per_scale(ignore_thresh, num_scales, "ignore_thresh")
    coded_anew = _per_scale(new_coords, num_scales, "new_coords")

    return tuple(
        Scale(
            int(stride),
            indices,
            anchors=anchors[list(indices)],
            scale_x_y=factor,
            ignore_thresh=threshold,
            new_coords=bool(anew),
        )
        for stride, indices, factor, threshold, anew in zip(strides, mask, factors, thresholds, coded_anew, strict=True)
    )


def _per_scale(value, num_scales: int, name: str) -> list[float]:
    values = list(value) if np.ndim(value) else [value] * num_scales
    if len(values) != num_scales:
        raise ValueError(f"{name}: expected one number or {num_scales}, one per scale, got {values}")
    return [float(each) for each in values]


def default_anchor_mask(num_anchors: int) -> AnchorMask:
    """Return the masks for nine anchors (YOLOv3) or six (tiny).

    Raises:
        ValueError: For any other number, which needs an ``anchor_mask`` of its own.
    """
    if num_anchors == 9:
        return FULL_MASK
    if num_anchors == 6:
        return TINY_MASK
    raise ValueError(f"expected 9 anchors (three scales) or 6 (two), got {num_anchors}; give anchor_mask for others")


def dealt_anchor_mask(num_anchors: int, strides: Sequence[int]) -> AnchorMask:
    """Return a mask that deals the anchors out in equal parts, the largest ones to the coarsest scale."""
    size = num_anchors // len(strides)
    rank = {stride: place for place, stride in enumerate(sorted(strides))}
    return tuple(tuple(range(rank[stride] * size, (rank[stride] + 1) * size)) for stride in strides)


def check_anchor_mask(anchor_mask: Sequence[Sequence[int]] | None, num_anchors: int) -> AnchorMask:
    """Return the mask as tuples of integers, or the default one for ``None``.

    Raises:
        ValueError: When an index names no anchor, a scale has none, or scales differ in number.
    """
    if anchor_mask is None:
        return default_anchor_mask(num_anchors)

    mask = tuple(tuple(int(index) for index in scale) for scale in anchor_mask)
    if not mask or len({len(scale) for scale in mask}) != 1 or not mask[0]:
        raise ValueError(f"anchor_mask: expected the same number of anchors, at least one, at each scale, got {mask}")
    wrong = [index for scale in mask for index in scale if not 0 <= index < num_anchors]
    if wrong:
        raise ValueError(f"anchor_mask {mask}: index {wrong[0]} names no anchor; there are {num_anchors}")
    return mask
