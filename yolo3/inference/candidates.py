"""Boxes of one image before suppression, from which thresholds select without another pass of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo3.detections import Detections
from yolo3.inference.settings import DetectorSettings
from yolo3.ops.boxes import area, clip
from yolo3.ops.letterbox import boxes_to_image
from yolo3.ops.nms_numpy import non_max_suppression


@dataclass(frozen=True)
class Candidates:
    """Boxes that a network gives for one image, before suppression.

    Args:
        image: uint8 RGB [H, W, 3], upright.
        boxes: float32 [N, 4], xyxy in pixels of the network input.
        scores: float32 [N, C], 0..1.
        settings: Those of the detector, with its input shape and thresholds.
        suppressed: Whether suppression is within an exported file, so that the boxes have passed it already.
    """

    image: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    settings: DetectorSettings
    suppressed: bool = False

    def select(self, score_threshold: float | None = None, iou_threshold: float | None = None) -> Detections:
        """Return the detections that these thresholds leave.

        Args:
            score_threshold: Score above which a detection is kept, 0 to 1; None for the detector's.
            iou_threshold: Overlap above which suppression acts, 0 to 1; None for the detector's. It has no effect where
                suppression is within the file.

        Returns:
            :class:`yolo3.detections.Detections` in pixels of the image, best scores first.
        """
        own = self.settings
        score_threshold = own.score_threshold if score_threshold is None else score_threshold
        iou_threshold = own.iou_threshold if iou_threshold is None else iou_threshold
        assert own.input_shape and own.resize and iou_threshold is not None  # a detector has decided on them

        method, overlap = own.nms, own.nms_overlap
        if self.suppressed:
            iou_threshold, method, overlap = 1.0, "greedy", "iou"  # drops nothing
        parts = non_max_suppression(
            self.boxes,
            self.scores,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_boxes=own.max_boxes,
            method=method,
            overlap=overlap,
        )
        return detections_in_image(
            Detections(*parts), self.image.shape[:2], input_shape=own.input_shape, resize=own.resize
        )


def detections_in_image(
    found: Detections, image_shape: Sequence[int], input_shape: Sequence[int], resize: str
) -> Detections:
    """Return detections in the network input as detections in the image, without those in the bars of the letterbox.

    Args:
        found: Boxes in pixels of the network input.
        image_shape: (height, width) of the image in pixels.
        input_shape: (height, width) of the network input in pixels.
        resize: How the image was brought to it, "letterbox" or "stretch".
    """
    boxes = clip(boxes_to_image(found.boxes, image_shape, input_shape, resize=resize), image_shape)
    inside = area(boxes) > 0
    return Detections(boxes[inside], found.scores[inside], found.class_ids[inside])
