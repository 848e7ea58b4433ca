"""The figures of an evaluation with names, and what they were computed from."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import cached_property

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.detections import Detections
from yolo3.evaluation import evaluate
from yolo3.evaluation.measures import Measures
from yolo3.evaluation.recall import RECALL_PROPOSALS, recall_of_best
from yolo3.evaluation.tables import format_line, format_table, format_trained
from yolo3.inference.detector import Detector


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """How well a network detects the objects of a data set.

    Args:
        weights: File of the network, as it was given; or the files of its detections.
        dataset: The images with their ground truth.
        detector: What detected; None for detections from files.
        detections: One record per image.
        measures: COCO's figures, matches and kinds of errors.
        images_trained_on: Number of the images that the network was trained on; None if it does not know.
    """

    weights: str
    dataset: Dataset
    detector: Detector | None
    detections: list[Detections]
    measures: Measures
    images_trained_on: int | None = None

    @property
    def annotations(self) -> list[Annotation]:
        """The images with their ground truth."""
        return self.dataset.annotations

    @property
    def AP50(self) -> float:  # noqa: N802
        """Average precision at an IoU of .5, mean over classes; NaN without ground truth."""
        return self.measures.coco["AP50"]

    @property
    def AP(self) -> float:  # noqa: N802
        """Average precision, mean over IoU .5 to .95 and over classes; NaN without ground truth."""
        return self.measures.coco["AP"]

    @property
    def per_class(self) -> dict[str, dict]:
        """Name to {"AP50", "AP", "num_truths"}."""
        return self.measures.coco["per_class"]

    @property
    def at_score(self) -> dict:
        """Precision, recall, F1 and errors of the detections above a score, as `Measures.at_score` has them."""
        return self.measures.at_score()

    @cached_property
    def figures(self) -> dict:
        """All figures in one dict, as ``yolo3 evaluate --json`` writes them."""
        figures = self.measures.coco | {"at_score": self.at_score}
        figures |= {"images": len(self.annotations), "images_trained_on": self.images_trained_on}
        if self.detector is not None and self.detector.network.one_class:
            figures["recall"] = recall_of_best(self.annotations, self.detections)
        return figures

    def __repr__(self) -> str:
        lines = [f"{self.weights} on {len(self.annotations)} images of {self.dataset.name}"]
        if self.images_trained_on is not None:
            lines.append(format_trained(self.images_trained_on, len(self.annotations)))
        lines += [format_table(self.measures.coco), format_line(self.at_score)]
        if "recall" in self.figures:
            lines.append(f"recall of the {RECALL_PROPOSALS} best boxes per image: {self.figures['recall']:.3f}")
        return "\n".join(lines)

    def save_report(self, path: str | os.PathLike) -> None:
        """Write a page with figures, curves, errors and images, as ``yolo3 evaluate --report`` does.

        Args:
            path: Of the HTML file.
        """
        from yolo3.evaluation.report import write_report  # needs Jinja2 and matplotlib

        score = self.at_score["score"]
        data = self.dataset.name, self.dataset.format
        if self.detector is None:
            subject = evaluate.describe_saved(self.weights, self.measures.class_names, *data, score)
        else:
            subject = evaluate.describe(self.detector, self.weights, *data, score)
        if self.images_trained_on is not None:
            facts = {**subject.facts, "Trained on": format_trained(self.images_trained_on, len(self.annotations))}
            subject = dataclasses.replace(subject, facts=facts)
        write_report(os.fspath(path), subject, self.measures, self.annotations, self.detections)

    def save_detections(self, path: str | os.PathLike) -> None:
        """Write the detections in COCO's results format, with the ids of the annotation file where there is one.

        Args:
            path: Of the JSON file.
        """
        evaluate.write_coco_detections(path, self.annotations, self.detections, self.measures.class_names)
