"""Check a whole data set before the first step: its images, class ids and boxes.

How boxes fit the anchors of a network is checked in :mod:`yolo3.training.anchor_fit`.
"""

from __future__ import annotations

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.check_boxes import box_findings, class_id_findings, suspect_images, unused_class_findings
from yolo3.datasets.check_duplicates import duplicate_findings
from yolo3.datasets.check_images import ImageCheck, Progress, image_findings
from yolo3.datasets.flat_boxes import flatten
from yolo3.datasets.image_facts import known_checks


def check_dataset(
    dataset: Dataset, *, train: bool = True, workers: int = 0, progress: Progress | None = None
) -> tuple[list[Finding], list[ImageCheck]]:
    """Check the images and boxes of a data set; an image is decoded once, and again when it has changed.

    Args:
        dataset: The data set. Not changed.
        train: Whether it is trained on; if not, classes without boxes are not reported.
        workers: Number of threads that decode images, 0 for one a core.
        progress: Called with (done, all) after each image.

    Returns:
        The findings, those of the reader first, and what decoding showed of each image.
    """
    annotations = dataset.annotations
    images = known_checks([item.image_path for item in annotations], dataset.root, workers, progress)

    flat, shapes = flatten(annotations), [image.shape for image in images]
    findings = list(dataset.findings)
    findings += image_findings(annotations, images)
    findings += duplicate_findings(annotations, images)
    findings += class_id_findings(annotations, dataset.class_names, flat)
    for index in suspect_images(flat, shapes):
        findings += box_findings(index, annotations[index], shapes[index])
    if train:
        findings += unused_class_findings(dataset, flat)
    return findings, images
