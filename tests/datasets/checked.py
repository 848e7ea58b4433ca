"""Small data sets with known faults, for the tests of the checks."""

from pathlib import Path

import cv2
import numpy as np

from yolo3.datasets.annotation import Box, Dataset, build_annotation
from yolo3.datasets.checks import check_dataset

GOOD = (10, 10, 91, 92)  # 81x82, just an anchor


def write_image(path, height=416, width=416, seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return str(path)


def annotate(path, *boxes, source=None):
    """Boxes are (x_min, y_min, x_max, y_max) or those with a class id; lines count from 1."""
    built = [Box(box[:4], box[4] if len(box) > 4 else 0, line=line) for line, box in enumerate(boxes, 1)]
    return build_annotation(str(path), built, source or f"{Path(path).stem}.txt")


def dataset_of(*annotations, names=("cat",), findings=()):
    return Dataset(list(annotations), list(names), "voc", list(findings), "set [train]")


def kinds(findings):
    return [(finding.severity, finding.kind) for finding in findings]


def check(dataset, **options):
    """Findings alone."""
    return check_dataset(dataset, **options)[0]


def one_image(tmp_path, *boxes, names=("cat",), **options):
    return check(dataset_of(annotate(write_image(tmp_path / "a.png"), *boxes), names=names), **options)
