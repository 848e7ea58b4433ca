"""Choices within the YOLOv3 loss, one frozen record that the settings of a run hold."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from yolo3.settings import BELOW_ONE, BETWEEN, NOT_NEGATIVE, POSITIVE, SHARE, check_settings, setting

BOX_LOSSES = ("xywh", "iou", "giou", "diou", "ciou")
BOX_GRADIENTS = ("derivative", "darknet")
FOCAL_TERMS = ("objectness", "class")

_of_loss = functools.partial(setting, group="loss of YOLOv3")


@dataclass(frozen=True)
class LossOptions:
    """How the loss of :mod:`yolo3.models.yolov3.losses` departs from Darknet's; the defaults are Darknet's own.

    Raises:
        ValueError: For a setting out of range.
    """

    box_loss: str = _of_loss("xywh", "box loss: xywh as in Darknet, or 1 - overlap", choices=BOX_LOSSES)
    box_scale: float = _of_loss(1.0, "weight of the box loss", metavar="WEIGHT", number=POSITIVE)
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

    @property
    def terms(self) -> tuple[str, ...]:
        """Return the names of the terms that add up to the loss."""
        boxes = ("xy", "wh") if self.box_loss == "xywh" else ("box",)
        return (*boxes, "objectness", "no_object", "class")


DARKNET = LossOptions()
