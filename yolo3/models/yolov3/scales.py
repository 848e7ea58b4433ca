"""The only home of strides and anchor masks.

A *scale* is one output of the network. Scale 0 is the coarsest (stride 32), as Darknet and keras-yolo3 order them;
``anchor_mask[s]`` lists which anchors, by index, scale ``s`` predicts with.
"""

from collections.abc import Sequence

STRIDES = (32, 16, 8)  # of YOLOv3; a network made from a cfg may have others, in another order
AnchorMask = tuple[tuple[int, ...], ...]

FULL_MASK: AnchorMask = ((6, 7, 8), (3, 4, 5), (0, 1, 2))
TINY_MASK: AnchorMask = ((3, 4, 5), (0, 1, 2))
OFFICIAL_TINY_MASK: AnchorMask = ((3, 4, 5), (1, 2, 3))
"""What Darknet's published yolov3-tiny.weights were trained with (its cfg said so until August 2018)."""


def default_anchor_mask(num_anchors: int) -> AnchorMask:
    """Return the masks for six anchors (tiny) or nine (full).

    Raises ``ValueError`` for any other number: say ``anchor_mask`` then.
    """
    if num_anchors == 9:
        return FULL_MASK
    if num_anchors == 6:
        return TINY_MASK
    raise ValueError(f"expected 9 anchors (three scales) or 6 (two), got {num_anchors}; give anchor_mask for others")


def check_anchor_mask(anchor_mask: Sequence[Sequence[int]] | None, num_anchors: int) -> AnchorMask:
    """Return the mask as tuples, or the default one for ``None``.

    Raises ``ValueError`` when an index names no anchor, a scale has none, or scales differ in number.
    """
    if anchor_mask is None:
        return default_anchor_mask(num_anchors)
    mask = tuple(tuple(int(index) for index in scale) for scale in anchor_mask)
    if not mask or len({len(scale) for scale in mask}) != 1 or not mask[0]:
        raise ValueError(f"anchor_mask: expected scales with equally many anchors, got {mask}")
    wrong = [index for scale in mask for index in scale if not 0 <= index < num_anchors]
    if wrong:
        raise ValueError(f"anchor_mask {mask}: index {wrong[0]} names no anchor; there are {num_anchors}")
    return mask


def scale_strides(num_scales: int, strides: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the stride of each scale: those given, or YOLOv3's.

    Raises ``ValueError`` where they are not as many as the scales.
    """
    chosen = STRIDES[:num_scales] if strides is None else tuple(strides)
    if len(chosen) != num_scales:
        raise ValueError(f"strides: expected {num_scales}, one a scale, got {chosen}")
    return chosen


def per_scale(value, num_scales: int, name: str = "scale_x_y") -> list[float]:
    """Return one number a scale from a number or a list; raises ``ValueError`` for a wrong length."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * num_scales
    if len(values) != num_scales:
        raise ValueError(f"{name}: expected one number or {num_scales}, one a scale, got {values}")
    return [float(each) for each in values]


def grid_shapes(
    input_shape: tuple[int, int], num_scales: int, strides: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """Return (height, width) in cells of each scale for an input of ``input_shape`` (height, width) pixels."""
    return [(input_shape[0] // stride, input_shape[1] // stride) for stride in scale_strides(num_scales, strides)]


def check_input_shape(input_shape: Sequence[int], multiple: int = STRIDES[0]) -> tuple[int, int]:
    """Return (height, width) as integers; raises ``ValueError`` unless both are positive multiples of ``multiple``."""
    height, width = (int(side) for side in input_shape)
    if height <= 0 or width <= 0 or height % multiple or width % multiple:
        raise ValueError(f"input size: expected multiples of {multiple}, got {height} {width} (height width)")
    return height, width
