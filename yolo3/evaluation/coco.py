"""COCO's twelve numbers, computed by pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.detections import Detections
from yolo3.evaluation.average_precision import CONVENTIONS, count_ground_truths
from yolo3.evaluation.matching import check_lists, concatenate
from yolo3.inference.writers.coco_results import coco_detections_json
from yolo3.ops.boxes import area

SIZES = {"small": (0, 32), "medium": (32, 96), "large": (96, np.inf)}  # sides in pixels: roots of cocoeval.py's areas
MAX_DETECTIONS = (1, 10, 100)  # per image, of AR


def coco_results(
    ground_truths: Sequence[Annotation],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    areas: Sequence[np.ndarray] | None = None,
    by_size: bool = True,
) -> dict:
    """Return COCO's twelve numbers as pycocotools computes them, and three for each class.

    Crowds are treated as COCO treats them; a difficult object excuses one detection and is not counted.

    Args:
        ground_truths: One annotation per image.
        detections: One record per image, in the same order, low scores included.
        class_names: C names.
        areas: float [M] per image, area of each object in pixels, which decides its size group. Default: that of
            the boxes. COCO's own files carry areas of segments.
        by_size: Whether the six figures of objects by size are computed too, which takes most of the time.

    Returns:
        ``AP`` (mean over IoU .5:.05:.95), ``AP50``, ``AP75``, ``AP_small`` (area up to 32 x 32 pixels), ``AP_medium``,
        ``AP_large`` (from 96 x 96), ``AR_1``, ``AR_10``, ``AR_100``, ``AR_small``, ``AR_medium``, ``AR_large``, and
        ``per_class``: name to ``{"AP", "AP50", "num_truths"}``. NaN where there is no ground truth.

    Raises:
        ValueError: For lists of different lengths and class ids without a name.
    """
    check_lists(ground_truths, detections, len(class_names))
    if areas is None:
        areas = [area(annotation.boxes.astype(np.float64)) for annotation in ground_truths]
    result = _run_cocoeval(_ground_truth_records(ground_truths, areas), detections, len(class_names), by_size)
    precision = result["precision"]  # [T, R, C, size, max detections]
    recall = result["recall"]  # [T, C, size, max detections]

    numbers: dict = {
        "AP": _valid_mean(precision[..., 0, -1]),
        "AP50": _valid_mean(precision[0, ..., 0, -1]),
        "AP75": _valid_mean(precision[5, ..., 0, -1]),
    }
    sizes = list(enumerate(SIZES, 1)) if by_size else []
    numbers |= {f"AP_{size}": _valid_mean(precision[..., index, -1]) for index, size in sizes}
    numbers |= {f"AR_{limit}": _valid_mean(recall[..., 0, index]) for index, limit in enumerate(MAX_DETECTIONS)}
    numbers |= {f"AR_{size}": _valid_mean(recall[..., index, -1]) for index, size in sizes}

    counts = count_ground_truths(ground_truths, CONVENTIONS["coco"], len(class_names))
    numbers["per_class"] = {
        name: {
            "AP": _valid_mean(precision[:, :, index, 0, -1]),
            "AP50": _valid_mean(precision[0, :, index, 0, -1]),
            "num_truths": int(counts[index]),
        }
        for index, name in enumerate(class_names)
    }
    return numbers


def _valid_mean(values: np.ndarray) -> float:
    """Return the mean without the -1 that cocoeval.py writes where there is no ground truth; NaN if none is left."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float("nan")


def _run_cocoeval(annotations: list[dict], detections: Sequence[Detections], num_classes: int, by_size: bool) -> dict:
    """Run pycocotools in memory, without its prints, and return its arrays ``precision`` and ``recall``."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    image_ids, category_ids = range(len(detections)), range(num_classes)
    results = coco_detections_json(detections, image_ids, category_ids)
    areas = concatenate([area(found.boxes.astype(np.float64)) for found in detections], np.float64)
    for number, (record, size) in enumerate(zip(results, areas, strict=True), 1):
        record |= {"id": number, "area": float(size), "iscrowd": 0}

    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for records in (annotations, results):
            side = COCO()
            side.dataset = {
                "images": [{"id": index} for index in image_ids],
                "categories": [{"id": index} for index in category_ids],
                "annotations": records,
            }
            side.createIndex()
            sides.append(side)
        evaluator = COCOeval(*sides, "bbox")
        evaluator.params.imgIds, evaluator.params.catIds = list(image_ids), list(category_ids)
        evaluator.params.maxDets = list(MAX_DETECTIONS)
        if not by_size:  # the first range holds all sizes
            evaluator.params.areaRng, evaluator.params.areaRngLbl = evaluator.params.areaRng[:1], ["all"]
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval


def _ground_truth_records(ground_truths: Sequence[Annotation], areas: Sequence[np.ndarray]) -> list[dict]:
    """Return COCO annotations, numbered from 1: to cocoeval.py a match with annotation 0 is no match."""
    records: list[dict] = []
    for image_id, (annotation, sizes) in enumerate(zip(ground_truths, areas, strict=True)):
        # cocoeval.py ignores objects outside the range of areas; no range includes -1, so this says "difficult".
        sizes = np.where(annotation.difficult, -1.0, sizes)
        for index, box in enumerate(annotation.boxes.astype(np.float64).tolist()):
            records.append(
                {
                    "id": len(records) + 1,
                    "image_id": image_id,
                    "category_id": int(annotation.class_ids[index]),
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": float(sizes[index]),
                    "iscrowd": int(annotation.crowd[index]),
                }
            )
    return records
