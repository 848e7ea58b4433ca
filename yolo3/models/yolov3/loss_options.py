"""Choices within the YOLOv3 loss, in one frozen record that a run's settings hold."""

from __future__ import annotations

from dataclasses import dataclass

BOX_LOSSES = ("xywh", "iou", "giou", "diou", "ciou")
FOCAL_TERMS = ("objectness", "class")


@dataclass(frozen=True)
class LossOptions:
    """How the loss of :mod:`yolo3.models.yolov3.losses` departs from Darknet's; the defaults are Darknet's own.

    ``box_loss``: "xywh", or an overlap whose difference to 1 is the loss of a box. ``box_scale``: weight of the boxes'
    part. ``focal``: the parts, of :data:`FOCAL_TERMS`, that the focal loss takes in place of cross-entropy, with
    ``focal_alpha`` and ``focal_gamma`` as in :mod:`yolo3.ops.focal`; "objectness" is that of objects and of background.
    ``label_smoothing``: e in 0..1, class targets of 1 become 1 - e / 2 and those of 0 become e / 2. ``iou_thresh``: an
    object is learned by its best anchor, and by all others whose shapes overlap it by more than this; 1 for none.
    """

    box_loss: str = "xywh"
    box_scale: float = 1.0
    focal: tuple[str, ...] = ()
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    iou_thresh: float = 1.0

    def __post_init__(self):
        if self.box_loss not in BOX_LOSSES:
            raise ValueError(f"box_loss: expected one of {', '.join(BOX_LOSSES)}, got {self.box_loss!r}")
        if unknown := set(self.focal) - set(FOCAL_TERMS):
            raise ValueError(f"focal: expected some of {', '.join(FOCAL_TERMS)}, got {', '.join(sorted(unknown))}")
        if not self.box_scale > 0:
            raise ValueError(f"box_scale: expected a weight above 0, got {self.box_scale}")
        if not self.focal_gamma >= 0:
            raise ValueError(f"focal_gamma: expected 0 or more, got {self.focal_gamma}")
        if not 0 < self.focal_alpha < 1:
            raise ValueError(f"focal_alpha: expected a weight between 0 and 1, got {self.focal_alpha}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing: expected 0 to below 1, got {self.label_smoothing}")
        if not 0 <= self.iou_thresh <= 1:
            raise ValueError(f"iou_thresh: expected an IoU from 0 to 1, got {self.iou_thresh}")

    @property
    def terms(self) -> tuple[str, ...]:
        """Return the names of the parts that add up to the loss."""
        boxes = ("xy", "wh") if self.box_loss == "xywh" else ("box",)
        return (*boxes, "objectness", "no_object", "class")
