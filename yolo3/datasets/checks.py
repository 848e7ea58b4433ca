"""Check a whole data set before the first step: its images, class ids and boxes.

How boxes fit the anchors of a network is checked in :mod:`yolo3.training.anchor_fit`.
"""

from __future__ import annotations

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.check_boxes import box_findings, class_id_findings, unused_class_findings
from yolo3.datasets.check_duplicates import duplicate_findings
from yolo3.datasets.check_images import ImageCheck, Progress, check_images, image_findings


def check_dataset(
    dataset: Dataset, *, train: bool = True, workers: int = 2, progress: Progress | None = None
) -> tuple[list[Finding], list[ImageCheck]]:
    """Check the images and boxes of a data set; every image is decoded once.

    Args:
        dataset: The data set. Not changed.
        train: Whether it is trained on; if not, classes without boxes are not reported.
        workers: Number of threads that decode images.
        progress: Called with (done, all) after each image.

    Returns:
        The findings, those of the reader first, and what decoding showed of each image.
    """
    annotations = dataset.annotations
    images = list(check_images([item.image_path for item in annotations], workers, progress))

    findings = list(dataset.findings)
    findings += image_findings(annotations, images)
    findings += duplicate_findings(annotations, images)
    findings += class_id_findings(annotations, dataset.class_names)
    for index, (annotation, image) in enumerate(zip(annotations, images, strict=True)):
        findings += box_findings(index, annotation, image.shape)
    if train:
        findings += unused_class_findings(dataset)
    return findings, images
