"""The loss of any architecture: its terms for the raw outputs of a batch, and as they are logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from yolo3.models.architecture import Architecture


def as_list(outputs) -> list:
    """Return the raw outputs of a network as a list, also where it has one output only."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def batch_terms(architecture: Architecture, outputs, boxes, input_shape) -> dict:
    """Return the terms of the loss of one batch, whose targets are built in the graph.

    Args:
        architecture: What the outputs mean.
        outputs: Raw outputs of a network: a tensor, or one for each scale.
        boxes: float32 [B, T, 5] (x, y, w, h relative to the input, class id), padded with rows of zeros.
        input_shape: (height, width) of the network input in pixels.

    Returns:
        float32 scalars by name, the mean over the images; see
        :meth:`yolo3.models.architecture.Architecture.loss_terms`.
    """
    shape = tuple(input_shape)
    return architecture.loss_terms(as_list(outputs), architecture.build_targets(boxes, shape), shape)


def loss_row(terms: Mapping[str, Any], names: Iterable[str], *, prefix: str = "") -> dict[str, Any]:
    """Return the loss and its terms as they are logged, without the part that no network can remove.

    Args:
        terms: Terms of the loss, and `<term>_floor`, the least value of a term where that is not 0.
        names: The terms that add up to the loss.
        prefix: Of the names in the result.
    """
    shown = {name: terms[name] - terms.get(f"{name}_floor", 0.0) for name in names}
    return {f"{prefix}loss": sum(shown.values()), **{prefix + name: value for name, value in shown.items()}}
