"""Recall of the best boxes of an image, the measure of class-agnostic networks, in training and evaluation."""

from collections.abc import Sequence

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.models.rpn.recall import proposal_recall

RECALL_PROPOSALS = 100  # of an image


def recall_of_best(annotations: Sequence[Annotation], detections: Sequence[Detections]) -> float:
    """Return the fraction of objects that one of the 100 best boxes of their image overlaps with an IoU of 0.5 or more.

    Args:
        annotations: Images and their boxes.
        detections: Of each image, best scores first.
    """
    best = [found.boxes[:RECALL_PROPOSALS] for found in detections]
    return proposal_recall([annotation.boxes for annotation in annotations], best)
