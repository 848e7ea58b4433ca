"""The comparison of an exported file, run by its own runtime, with the network: output by output, box by box."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from yolo3.detections import Detections
from yolo3.export.graph import ExportGraph
from yolo3.inference.detector import Detector
from yolo3.inference.exported_network import ExportedNetwork
from yolo3.ops.boxes import pairwise_iou
from yolo3.ops.letterbox import resize_image

COMPARED_SCORE = 0.05  # boxes of lower scores, which may lie anywhere, are not compared
_SAME = 0.5  # IoU from which on two detections of a class can be the same
_TIMED = 5  # calls, after one that is not timed


@dataclass(frozen=True)
class Tolerance:
    """Largest difference that is allowed of each kind of output.

    Args:
        boxes: Pixels.
        scores: Scores, 0..1.
        raw: Raw outputs.
        unmatched: Share of the detections that may have no match within these differences: of two boxes with nearly the
            same score, suppression may keep the other one.
    """

    boxes: float
    scores: float
    raw: float
    unmatched: float = 0.0


TOLERANCES = {
    "float32": Tolerance(boxes=0.1, scores=1e-3, raw=1e-2),
    "float16": Tolerance(boxes=8, scores=0.05, raw=1, unmatched=0.1),
}
"""By precision; half precision moves an edge by some thousandths of the box's side."""


@dataclass
class Comparison:
    """What the comparison found.

    Args:
        outputs: Largest difference of each output of the file, by name.
        images: Number of images.
        detections: Number of detections of the network in them.
        boxes: Largest difference of an edge of a detection, in pixels of the image.
        scores: Largest difference of a score of a detection.
        unmatched: Number of detections that only one of both has.
        milliseconds: Time of one image, from its file's size to its boxes: median of calls with one image.
    """

    outputs: dict[str, float] = field(default_factory=dict)
    images: int = 0
    detections: int = 0
    boxes: float = 0.0
    scores: float = 0.0
    unmatched: int = 0
    milliseconds: float = 0.0

    def failures(self, tolerance: Tolerance) -> list[str]:
        """Return, in words, which differences are above the tolerance; none where the file computes what it should."""
        failures = []
        few = tolerance.unmatched * self.detections
        for name, difference in self.outputs.items():
            # raw_0 is of the kind raw; counts differ by detections without a match, padding of class ids does not
            allowed = few if name == "count" else getattr(tolerance, name.partition("_")[0], 0)
            if not difference <= allowed:
                failures.append(f"output {name} differs by {difference:.3g} (allowed: {allowed:g})")
        if self.unmatched > few:
            within = f"within {tolerance.boxes:g} pixels and a score of {tolerance.scores:g}"
            failures.append(f"{self.unmatched} of {self.detections} detections have no match {within}")
        return failures


def compare(graph: ExportGraph, exported: Detector, images: Sequence[np.ndarray], tolerance: Tolerance) -> Comparison:
    """Compare an exported file with the network that it was made of.

    Args:
        graph: The network.
        exported: Detector of the file.
        images: uint8 [H, W, 3], RGB, of any size.
        tolerance: Detections whose scores are that close to the threshold may be missing.

    Returns:
        The differences.
    """
    detector = graph.detector
    result = Comparison(images=len(images))
    network: ExportedNetwork = exported.network
    function = tf.function(graph, input_signature=[graph.signature])
    size = graph.batch or 1
    batches = [images[start : start + size] for start in range(0, len(images), size)]

    for batch in batches:
        resized = np.stack([resize_image(image, detector.input_shape, detector.resize) for image in batch])
        given = np.concatenate([resized] + [resized[-1:]] * (size - len(resized)))
        given = given if graph.settings.input == "uint8" else given.astype(np.float32) / 255
        expected = {name: output.numpy()[: len(batch)] for name, output in function(given).items()}
        got = network.run(resized)
        for name, difference in output_differences(expected, got, tolerance, detector.score_threshold).items():
            result.outputs[name] = max(result.outputs.get(name, 0.0), difference)

    sure = max(detector.score_threshold, COMPARED_SCORE) + tolerance.scores
    both = zip(detector.detect_each(images), exported.detect_each(images), strict=True)
    for (_, _, expected_found), (_, _, found) in both:
        boxes, scores, unmatched = detection_differences(expected_found, found, sure, tolerance)
        result.detections += int((expected_found.scores > sure).sum())
        result.boxes, result.scores = max(result.boxes, boxes), max(result.scores, scores)
        result.unmatched += unmatched

    seconds = []
    for _ in range(_TIMED + 1):
        start = time.perf_counter()
        exported(images[0])
        seconds.append(time.perf_counter() - start)
    result.milliseconds = 1000 * float(np.median(seconds[1:]))
    return result


def output_differences(expected: dict, got: dict, tolerance: Tolerance, score_threshold: float) -> dict[str, float]:
    """Return the largest difference of each output, by name; infinite for one of another shape, or that is missing.

    Args:
        expected: Outputs of the network.
        got: Those of the file.
        tolerance: Detections whose scores are that close to the threshold may be missing.
        score_threshold: That of suppression, for outputs with it.
    """
    missing = {name: np.inf for name in expected if name not in got or got[name].shape != expected[name].shape}
    if missing or set(got) != set(expected):
        return missing | {name: np.inf for name in got if name not in expected}

    if "count" in expected:
        return _selected_differences(expected, got, score_threshold, tolerance)
    if "boxes" in expected:
        strong = expected["scores"].max(-1) > COMPARED_SCORE  # [B, N]
        boxes = np.abs(expected["boxes"][strong] - got["boxes"][strong])
        return {"boxes": _largest(boxes), "scores": _largest(np.abs(expected["scores"] - got["scores"]))}
    return {name: _largest(np.abs(expected[name] - got[name])) for name in expected}


def _selected_differences(expected: dict, got: dict, score_threshold: float, tolerance: Tolerance) -> dict[str, float]:
    """Return the differences of outputs with suppression; those of class ids and counts are numbers of detections."""
    sure = max(score_threshold, COMPARED_SCORE) + tolerance.scores
    differences = {name: 0.0 for name in expected}
    for ours, theirs in zip(_rows(expected), _rows(got), strict=True):
        boxes, scores, unmatched = detection_differences(ours, theirs, sure, tolerance)
        differences["boxes"] = max(differences["boxes"], boxes)
        differences["scores"] = max(differences["scores"], scores)
        differences["count"] = max(differences["count"], float(unmatched))
    for number, count in enumerate(got["count"]):
        padding = got["class_ids"][number, int(count) :]
        differences["class_ids"] = max(differences["class_ids"], float((padding != -1).sum()))
    return differences


def _rows(outputs: dict):
    parts = (outputs[name] for name in ("boxes", "scores", "class_ids", "count"))
    for boxes, scores, class_ids, count in zip(*parts, strict=True):
        yield Detections(boxes[: int(count)], scores[: int(count)], class_ids[: int(count)])


def detection_differences(
    expected: Detections, got: Detections, sure: float, tolerance: Tolerance
) -> tuple[float, float, int]:
    """Return the largest differences of boxes (of an edge) and of scores, and how many detections have no match.

    Args:
        expected: Detections in an image.
        got: Other ones in the same image.
        sure: Detections of lower scores are not compared, and may have no match.
        tolerance: Detections that are further apart do not match.
    """
    boxes = scores = 0.0
    free = np.ones(len(got), bool)
    unmatched = 0
    for box, score, class_id in zip(expected.boxes, expected.scores, expected.class_ids, strict=True):
        overlaps = pairwise_iou(box[None], got.boxes)[0] * (free & (got.class_ids == class_id))  # [N]
        best = int(overlaps.argmax()) if len(overlaps) else -1
        if best < 0 or overlaps[best] < _SAME:
            unmatched += bool(score > sure)
            continue
        free[best] = False
        if score <= sure:
            continue
        moved, changed = float(np.abs(got.boxes[best] - box).max()), abs(float(got.scores[best] - score))
        if moved > tolerance.boxes or changed > tolerance.scores:
            unmatched += 1
        else:
            boxes, scores = max(boxes, moved), max(scores, changed)
    return boxes, scores, unmatched + int((got.scores[free] > sure).sum())


def _largest(differences: np.ndarray) -> float:
    """Return the largest difference, infinite where one is not a number."""
    return float(np.nan_to_num(differences, nan=np.inf).max(initial=0.0))
