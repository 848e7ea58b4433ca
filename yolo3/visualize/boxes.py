"""Boxes with labels on images.

Images are uint8 RGB arrays [H, W, 3]; inputs are never changed. Boxes are corner boxes [N, 4] in pixels of the image.
Drawn with Pillow: the library made for this, supervision, would add SciPy, PyAV and requests to the dependencies, and
lets the labels of crowded images cover each other.
"""

import colorsys
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from yolo3.datasets.images import writable_copy
from yolo3.ops.boxes import intersection, pairwise_iou
from yolo3.visualize.fonts import find_font, fit_text

Colour = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
GROUND_TRUTH_COLOUR = (0, 95, 45)  # dark: the other dashes are white
_LEAST_TEXT = 10  # pixels; smaller letters cannot be read
_CROWDED = 0.1  # part of an image under labels beyond which their text shrinks
_GOLDEN_TURN = 0.618033988749895  # steps of the golden ratio spread hues evenly, however many are taken
# (saturation, value) of the first six classes, the next six, ..., the best of 4,000 drawn at random:
# of the first twelve colours the nearest two are 34 apart in CIELAB, of the first twenty 26.
_FIRST_HUE = 0.095
_SHADES = ((1.0, 1.0), (0.7, 0.85), (0.85, 0.55), (0.55, 0.45))


def class_colour(class_id: int) -> Colour:
    """Return (r, g, b), 0..255, always the same for a class."""
    hue = (class_id * _GOLDEN_TURN + _FIRST_HUE) % 1.0
    saturation, value = _SHADES[(class_id // 6) % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def text_colour(background: Sequence[int]) -> Colour:
    """Return black or white, whichever is legible on the (r, g, b) background (ITU-R BT.601 luma)."""
    luma = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    return BLACK if luma > 140 else WHITE


def line_width(image_shape: Sequence[int]) -> int:
    """Return the width of box lines in pixels: a 250th of the image's shorter side, at least 1."""
    return max(1, round(min(image_shape[:2]) / 250))


def font_size(image_shape: Sequence[int]) -> int:
    """Return the height of label text in pixels: a 32nd of the image's shorter side, at least 10."""
    return max(_LEAST_TEXT, round(min(image_shape[:2]) / 32))


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy,
    class_ids,
    class_names: Sequence[str],
    scores=None,
    colours: Mapping[int, Colour] | Sequence[Colour] | None = None,
) -> np.ndarray:
    """Return a copy of the image with boxes and labels, the best scores on top.

    Line width and text size follow the image. Labels stay inside it and do not cover each other: where there is no
    room for all, text shrinks, scores are left out, then the labels of the lowest scores.

    Args:
        image: uint8 RGB [H, W, 3].
        boxes_xyxy: float [N, 4], pixels.
        class_ids: int [N].
        class_names: Names by class id.
        scores: float [N], 0..1, or None.
        colours: (r, g, b) by class id; default :func:`class_colour`.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ValueError: For an image of another kind, and for arrays of different lengths.
    """
    canvas = Image.fromarray(writable_copy(image))
    boxes, ids, scores = _checked(boxes_xyxy, class_ids, scores)
    paint = [class_colour(int(i)) if colours is None else colours[int(i)] for i in ids]
    order = np.arange(len(boxes)) if scores is None else np.argsort(scores, kind="stable")

    for index in order:
        _draw_outline(canvas, boxes[index], paint[index], width=line_width(image.shape))
    _draw_labels(canvas, boxes, texts=_texts(ids, class_names, scores), paint=paint, order=order[::-1])
    return np.array(canvas)


def draw_comparison(
    image: np.ndarray, true_boxes, true_ids, boxes, ids, scores, class_names: Sequence[str]
) -> np.ndarray:
    """Return a copy of the image with predictions in colour and the ground truth dashed in white and dark green.

    An object has a label, black on white, only where no prediction of its class overlaps it by an IoU of at least .5.

    Args:
        image: uint8 RGB [H, W, 3].
        true_boxes: float [M, 4], pixels, of the ground truth.
        true_ids: int [M], class ids of the ground truth.
        boxes: float [N, 4], pixels, of the predictions.
        ids: int [N], class ids of the predictions.
        scores: float [N], 0..1, of the predictions.
        class_names: Names by class id.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        ValueError: For an image of another kind, and for arrays of different lengths.
    """
    true_boxes, true_ids, _ = _checked(true_boxes, true_ids, None)
    boxes, ids, scores = _checked(boxes, ids, scores)
    canvas = Image.fromarray(writable_copy(image))
    ranked = np.argsort(scores, kind="stable")
    width = line_width(image.shape)
    for index in ranked:  # wider than the dashes, so that it can be seen under them
        _draw_outline(canvas, boxes[index], class_colour(int(ids[index])), width=width + max(1, width // 2))
    for box in true_boxes:
        _draw_outline(canvas, box, GROUND_TRUTH_COLOUR, width=width, dashes=WHITE)

    same_class = true_ids[:, None] == ids[None]
    missed = ~((pairwise_iou(true_boxes, boxes) >= 0.5) & same_class).any(axis=1)
    texts = _texts(true_ids[missed], class_names, None) + _texts(ids, class_names, scores)
    paint = [WHITE] * int(missed.sum()) + [class_colour(int(i)) for i in ids]
    order = np.concatenate([np.arange(missed.sum()), missed.sum() + ranked[::-1]])
    _draw_labels(canvas, np.concatenate([true_boxes[missed], boxes]), texts=texts, paint=paint, order=order)
    return np.array(canvas)


def _checked(boxes_xyxy, class_ids, scores):
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    ids = np.asarray(class_ids, np.int64).reshape(-1)
    scores = None if scores is None else np.asarray(scores, np.float64).reshape(-1)
    lengths = [len(boxes), len(ids)] + ([] if scores is None else [len(scores)])
    if len(set(lengths)) > 1:
        raise ValueError(f"expected as many class ids and scores as boxes, got {', '.join(map(str, lengths))}")
    return boxes, ids, scores


def _texts(ids, class_names: Sequence[str], scores) -> list[tuple[str, ...]]:
    """Return what each label may say, the fullest first: name and score, or the name alone."""
    names = [class_names[i] if 0 <= i < len(class_names) else f"class {i}" for i in ids]
    names = [name if find_font(name) else f"class {i}" for name, i in zip(names, ids, strict=True)]
    if scores is None:
        return [(name,) for name in names]
    return [(f"{name} {score:.2f}" if name else "", name) for name, score in zip(names, scores, strict=True)]


def _pixel_box(box: np.ndarray, size_wh: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the first and the last pixels of a box inside the image; None for one outside it or not finite."""
    if not np.isfinite(box).all() or (box[2:] < 0).any() or (box[:2] > size_wh).any():
        return None
    limit = np.subtract(size_wh, 1)
    low = np.clip(np.round(box[:2]), 0, limit).astype(int)
    high = np.clip(np.round(box[2:]) - 1, low, limit).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _draw_outline(
    canvas: Image.Image, box: np.ndarray, colour: Colour, width: int, dashes: Colour | None = None
) -> None:
    """Draw the outline inwards from the edge of the box, with dashes in another colour on it."""
    corners = _pixel_box(box, canvas.size)
    if corners is None:
        return
    left, top, right, bottom = corners
    width = min(width, max(1, min(right - left, bottom - top) // 4))  # does not fill a small box
    pen = ImageDraw.Draw(canvas)
    pen.rectangle(corners, outline=tuple(colour), width=width)
    if dashes is not None:
        length, inner = 5 * width, width - 1
        for x in range(left, right + 1, 2 * length):
            end = min(x + length - 1, right)
            pen.rectangle((x, top, end, top + inner), fill=dashes)
            pen.rectangle((x, bottom - inner, end, bottom), fill=dashes)
        for y in range(top, bottom + 1, 2 * length):
            end = min(y + length - 1, bottom)
            pen.rectangle((left, y, left + inner, end), fill=dashes)
            pen.rectangle((right - inner, y, right, end), fill=dashes)


def _draw_labels(canvas: Image.Image, boxes, *, texts, paint: Sequence[Colour], order) -> None:
    """Draw the labels of the boxes in this order, each in the first place that no earlier label needs.

    A text without such a place gives way to the next shorter one of its label; a label without any is left out, but
    for the first.
    """
    size = _text_size_for(canvas.size, [text[0] for text in texts])
    pen = ImageDraw.Draw(canvas)
    taken = np.zeros((0, 4))
    for index in order:
        corners = _pixel_box(boxes[index], canvas.size)
        if corners is None or not texts[index][0]:
            continue
        for text in texts[index]:
            text, font = fit_text(text, size, canvas.width - size // 3)
            width, height = math.ceil(font.getlength(text)) + size // 3, sum(font.getmetrics())
            places = _label_places(corners, (width, height), canvas.size)  # [P, 4]
            free = intersection(places[:, None], taken[None]).sum(axis=1) == 0
            if free.any() or not len(taken):
                left, top, right, bottom = places[free.argmax()].tolist()
                pen.rectangle((left, top, right - 1, bottom - 1), fill=tuple(paint[index]))
                pen.text((left + size // 6, top), text, fill=text_colour(paint[index]), font=font)
                taken = np.append(taken, [[left, top, right, bottom]], axis=0)
                break


def _label_places(
    corners: tuple[int, int, int, int], label_wh: tuple[int, int], image_wh: tuple[int, int]
) -> np.ndarray:
    """Return int [P, 4]: where a label may lie, best first: above, in a large box, below, beside; inside the image."""
    (left, top, right, bottom), (width, height) = corners, label_wh
    far, low = right + 1 - width, bottom + 1 - height
    inside = [(left, top), (far, low)] if bottom - top >= 3 * height and right - left >= width else []
    places = [(left, top - height), *inside, (left, bottom + 1), (far, top - height), (far, bottom + 1)]
    places += [(right + 1, top), (left - width, top), (left, top), (left, low)]

    limit = np.maximum(np.subtract(image_wh, label_wh), 0)
    inside_image = [place for place in places if 0 <= place[1] <= limit[1]] or [(left, top)]
    start = np.clip(inside_image, 0, limit)
    return np.concatenate([start, start + label_wh], axis=1)


def _text_size_for(size_wh: tuple[int, int], texts: Sequence[str]) -> int:
    """Return :func:`font_size`, or less where labels of that size would cover too much of the image.

    It shrinks in steps, so that the labels of a video do not pulsate.
    """
    full = font_size(size_wh)
    letters = sum(len(text) for text in texts)  # a letter is about .6 x 1.2 text heights
    covered = letters * 0.72 * full**2 / math.prod(size_wh)
    steps = (1.0, 0.75, 0.55)
    return max(_LEAST_TEXT, round(full * next((step for step in steps if covered * step**2 <= _CROWDED), steps[-1])))
