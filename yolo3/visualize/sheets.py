"""Contact sheets: the targets that the network is given, and what it predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image, writable_copy
from yolo3.detections import SHOWN_SCORE, Detections
from yolo3.models.yolov3.scales import STRIDES
from yolo3.ops import boxes as geometry
from yolo3.visualize.boxes import _fitting_mask, _text_mask, class_colour, draw_boxes, draw_comparison

SHEET_COLOUR = (32, 32, 36)


# ------------------------------------------------------------------------------------------------ sheets


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int | None = None,
    cell: int = 320,
    titles: Sequence[str] | None = None,
) -> np.ndarray:
    """Return one image with all images in a grid, each fitted undistorted into a square of ``cell`` pixels.

    ``columns``: None makes the sheet nearly square. ``titles``: one for each image, drawn under it. Raises
    ``ValueError`` without images or with another number of titles.
    """
    if not len(images):
        raise ValueError("contact_sheet: expected at least one image, got none")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"contact_sheet: expected {len(images)} titles, got {len(titles)}")
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    gap = max(2, cell // 40)
    rows = []
    for start in range(0, len(images), columns):
        part = slice(start, start + columns)
        rows.append(_sheet_row(images[part], None if titles is None else titles[part], columns, cell, gap))
    return np.concatenate([np.full((gap, rows[0].shape[1], 3), SHEET_COLOUR, np.uint8), *rows])


def _sheet_row(images, titles, columns: int, cell: int, gap: int) -> np.ndarray:
    """Return one row of a contact sheet, as high as its highest image, with titles and the gap under it."""
    fitted = [_fitted(writable_copy(image), cell) for image in images]
    height, size = max(image.shape[0] for image in fitted), max(10, cell // 22)
    strip = 0 if titles is None else _text_mask("Ag", size).shape[0]
    row = np.full((height + strip + gap, columns * (cell + gap) + gap, 3), SHEET_COLOUR, np.uint8)
    for index, image in enumerate(fitted):
        left = gap + index * (cell + gap)
        x, y = left + (cell - image.shape[1]) // 2, (height - image.shape[0]) // 2
        row[y : y + image.shape[0], x : x + image.shape[1]] = image
        if titles is not None:
            _write_title(row[height : height + strip, left : left + cell], titles[index], size)
    return row


def _fitted(image: np.ndarray, cell: int) -> np.ndarray:
    """Return the image scaled so that its longer side is ``cell`` pixels."""
    import cv2

    scale = cell / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _write_title(strip: np.ndarray, title: str, size: int) -> None:
    mask = _fitting_mask(title, size, strip.shape[1], strip.shape[0])[..., None]
    area = strip[: mask.shape[0], : mask.shape[1]]
    area[:] = np.round(area * (1 - mask) + 235 * mask).astype(np.uint8)


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
                image,
                truth.boxes,
                truth.class_ids,
                found.boxes[shown],
                found.class_ids[shown],
                found.scores[shown],
                class_names,
            )  # fmt: skip
        )
        titles.append(truth.image_path.replace("\\", "/").rsplit("/", 1)[-1])
    return contact_sheet(cells, cell=480, titles=titles)
