"""The interface between a kind of detector and everything that trains, measures, saves and uses it.

A *architecture* says how the raw outputs of a network mean boxes: YOLOv3, YOLOv1, RetinaNet. Training, validation, detection
and saving know this interface alone, so that one more kind of detector is one more module.
"""

from __future__ import annotations

from typing import Any, Protocol

IOU_THRESHOLD = 0.45  # of suppression, Darknet's


class Architecture(Protocol):
    """What a kind of detector has to say of itself.

    ``name``: as in ``--model`` and in the metadata of saved files. ``num_classes``: C. ``terms``:
    names of the parts that add up to the loss. ``stride``: sides of the network input are multiples of it.
    ``fixed_size``: whether the network takes images of one size alone. ``iou_threshold``: above which two boxes of a
    class are taken to mean one object. ``one_class``: what all objects are called by an architecture that does not tell
    classes apart; None for the others. ``outputs`` is the list of the network's outputs everywhere, ``input_shape``
    (height, width) in pixels of the network input, as numbers.
    """

    @property
    def name(self) -> str: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def terms(self) -> tuple[str, ...]: ...

    @property
    def stride(self) -> int: ...

    @property
    def fixed_size(self) -> bool: ...

    @property
    def iou_threshold(self) -> float: ...

    @property
    def one_class(self) -> str | None: ...

    def build_network(self, input_shape: tuple, batch_norm: type | None = None) -> Any:
        """Return a ``keras.Model`` of stock layers with random weights, ready to be trained.

        ``input_shape``: (height, width, 3), None for sides that are open. Input: RGB, 0..1. ``batch_norm``: class of
        the normalisation layers, Keras' own by default.
        """

    def build_targets(self, boxes, input_shape: tuple[int, int]) -> Any:
        """Return what :meth:`loss_terms` compares outputs with, in the graph.

        ``boxes``: float32 [B, T, 5] (x, y, w, h relative to the input, class id); rows without area are padding.
        """

    def loss_terms(self, outputs: list, targets: Any, input_shape: tuple[int, int]) -> dict:
        """Return the terms of the loss by name, float32 scalars, each the mean over the images of the batch.

        Where a term has a least value above 0 that no network can remove, the dict holds it as ``<term>_floor`` too.
        """

    def decode(self, outputs: list, input_shape: tuple[int, int]) -> tuple:
        """Return (boxes, scores): float32 [B, N, 4] xyxy in pixels of the network input, and [B, N, C] in 0..1."""

    def check_outputs(self, shapes: list[tuple]) -> None:
        """Raise ``ValueError`` unless the outputs of a network, of these shapes, are those of this architecture."""

    def backbone_layers(self, network) -> list[str]:
        """Return the names of the layers that pretrained files share, those that ``--freeze-epochs`` freezes."""

    def metadata(self) -> dict:
        """Return what a saved file has to say so that this object can be made again, as JSON can hold it."""


def expect_outputs(shapes: list[tuple], endings: list[tuple[int, ...]]) -> None:
    """Raise ``ValueError`` unless there is an output for each of ``endings``, and its shape ends so."""
    if len(shapes) != len(endings):
        raise ValueError(f"expected a network with {len(endings)} outputs, got {len(shapes)}")
    for number, (shape, ending) in enumerate(zip(shapes, endings, strict=True)):
        if tuple(shape[-len(ending) :]) != ending:
            expected = ", ".join(map(str, ending))
            raise ValueError(f"output {number}: expected a shape [..., {expected}], got {list(shape)}")


MODELS = ("yolov3", "yolov3-tiny", "yolov3-spp", "yolov1", "yolov1-tiny", "retinanet", "rpn")
WITHOUT_ANCHORS = ("yolov1", "yolov1-tiny", "retinanet", "rpn")  # those that read no file of anchors
