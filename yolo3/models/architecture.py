"""The interface that every detector architecture implements.

An *architecture* says what the raw outputs of a network mean: YOLOv3, YOLOv1, RetinaNet, RPN. Training, validation,
detection and saving use this interface alone. :mod:`yolo3.models.registry` lists the architectures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from yolo3.darknet.cfg import DEFAULT_SIZE

IOU_THRESHOLD = 0.45  # of non-maximum suppression, Darknet's
CFG = "cfg"  # the name, in metadata, of a network that a Darknet cfg describes


class Architecture(Protocol):
    """A detector architecture for a certain number of classes.

    ``outputs`` is the list of the network's outputs everywhere, ``input_shape`` the (height, width) of the network
    input in pixels, as numbers.

    Three class methods make one: ``from_name(name, num_classes, **choices)`` for a name of ``--model``,
    ``from_metadata(metadata)`` for a saved file, the inverse of :meth:`metadata`, and, where a Darknet cfg can describe
    such a network, ``from_cfg(cfg, num_classes=None, **choices)``. The choices are those of the command: for an
    architecture that reads anchors ``anchors``, ``anchor_mask`` (not of ``from_cfg``), ``ignore_thresh`` and ``loss``;
    for any other one its own fields, as ``--model-options`` gives them.
    """

    @property
    def name(self) -> str:
        """Name in ``--model`` and in the metadata of saved files."""

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms that add up to the loss."""

    @property
    def stride(self) -> int:
        """Number of pixels that the sides of the network input are multiples of."""

    @property
    def fixed_size(self) -> bool:
        """Whether the network takes images of one size only."""

    @property
    def iou_threshold(self) -> float:
        """IoU above which two boxes of one class count as one object."""

    @property
    def one_class(self) -> str | None:
        """Name of all objects, for an architecture that does not tell classes apart; None for any other one."""

    def build_network(self, input_shape: tuple, batch_norm: type | None = None) -> Any:
        """Build a ``keras.Model`` of stock layers with random weights.

        Args:
            input_shape: (height, width, 3), None for sides that are open. The input is RGB, 0..1.
            batch_norm: Class of the normalization layers, Keras' own by default.
        """

    def build_targets(self, boxes, input_shape: tuple[int, int]) -> Any:
        """Return what :meth:`loss_terms` compares the outputs with, in the graph.

        Args:
            boxes: float32 [B, T, 5] (x, y, w, h relative to the input, class id); rows without area are padding.
            input_shape: (height, width) in pixels.
        """

    def loss_terms(self, outputs: list, targets: Any, input_shape: tuple[int, int]) -> dict:
        """Return the terms of the loss by name, float32 scalars, each the mean over the images of the batch.

        Where a term has a least value above 0 that no network can remove, the dict holds it as ``<term>_floor`` too.
        """

    def decode(self, outputs: list, input_shape: tuple[int, int]) -> tuple:
        """Return (boxes, scores): float32 [B, N, 4] xyxy in pixels of the network input, and [B, N, C] in 0..1."""

    def check_outputs(self, shapes: list[tuple]) -> None:
        """Raise ``ValueError`` unless a network with outputs of these shapes fits this architecture."""

    def backbone_layers(self, network) -> list[str]:
        """Return the names of the layers that pretrained files share, which ``--freeze-epochs`` freezes."""

    def metadata(self) -> dict:
        """Return what a saved file holds about this object, ready for JSON and enough to rebuild it."""


def check_input_shape(input_shape: Sequence[int], stride: int) -> tuple[int, int]:
    """Return (height, width) as integers.

    Raises:
        ValueError: Unless both are positive multiples of the network's ``stride``.
    """
    height, width = (int(side) for side in input_shape)
    if height <= 0 or width <= 0 or height % stride or width % stride:
        raise ValueError(f"input size: expected multiples of {stride}, got {height} {width} (height width)")
    return height, width


def default_input_shape(stride: int) -> tuple[int, int]:
    """Return the size, in multiples of ``stride``, of a network without a size of its own: 416 x 416, or less."""
    side = max(DEFAULT_SIZE // stride, 1) * stride
    return side, side


def expect_outputs(shapes: list[tuple], endings: list[tuple[int, ...]]) -> None:
    """Raise ``ValueError`` unless there is an output for each of ``endings``, and its shape ends so."""
    if len(shapes) != len(endings):
        raise ValueError(f"expected a network with {len(endings)} outputs, got {len(shapes)}")
    for number, (shape, ending) in enumerate(zip(shapes, endings, strict=True)):
        if tuple(shape[-len(ending) :]) != ending:
            expected = ", ".join(map(str, ending))
            raise ValueError(f"output {number}: expected a shape [..., {expected}], got {list(shape)}")
