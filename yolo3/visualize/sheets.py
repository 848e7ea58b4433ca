"""Contact sheets: training images with their targets, validation images with predictions and ground truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image, writable_copy
from yolo3.detections import Detections
from yolo3.files import base_name
from yolo3.ops.boxes import cxcywh_to_xyxy
from yolo3.ops.nms_methods import SHOWN_SCORE
from yolo3.visualize.boxes import class_colour, draw_boxes, draw_comparison
from yolo3.visualize.fonts import fit_text

SHEET_COLOUR, TITLE_COLOUR = (32, 32, 36), (235, 235, 235)
_CELL = 640  # pixels of the longer side of an image in a sheet of predictions
_CAPTION = "Solid: predictions with scores. Dashed: ground truth. White labels: objects that no prediction finds."


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int | None = None,
    cell: int = 320,
    titles: Sequence[str] | None = None,
    caption: str = "",
) -> np.ndarray:
    """Return one image with all images in a grid, each fitted undistorted into a square.

    Args:
        images: uint8 RGB [H, W, 3] each.
        columns: Default: as many as make the sheet nearly square.
        cell: Pixels of a side of the square.
        titles: One for each image, written below it.
        caption: A line at the top of the sheet.

    Returns:
        uint8 RGB [H, W, 3]; rows are as high as their highest image.

    Raises:
        ValueError: Without images, or with another number of titles.
    """
    if not len(images):
        raise ValueError("contact_sheet: expected at least one image, got none")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"contact_sheet: expected {len(images)} titles, got {len(titles)}")
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    gap, size = max(2, cell // 40), max(10, cell // 26)
    line = round(1.4 * size)
    fitted = [fit(image, cell) for image in images]

    # Heights of the rows, then everything in its place.
    rows = [fitted[start : start + columns] for start in range(0, len(fitted), columns)]
    heights = [max(image.shape[0] for image in row) + (line if titles else 0) + gap for row in rows]
    top = gap + (line if caption else 0)
    sheet = Image.new("RGB", (gap + columns * (cell + gap), top + sum(heights)), SHEET_COLOUR)
    pen = ImageDraw.Draw(sheet)
    text, font = fit_text(caption, size, sheet.width - 2 * gap)
    pen.text((gap, gap // 2), text, fill=TITLE_COLOUR, font=font)

    for number, (row, height) in enumerate(zip(rows, heights)):
        bottom = top + height - gap - (line if titles else 0)
        for column, image in enumerate(row):
            left = gap + column * (cell + gap)
            room = np.array([cell, bottom - top]) - image.shape[1::-1]
            sheet.paste(Image.fromarray(image), (left + int(room[0]) // 2, top + int(room[1]) // 2))
            if titles:
                text, font = fit_text(titles[number * columns + column], size, cell)
                pen.text((left, bottom), text, fill=TITLE_COLOUR, font=font)
        top += height
    return np.array(sheet)


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image scaled so that its longer side has ``side`` pixels."""
    import cv2

    image = writable_copy(image)
    scale = side / max(image.shape[:2])
    size_wh = [max(1, round(length * scale)) for length in image.shape[1::-1]]
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def draw_targets(
    images: np.ndarray, targets: Sequence[np.ndarray], class_names: Sequence[str], strides: Sequence[int]
) -> np.ndarray:
    """Return a sheet of training images with the boxes that their targets hold.

    Each label has the class, the stride of the scale and the anchor's place in it. What is not drawn is not learned.

    Args:
        images: float32 [B, H, W, 3], 0..1.
        targets: One [B, h, w, A, 5 + C] per scale, centres and sizes relative to the image.
        class_names: C names.
        strides: Pixels per cell of each scale.

    Returns:
        uint8 RGB [H, W, 3].
    """
    size = np.array([images.shape[2], images.shape[1]] * 2)
    cells = []
    for number, image in enumerate(images):
        boxes, labels, colours = [], [], []
        for stride, target in zip(strides, targets):
            for row, column, anchor in zip(*np.nonzero(target[number, ..., 4])):
                slot = target[number, row, column, anchor]  # [5 + C]
                boxes.append(cxcywh_to_xyxy(slot[:4]) * size)
                names = "+".join(class_names[int(index)] for index in np.flatnonzero(slot[5:]))
                labels.append(f"{names} {stride}/{anchor}")
                colours.append(class_colour(int(np.argmax(slot[5:]))))
        cells.append(draw_boxes(_to_uint8(image), boxes, np.arange(len(boxes)), labels, colours=colours))
    return contact_sheet(cells, cell=max(images.shape[1:3]))


def draw_examples(images: np.ndarray, boxes: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Return a sheet of training images with their boxes.

    Args:
        images: float32 [B, H, W, 3], 0..1.
        boxes: [B, T, 5], centre, size (relative to the image) and class id; rows without width are padding.
        class_names: Names by class id.

    Returns:
        uint8 RGB [H, W, 3].
    """
    size = np.array([images.shape[2], images.shape[1]] * 2)
    cells = []
    for image, rows in zip(images, boxes):
        rows = rows[rows[:, 2] > 0]
        corners = cxcywh_to_xyxy(rows[:, :4]) * size
        cells.append(draw_boxes(_to_uint8(image), corners, rows[:, 4].astype(int), class_names))
    return contact_sheet(cells, cell=max(images.shape[1:3]))


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.round(image * 255).astype(np.uint8)


def draw_ground_truth(annotations: Sequence[Annotation], class_names: Sequence[str], most: int = 12) -> np.ndarray:
    """Return a sheet of images with their ground truth, some of every class as far as there is room.

    Args:
        annotations: One per image.
        class_names: Names by class id.
        most: How many images are shown.

    Returns:
        uint8 RGB [H, W, 3].
    """
    cells, titles = [], []
    for index in _examples_of_each_class(annotations, most):
        annotation = annotations[index]
        image = read_image(annotation.image_path)
        fitted = fit(image, _CELL)
        scale = np.tile(np.divide(fitted.shape[1::-1], image.shape[1::-1]), 2)  # of (x_min, y_min, x_max, y_max)
        cells.append(draw_boxes(fitted, annotation.boxes * scale, annotation.class_ids, class_names))
        titles.append(base_name(annotation.image_path))
    return contact_sheet(cells, cell=_CELL, titles=titles)


def _examples_of_each_class(annotations: Sequence[Annotation], most: int) -> list[int]:
    """Return indices of images: one of each class, the rarest first, then evenly spaced from the first to the last."""
    images_of: dict[int, list[int]] = {}
    for index, annotation in enumerate(annotations):
        for class_id in np.unique(annotation.class_ids).tolist():
            images_of.setdefault(class_id, []).append(index)
    chosen: dict[int, None] = {}
    for images in sorted(images_of.values(), key=len):
        if not chosen.keys() & set(images):
            chosen[images[len(images) // 2]] = None
    for index in np.linspace(0, len(annotations) - 1, min(most, len(annotations))).round().astype(int).tolist():
        chosen[index] = None
    return sorted(list(chosen)[:most])


def draw_predictions(
    annotations: Sequence[Annotation], detections: Sequence[Detections], class_names: Sequence[str], most: int = 12
) -> np.ndarray:
    """Return a sheet of images with their predictions and, dashed, their ground truth.

    Images are scaled to the sheet before they are drawn on, so that labels are legible whatever their size.

    Args:
        annotations: One per image.
        detections: One record per image, in the same order; those below :data:`yolo3.ops.nms_methods.SHOWN_SCORE` are
            left out.
        class_names: Names by class id.
        most: How many images are shown, evenly spaced from the first to the last.

    Returns:
        uint8 RGB [H, W, 3].
    """
    chosen = np.unique(np.linspace(0, len(annotations) - 1, most).round().astype(int))
    cells, titles = [], []
    for index in chosen:
        annotation, found = annotations[index], detections[index]
        image = read_image(annotation.image_path)
        fitted = fit(image, _CELL)
        scale = np.tile(np.divide(fitted.shape[1::-1], image.shape[1::-1]), 2)  # of (x_min, y_min, x_max, y_max)

        shown = found.scores >= SHOWN_SCORE
        cells.append(
            draw_comparison(
                fitted,
                true_boxes=annotation.boxes * scale,
                true_ids=annotation.class_ids,
                boxes=found.boxes[shown] * scale,
                ids=found.class_ids[shown],
                scores=found.scores[shown],
                class_names=class_names,
            )
        )
        titles.append(base_name(annotation.image_path))
    return contact_sheet(cells, cell=_CELL, titles=titles, caption=_CAPTION)
