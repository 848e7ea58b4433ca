"""COCO's twelve numbers, through pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from yolo3.detections import Detections, _xywh
from yolo3.evaluation.average_precision import CONVENTIONS, _count_truths
from yolo3.evaluation.matching import _check_lists, _flags
from yolo3.ops.boxes import area

# ------------------------------------------------------------------------------------------------- COCO


def coco_results(truths: Sequence, detections: Sequence[Detections], class_names: Sequence[str]) -> dict:
    """Return COCO's twelve numbers as pycocotools has them, and three for each class; NaN without truths.

    Keys: ``AP`` (mean over IoU .5:.05:.95), ``AP50``, ``AP75``, ``AP_small`` (area up to 32 x 32 pixels),
    ``AP_medium``, ``AP_large`` (from 96 x 96), ``AR_1``, ``AR_10``, ``AR_100``, ``AR_small``, ``AR_medium``,
    ``AR_large``, and ``per_class``: name to ``{"AP", "AP50", "num_truths"}``. Crowds are COCO's; difficult
    truths excuse one detection and count for nothing. Areas are those of the boxes (COCO's own files carry
    segment areas: give these as ``truth.areas`` [M]).
    """
    _check_lists(truths, detections, len(class_names))
    result = _run_cocoeval(truths, detections, len(class_names))
    precision, recall = (
        result["precision"],
        result["recall"],
    )  # [T, R, C, area, max dets], [T, C, area, max dets]
    numbers: dict = {
        "AP": _valid_mean(precision[..., 0, -1]),
        "AP50": _valid_mean(precision[0, ..., 0, -1]),
        "AP75": _valid_mean(precision[5, ..., 0, -1]),
    }
    sizes = ("small", "medium", "large")
    numbers |= {f"AP_{size}": _valid_mean(precision[..., index, -1]) for index, size in enumerate(sizes, 1)}
    numbers |= {f"AR_{limit}": _valid_mean(recall[..., 0, index]) for index, limit in enumerate((1, 10, 100))}
    numbers |= {f"AR_{size}": _valid_mean(recall[..., index, -1]) for index, size in enumerate(sizes, 1)}
    counts = _count_truths(truths, CONVENTIONS["coco"], len(class_names))
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
    """Return the mean without the -1 that cocoeval.py writes where truths lack; NaN if nothing is left."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float("nan")


def _run_cocoeval(truths, detections, num_classes: int) -> dict:
    """Run pycocotools in memory, without its prints; returns its arrays ``precision`` and ``recall``."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": index} for index in range(len(truths))]
    categories = [{"id": index} for index in range(num_classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (_coco_truths(truths), _coco_found(detections)):
            side = COCO()
            side.dataset = {"images": images, "categories": categories, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        evaluator = COCOeval(*sides, "bbox")
        evaluator.params.imgIds = list(range(len(truths)))
        evaluator.params.catIds = list(range(num_classes))
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval


def _coco_truths(truths) -> list[dict]:
    """Return COCO annotations, numbered from 1: to cocoeval.py a match with annotation 0 is no match."""
    records: list[dict] = []
    for image_id, truth in enumerate(truths):
        boxes = np.asarray(truth.boxes, np.float64).reshape(-1, 4)
        areas = getattr(truth, "areas", None)
        areas = area(boxes) if areas is None else np.asarray(areas, np.float64)
        # cocoeval.py ignores truths outside the range of areas; no range has -1, so this says "difficult".
        areas = np.where(_flags(truth, "difficult"), -1.0, areas)
        crowds = _flags(truth, "crowd")
        for box, class_id, size, crowd in zip(boxes, truth.class_ids, areas, crowds, strict=True):
            record = _coco_record(image_id, box, class_id, len(records) + 1)
            records.append(record | {"area": float(size), "iscrowd": int(crowd)})
    return records


def _coco_found(detections: Sequence[Detections]) -> list[dict]:
    records: list[dict] = []
    for image_id, found in enumerate(detections):
        areas = area(found.boxes.astype(np.float64))
        for box, class_id, size, score in zip(found.boxes, found.class_ids, areas, found.scores, strict=True):
            record = _coco_record(image_id, box, class_id, len(records) + 1)
            records.append(record | {"area": float(size), "iscrowd": 0, "score": float(score)})
    return records


def _coco_record(image_id, box, class_id, number: int) -> dict:
    return {"id": number, "image_id": image_id, "category_id": int(class_id), "bbox": _xywh(box)}
