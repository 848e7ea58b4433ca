"""Choices within the YOLOv3 loss, one frozen record that the settings of a run hold."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yolo3.settings import BELOW_ONE, BETWEEN, NOT_NEGATIVE, POSITIVE, SHARE, check_settings, setting

BOX_LOSSES = ("xywh", "iou", "giou", "diou", "ciou")
BOX_GRADIENTS = ("derivative", "darknet")
FOCAL_TERMS = ("objectness", "class")
OBJECTNESS_TARGETS = ("one", "iou")
OVERLAP_SCALE = 5.0  # 1 - overlap is small beside the other terms

_of_loss = functools.partial(setting, group="loss of YOLOv3")


@dataclass(frozen=True)
class LossOptions:
    """How the loss of :mod:`yolo3.models.yolov3.losses` departs from Darknet's.

    The defaults are those of ``yolo3 train``; `DARKNET` is Darknet's own loss.

    Raises:
        ValueError: For a setting out of range, or settings that do not go together.
    """

    box_loss: str = _of_loss("ciou", "box loss: xywh as in Darknet, or 1 - overlap", choices=BOX_LOSSES)
    box_scale: float | None = _of_loss(
        None, "weight of the box loss", unset=f"{OVERLAP_SCALE:g}; 1 for xywh", metavar="WEIGHT", number=POSITIVE
    )
    objectness_target: str | None = _of_loss(
        None,
        "what the objectness of an object learns: one as in Darknet, or the IoU of its box, so that of several boxes "
        "the tightest has the highest score",
        unset="iou; one with the focal loss of objectness",
        choices=OBJECTNESS_TARGETS,
    )
    focal: tuple[str, ...] = _of_loss(
        (),
        "terms that take the focal loss instead of cross-entropy; objectness covers objects and background",
        unset="none",
        choices=FOCAL_TERMS,
        many="+",
    )
    focal_alpha: float = _of_loss(0.25, "weight of positive targets in the focal loss", metavar="A", number=BETWEEN)
    focal_gamma: float = _of_loss(2.0, "focusing exponent of the focal loss", metavar="G", number=NOT_NEGATIVE)
    label_smoothing: float = _of_loss(
        0.0, "class targets become E/2 and 1 - E/2 instead of 0 and 1", metavar="E", number=BELOW_ONE
    )
    iou_thresh: float = _of_loss(
        1.0,
        "assign an object to all anchors whose shapes overlap it by more than this IoU, besides the best one; "
        "1 = the best one only",
        metavar="IOU",
        number=SHARE,
    )
    box_gradient: str = _of_loss(
        "derivative",
        "gradient of an overlap as box loss: its derivative, or Darknet's deltas, which are no derivative",
        choices=BOX_GRADIENTS,
    )
    max_delta: float = _of_loss(
        0.0, "largest of Darknet's deltas of a box; 0 = no limit", metavar="DELTA", number=NOT_NEGATIVE
    )
    objectness_scale: float = _of_loss(
        1.0, "weight of the objectness loss, of objects and background", metavar="WEIGHT", number=POSITIVE
    )
    class_weights: tuple[float, ...] = _of_loss(
        (),
        "weight of each class: of the boxes and objectness of its objects, and of the class itself where it is right",
        unset="1 for all",
        number=POSITIVE,
        many="+",
        metavar="WEIGHT",
    )
    class_scale: float = setting(
        1.0, "factor of class_weights for the class itself (Darknet's cls_normalizer)", option=False, number=POSITIVE
    )

    def __post_init__(self):
        check_settings(self)
        if self.objectness_target == "iou" and "objectness" in self.focal:
            raise ValueError("objectness_target: expected one with the focal loss of objectness, got iou")

    @property
    def box_weight(self) -> float:
        """Return the weight of the box loss."""
        if self.box_scale is not None:
            return self.box_scale
        return 1.0 if self.box_loss == "xywh" else OVERLAP_SCALE

    @property
    def learns_overlap(self) -> bool:
        """Return whether the objectness of an object learns the IoU of its box."""
        return self.objectness_target == "iou" or (self.objectness_target is None and "objectness" not in self.focal)

    @property
    def terms(self) -> tuple[str, ...]:
        """Return the names of the terms that add up to the loss."""
        boxes = ("xy", "wh") if self.box_loss == "xywh" else ("box",)
        return (*boxes, "objectness", "no_object", "class")


DARKNET = LossOptions(box_loss="xywh", box_scale=1.0, objectness_target="one")


def stored_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a file holds them; what an earlier version did not write was as in Darknet."""
    return {**dataclasses.asdict(DARKNET), **values}
