"""Images that people look at: boxes on photographs, contact sheets, training and precision-recall curves.

Images are uint8 RGB arrays [H, W, 3]; inputs are never changed. Boxes are corner boxes [N, 4] in pixels of
the image.
"""

import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from yolo3.datasets.images import writable_copy
from yolo3.ops import boxes as geometry

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
TRUTH_COLOUR = (0, 95, 45)  # dark: the other dashes are white
_LEAST_TEXT = 10  # pixels; smaller letters cannot be read
_CROWD_STEPS = (1.0, 0.75, 0.55, 0.4)  # parts of the usual text size
_LABELS_PART = 0.3  # of a small image, at most, under labels
_GOLDEN_TURN = 0.618033988749895  # steps of the golden ratio spread hues evenly, however many are taken
# (saturation, value) of the first six classes, the next six, ..., the best of 4,000 drawn at random:
# of the first twelve colours the nearest two are 34 apart in CIELAB, of the first twenty 26.
_FIRST_HUE = 0.095
_SHADES = ((1.0, 1.0), (0.7, 0.85), (0.85, 0.55), (0.55, 0.45))


def class_colour(class_id: int) -> tuple[int, int, int]:
    """Return (r, g, b), 0..255, always the same for a class."""
    hue = (class_id * _GOLDEN_TURN + _FIRST_HUE) % 1.0
    saturation, value = _SHADES[(class_id // 6) % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def text_colour(background: Sequence[int]) -> tuple[int, int, int]:
    """Return black or white, whichever is legible on the (r, g, b) background (ITU-R BT.601 luma)."""
    luma = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    return BLACK if luma > 140 else WHITE


def line_width(image_shape: Sequence[int]) -> int:
    """Return the width of box lines in pixels: a 300th of the image's shorter side, at least 1."""
    return max(1, round(min(image_shape[:2]) / 300))


def font_size(image_shape: Sequence[int]) -> int:
    """Return the height of label text in pixels: a 32nd of the image's shorter side, at least 10."""
    return max(_LEAST_TEXT, round(min(image_shape[:2]) / 32))


def crowded_font_size(image_shape: Sequence[int], texts: Sequence[str]) -> int:
    """Return :func:`font_size`, or less where labels of that size would cover more than a tenth of the image.

    In steps, so that the labels of a video do not pulsate; never less than a 90th of the shorter side, or 10.
    """
    full = font_size(image_shape)
    least = max(_LEAST_TEXT, round(min(image_shape[:2]) / 90))
    covered = sum(math.prod(_text_size(text, full)) for text in texts) / math.prod(image_shape[:2])
    sizes = (step for step in _CROWD_STEPS if covered * step**2 <= 0.1)
    return max(least, round(full * next(sizes, 0.0)))


# ------------------------------------------------------------------------------------------------- boxes


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy,
    class_ids,
    class_names: Sequence[str],
    scores=None,
    colours: Mapping[int, tuple[int, int, int]] | Sequence | None = None,
) -> np.ndarray:
    """Return a copy of the image with boxes and labels, the best scores on top.

    ``boxes_xyxy`` [N, 4] pixels, ``class_ids`` [N], ``scores`` [N] 0..1 or None. ``colours``: (r, g, b) by
    class id, else those of :func:`class_colour`. Line width and text size follow the image; labels stay
    inside it and keep out of each other's way. Where there is no room for all, as on a small image, scores are left
    out, then the labels of the weakest. Raises ``ValueError`` for arrays of different lengths.
    """
    canvas = writable_copy(image)
    boxes, ids, scores = _checked_boxes(boxes_xyxy, class_ids, scores)
    paint = [class_colour(int(i)) if colours is None else tuple(map(int, colours[int(i)])) for i in ids]
    _draw_outlines(canvas, boxes, paint, scores)
    _paint_labels(canvas, _place_labels(canvas.shape, boxes, _texts(ids, class_names, scores), paint, scores))
    return canvas


def draw_comparison(
    image: np.ndarray, truth_boxes, truth_ids, boxes, ids, scores, class_names: Sequence[str]
) -> np.ndarray:
    """Return a copy of the image with predictions in colour and the truth dashed in white and dark green.

    Truth boxes [M, 4] with ``truth_ids`` [M] carry a label, black on white, only where no prediction of the
    same class covers them (IoU of at least .5): a white label is one to look at.
    """
    canvas = writable_copy(image)
    truth_boxes, truth_ids, _ = _checked_boxes(truth_boxes, truth_ids, None)
    boxes, ids, scores = _checked_boxes(boxes, ids, scores)
    paint = [class_colour(int(i)) for i in ids]
    _draw_outlines(canvas, boxes, paint, scores)
    for box in truth_boxes:
        _draw_dashed(canvas, box)
    missed = ~_covered(truth_boxes, truth_ids, boxes, ids)
    texts = _texts(truth_ids[missed], class_names, None)
    labels = _place_labels(canvas.shape, truth_boxes[missed], texts, [WHITE] * len(texts), below=True)
    texts = _texts(ids, class_names, scores)
    _paint_labels(canvas, _place_labels(canvas.shape, boxes, texts, paint, scores, taken=labels))
    return canvas


def _ranking(num_boxes: int, scores) -> np.ndarray:
    """Return the indices of the boxes, the best score last."""
    return np.arange(num_boxes) if scores is None else np.argsort(scores, kind="stable")


def _draw_outlines(canvas: np.ndarray, boxes, paint, scores) -> None:
    for index in _ranking(len(boxes), scores):
        _draw_rectangle(canvas, boxes[index], paint[index])


def _covered(truth_boxes, truth_ids, boxes, ids) -> np.ndarray:
    if not len(boxes):
        return np.zeros(len(truth_boxes), bool)
    overlap = geometry.pairwise_iou(truth_boxes, boxes)
    return ((overlap >= 0.5) & (truth_ids[:, None] == ids[None])).any(axis=1)


def _checked_boxes(boxes_xyxy, class_ids, scores):
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
    names = [name if _font_path(name) else f"class {i}" for name, i in zip(names, ids, strict=True)]
    if scores is None:
        return [(name,) for name in names]
    return [(f"{name} {score:.2f}", name) for name, score in zip(names, scores, strict=True)]


def _pixel_box(box, image_shape) -> tuple[int, int, int, int] | None:
    """Return whole-pixel corners inside the image, None for a box outside it or not finite."""
    if not np.isfinite(box).all():
        return None
    height, width = image_shape[:2]
    if box[2] < 0 or box[3] < 0 or box[0] > width or box[1] > height:
        return None
    low = np.clip(np.round(box[:2]), 0, [width - 1, height - 1])
    high = np.clip(np.round(box[2:]) - 1, low, [width - 1, height - 1])
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _draw_rectangle(canvas: np.ndarray, box, colour) -> None:
    """Draw the outline inwards from the edge of the box, so that neighbouring boxes do not share lines.

    A thick line has a seam of the label's ink on its inner side, to be seen on dark and on light images.
    """
    corners = _pixel_box(box, canvas.shape)
    if corners is None:
        return
    left, top, right, bottom = corners
    room = max(1, min(right - left, bottom - top) // 4)  # a thick line must not fill a small box
    width = min(line_width(canvas.shape), room)
    seam = width // 3
    if seam:
        ink = np.array(text_colour(colour), np.float32)
        _draw_frame(canvas, corners, width, np.round(0.45 * ink + 0.55 * np.array(colour)).astype(np.uint8))
    _draw_frame(canvas, corners, width - seam, colour)


def _draw_frame(canvas: np.ndarray, corners, width: int, colour) -> None:
    left, top, right, bottom = corners
    canvas[top : top + width, left : right + 1] = colour
    canvas[bottom + 1 - width : bottom + 1, left : right + 1] = colour
    canvas[top : bottom + 1, left : left + width] = colour
    canvas[top : bottom + 1, right + 1 - width : right + 1] = colour


def _draw_dashed(canvas: np.ndarray, box) -> None:
    """Draw a thin outline in dashes of white and green: on any background one of them can be seen."""
    corners = _pixel_box(box, canvas.shape)
    if corners is None:
        return
    left, top, right, bottom = corners
    width = max(1, line_width(canvas.shape) // 2)
    dash = max(3, 4 * line_width(canvas.shape))
    across = _dashes(right + 1 - left, dash)[None]  # [1, W, 3]
    down = _dashes(bottom + 1 - top, dash)[:, None]  # [H, 1, 3]
    canvas[top : min(top + width, bottom + 1), left : right + 1] = across
    canvas[max(bottom + 1 - width, top) : bottom + 1, left : right + 1] = across
    canvas[top : bottom + 1, left : min(left + width, right + 1)] = down
    canvas[top : bottom + 1, max(right + 1 - width, left) : right + 1] = down


def _dashes(length: int, dash: int) -> np.ndarray:
    """Return uint8 [length, 3], white and green by turns."""
    odd = (np.arange(length) // dash) % 2 == 1
    return np.where(odd[:, None], TRUTH_COLOUR, WHITE).astype(np.uint8)


# ------------------------------------------------------------------------------------------------ labels


@lru_cache(maxsize=64)
def _font(path: str, size: int):
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


def _usual_font() -> str:
    """Return the path of DejaVu Sans, which matplotlib carries with it."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@lru_cache(maxsize=2048)
def _font_path(text: str) -> str | None:
    """Return a font with all letters of the text, of those on this machine; ``None`` where there is none."""
    usual = _usual_font()
    if text.isascii():
        return usual
    letters = frozenset(map(ord, text))
    return usual if letters <= _letters_of(usual) else _other_font(letters | frozenset(range(32, 127)))


@lru_cache(maxsize=256)
def _other_font(letters: frozenset[int]) -> str | None:
    """Return the font for letters that the usual one lacks: an upright sans serif of normal weight where there is."""
    from matplotlib.font_manager import fontManager

    def rank(font):
        unusual = font.style != "normal", font.weight not in (400, "normal", "regular"), "Sans" not in font.name
        return unusual, font.fname

    fonts = [font for font in fontManager.ttflist if "Last Resort" not in font.name]  # its letters are boxes
    paths = (font.fname for font in sorted(fonts, key=rank))
    return next((path for path in paths if letters <= _letters_of(path)), None)


@lru_cache(maxsize=4096)
def _letters_of(path: str) -> frozenset[int]:
    """Return the code points that a font file has an image for; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _text_size(text: str, size: int) -> tuple[int, int]:
    """Return height and width of a text with its margins, in pixels."""
    font = _font(_font_path(text) or _usual_font(), size)
    return sum(font.getmetrics()), math.ceil(font.getlength(text)) + 2 * _margin(size)


def _margin(size: int) -> int:
    return max(1, size // 6)


@lru_cache(maxsize=512)
def _text_mask(text: str, size: int) -> np.ndarray:
    """Return float32 [h, w], 0..1: the text with its margins, how much of each pixel it covers."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", _text_size(text, size)[::-1], 0)
    ImageDraw.Draw(mask).text((_margin(size), 0), text, fill=255, font=_font(_font_path(text) or _usual_font(), size))
    return np.asarray(mask, np.float32) / 255


def _fitting_mask(text: str, size: int, max_width: int, max_height: int) -> np.ndarray:
    """Return the mask of the text, shortened with an ellipsis if it is wider than the image."""
    mask = _text_mask(text, size)
    keep = len(text) - 1
    while mask.shape[1] > max_width and keep > 0:
        keep = min(keep, max(1, int(keep * max_width / mask.shape[1])))
        mask = _text_mask(text[:keep] + "…", size)
        keep -= 1
    return mask[:max_height, :max_width]


@dataclass(frozen=True, eq=False)
class _Label:
    """A text with its place: float32 mask [h, w], its corner in the image, the colour of its plate."""

    left: int
    top: int
    mask: np.ndarray
    colour: tuple[int, int, int]

    @property
    def corners(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.left + self.mask.shape[1], self.top + self.mask.shape[0]


def _place_labels(image_shape, boxes, texts, paint, scores=None, taken=(), below=False) -> list[_Label]:
    """Return ``taken`` and a label for each box in the image, the best score first to choose its place.

    ``texts``: what each label may say, the fullest first; an empty one gives no label. Where the labels would cover
    too much of the image, they say least, and the weakest are left out, as is one that another would hide. The
    first is always there.
    """
    labels = list(taken)
    corners = [_pixel_box(box, image_shape) for box in boxes]
    there = np.array([box for box in corners if box is not None]).reshape(-1, 4) + [0, 0, 1, 1]  # edges of pixels
    size = crowded_font_size(image_shape, [text[0] for text in texts])
    room = _LABELS_PART * math.prod(image_shape[:2]) - sum(label.mask.size for label in labels)
    if sum(math.prod(_text_size(text[0], size)) for text in texts) > room:
        texts = [text[-1:] for text in texts]
    for index in _ranking(len(boxes), scores)[::-1]:
        if corners[index] is None or not texts[index][0]:
            continue
        masks = [_fitting_mask(text, size, image_shape[1], image_shape[0]) for text in texts[index]]
        hidden, (left, top), mask = _best_place(corners[index], masks, image_shape, below, labels, there)
        if not labels or (mask.size <= room and hidden <= mask.size / 4):
            labels.append(_Label(left, top, mask, paint[index]))
            room -= mask.size
    return labels


def _best_place(corners, masks, image_shape, below: bool, labels: Sequence[_Label], boxes: np.ndarray) -> tuple:
    """Return (hidden, (left, top), mask): the fullest text that has a place free of other labels, and that place.

    Of several such places it is the one that hides the fewest boxes, then the most usual one. Where there is none,
    the place with the least of other labels; ``hidden``: pixels under them.
    """
    taken = np.array([label.corners for label in labels]).reshape(-1, 4)
    fallbacks = []
    for mask in masks:
        places = _label_places(corners, mask.shape, image_shape, below)
        plates = np.array([(x, y, x + mask.shape[1], y + mask.shape[0]) for x, y in places])
        covered = geometry.intersection(plates[:, None], taken[None]).sum(1)
        behind = (geometry.coverage(boxes[None], plates[:, None]) > 0.5).sum(1)
        best = int(np.lexsort((behind, covered))[0])
        if covered[best] == 0:
            return 0, places[best], mask
        fallbacks.append((covered[best], places[best], mask))
    return min(fallbacks, key=lambda fallback: fallback[0])


def _paint_labels(canvas: np.ndarray, labels: Sequence[_Label]) -> None:
    """Paint the labels, the first on top."""
    for label in reversed(labels):
        height, width = label.mask.shape
        area = canvas[label.top : label.top + height, label.left : label.left + width]
        plate = 0.15 * area + 0.85 * np.array(label.colour, np.float32)  # a hint of the image shines through
        cover = label.mask[..., None]
        ink = np.array(text_colour(label.colour), np.float32)
        area[:] = np.round(plate * (1 - cover) + ink * cover).astype(np.uint8)


def _label_places(corners, size, image_shape, below: bool) -> list[tuple[int, int]]:
    """Return (left, top) of the places for a label, best first, each moved inside the image."""
    left, top, right, bottom = corners
    height, width = size
    far, middle = right + 1 - width, (left + right + 1 - width) // 2
    above, under = [(x, top - height) for x in (left, far, middle)], [(x, bottom + 1) for x in (left, far, middle)]
    inside, inside_low = [(left, top), (far, top)], [(left, bottom + 1 - height), (far, bottom + 1 - height)]
    limit_x, limit_y = image_shape[1] - width, image_shape[0] - height
    beside = [(x, y) for x in (right + 1, left - width) if 0 <= x <= limit_x for y in (top, bottom + 1 - height)]
    if below:
        places = [under[0], *inside_low, *under[1:], *above, *beside]
    elif 2 * height > bottom - top or width > right - left:  # inside, it would hide the object
        places = [above[0], under[0], *above[1:], *under[1:], *beside, *inside]
    else:
        places = [above[0], inside[0], under[0], above[1], inside[1], *under[1:], *inside_low, *beside]
    fits = [place for place in places if 0 <= place[1] <= limit_y]
    return [(min(max(x, 0), limit_x), min(max(y, 0), limit_y)) for x, y in fits or inside]
