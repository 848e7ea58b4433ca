"""Images with ground truth and detections, for the tests of the evaluation."""

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections


def annotated(boxes, class_ids=None, difficult=None, crowd=None):
    """An image with boxes (x_min, y_min, x_max, y_max); of class 0, neither difficult nor crowds unless told."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Annotation(
        image_path="",
        boxes=boxes,
        class_ids=np.zeros(count, np.int32) if class_ids is None else np.asarray(class_ids, np.int32),
        difficult=np.zeros(count, bool) if difficult is None else np.asarray(difficult, bool),
        crowd=np.zeros(count, bool) if crowd is None else np.asarray(crowd, bool),
        source="",
    )


def detected(*rows):
    """Rows of (x_min, y_min, x_max, y_max, score, class id)."""
    table = np.asarray(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5])


def random_images(seed, images=25, classes=4, hard=True):
    """Ground truth, and detections that are near it, near others, doubled, of another class, and nowhere."""
    rng = np.random.default_rng(seed)
    ground_truths, detections = [], []
    for _ in range(images):
        count = rng.integers(0, 9)
        corner, size = rng.uniform(0, 200, (count, 2)), rng.uniform(4, 150, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, classes, count)
        difficult, crowd = rng.random(count) < 0.15, rng.random(count) < 0.1
        ground_truths.append(annotated(boxes, ids, difficult & hard, crowd & hard))
        source = rng.integers(0, count, 3 * count) if count else np.zeros(0, int)
        near = boxes[source] + rng.normal(0, 8, (len(source), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        near_ids = np.where(rng.random(len(source)) < 0.8, ids[source], rng.integers(0, classes, len(source)))
        stray = rng.uniform(0, 150, (3, 2))
        stray = np.concatenate([stray, stray + rng.uniform(5, 100, (3, 2))], axis=1)
        found = np.concatenate([near, stray])
        found_ids = np.concatenate([near_ids, rng.integers(0, classes, 3)])
        detections.append(Detections(found, rng.random(len(found)), found_ids))
    return ground_truths, detections


NAMES = ("a", "b", "c", "d")
