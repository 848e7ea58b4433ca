"""Sheets of images to look at: the targets that the network is given, and what it answers."""

from __future__ import annotations

import numpy as np

from yolo3 import boxes as geometry
from yolo3.datasets.annotation import Annotation
from yolo3.draw import class_colour, contact_sheet, draw_boxes, draw_comparison
from yolo3.images import read_image
from yolo3.metrics import SHOWN_SCORE, Detections
from yolo3.scales import STRIDES


def draw_targets(images, targets, class_names: list[str], strides=STRIDES) -> np.ndarray:
    """Return a sheet uint8 RGB of training images with the boxes that their targets hold.

    ``images``: float32 [B, H, W, 3] 0..1. ``targets``: one [B, h, w, A, 5 + C] a scale. Each label says the class, the
    stride of the scale and the anchor's place in it. What is not drawn, the network is not taught.
    """
    size = np.array([images.shape[2], images.shape[1]] * 2)
    cells = []
    for number, image in enumerate(images):
        boxes, labels, colours = [], [], []
        for stride, target in zip(strides, targets):
            for row, column, anchor in zip(*np.nonzero(target[number, ..., 4])):
                slot = target[number, row, column, anchor]
                boxes.append(geometry.cxcywh_to_xyxy(slot[:4]) * size)
                names = "+".join(class_names[index] for index in np.flatnonzero(slot[5:]))
                labels.append(f"{names} {stride}/{anchor}")
                colours.append(class_colour(int(np.argmax(slot[5:]))))
        canvas = np.round(image * 255).astype(np.uint8)
        corners = np.array(boxes, np.float32).reshape(-1, 4)
        cells.append(draw_boxes(canvas, corners, np.arange(len(boxes)), labels, colours=colours))
    return contact_sheet(cells, cell=max(images.shape[1:3]))


def draw_examples(images, boxes, class_names: list[str]) -> np.ndarray:
    """Return a sheet uint8 RGB of training images [B, H, W, 3] 0..1 with their boxes [B, T, 5] (relative)."""
    size = np.array([images.shape[2], images.shape[1]] * 2)
    cells = []
    for image, rows in zip(images, boxes):
        rows = rows[rows[:, 2] > 0]
        corners = (geometry.cxcywh_to_xyxy(rows[:, :4]) * size).astype(np.float32)
        canvas = np.round(image * 255).astype(np.uint8)
        cells.append(draw_boxes(canvas, corners, rows[:, 4].astype(int), class_names))
    return contact_sheet(cells, cell=max(images.shape[1:3]))


def draw_predictions(
    annotations: list[Annotation], detections: list[Detections], class_names: list[str], most: int = 12
) -> np.ndarray:
    """Return a sheet uint8 RGB of up to ``most`` images, evenly drawn; truth dashed, predictions in colour."""
    chosen = np.unique(np.linspace(0, len(annotations) - 1, most).round().astype(int))
    cells, titles = [], []
    for index in chosen:
        truth, found = annotations[index], detections[index]
        shown = found.scores >= SHOWN_SCORE
        image = read_image(truth.image_path)
        cells.append(
            draw_comparison(
                image, truth.boxes, truth.class_ids, found.boxes[shown], found.class_ids[shown], found.scores[shown],
                class_names,
            )  # fmt: skip
        )
        titles.append(truth.image_path.replace("\\", "/").rsplit("/", 1)[-1])
    return contact_sheet(cells, cell=480, titles=titles)
