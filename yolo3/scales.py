"""The only home of strides and anchor masks.

A *scale* is one output of the network. Scale 0 is the coarsest (stride 32), as Darknet and keras-yolo3 order them;
``anchor_mask[s]`` lists which anchors, by index, scale ``s`` predicts with.
"""

from collections.abc import Sequence

STRIDES = (32, 16, 8)
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

    Raises ``ValueError`` when an index names no anchor, a scale has none, scales differ in number, or there are more
    scales than strides.
    """
    if anchor_mask is None:
        return default_anchor_mask(num_anchors)
    mask = tuple(tuple(int(index) for index in scale) for scale in anchor_mask)
    if not 1 <= len(mask) <= len(STRIDES) or len({len(scale) for scale in mask}) != 1 or not mask[0]:
        raise ValueError(f"anchor_mask: expected 1 to 3 scales with equally many anchors, got {mask}")
    wrong = [index for scale in mask for index in scale if not 0 <= index < num_anchors]
    if wrong:
        raise ValueError(f"anchor_mask {mask}: index {wrong[0]} names no anchor; there are {num_anchors}")
    return mask


def grid_shapes(input_shape: tuple[int, int], num_scales: int) -> list[tuple[int, int]]:
    """Return (height, width) in cells of each scale for an input of ``input_shape`` (height, width) pixels."""
    return [(input_shape[0] // stride, input_shape[1] // stride) for stride in STRIDES[:num_scales]]


def check_input_shape(input_shape: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) as integers; raises ``ValueError`` unless both are positive multiples of 32."""
    height, width = (int(side) for side in input_shape)
    if height <= 0 or width <= 0 or height % STRIDES[0] or width % STRIDES[0]:
        raise ValueError(f"input size: expected multiples of {STRIDES[0]}, got {height} {width} (height width)")
    return height, width
