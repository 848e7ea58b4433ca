"""The augmentation of :mod:`yolo3.input.augmentation` in NumPy and OpenCV, for programs without TensorFlow.

Both make the same image and boxes of the same random numbers; the rules are described there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from yolo3.input.settings import MIN_SIDE, MIN_VISIBLE, Augmentation
from yolo3.ops.letterbox import GREY

NUM_UNITS = 32  # random numbers for an example

Load = Callable[[int], tuple[np.ndarray, np.ndarray]]


def augment_numpy(
    load: Load,
    indices: Sequence[int],
    *,
    units: np.ndarray,
    canvas_shape: tuple[int, int],
    settings: Augmentation,
    resize: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Make one training example, from one image or from a mosaic of four.

    Args:
        load: Function from an index to (image uint8 [h, w, 3], boxes float32 [N, 5]: relative corners and class id).
        indices: Of four images; the first is the example's, the others complete a mosaic.
        units: float [32], random numbers in 0..1.
        canvas_shape: (height, width) of the network input in pixels.
        settings: How images vary.
        resize: "letterbox" or "stretch".

    Returns:
        (image, boxes): float32 [H, W, 3], 0..1; float32 [N, 5] (x, y, w, h relative to the canvas, class id).
    """
    units = np.asarray(units, np.float32)
    height, width = map(float, canvas_shape)
    options: dict[str, Any] = {"canvas_shape": (height, width), "resize": resize}
    if units[0] < settings.mosaic:
        x, y = (np.round(_between(units[1 + i], 0.3, 0.7) * side) for i, side in enumerate((width, height)))
        regions = [(0.0, 0.0, x, y), (x, 0.0, width - x, y), (0.0, y, x, height - y), (x, y, width - x, height - y)]
        fitted = dataclasses.replace(settings, placement="fit")
        parts = [
            _placed(
                load(index),
                units=units[3 + 6 * i : 9 + 6 * i],
                region=region,
                settings=fitted,
                zoom=settings.mosaic_zoom,
                **options,
            )
            for i, (index, region) in enumerate(zip(indices, regions, strict=True))
        ]
        images = [image for image, _ in parts]
        canvas = np.concatenate([np.concatenate(images[:2], 1), np.concatenate(images[2:], 1)], 0)  # [H, W, 3]
        boxes = np.concatenate([boxes for _, boxes in parts], 0)
    else:
        whole = (0.0, 0.0, width, height)
        canvas, boxes = _placed(
            load(indices[0]), units=units[1:7], region=whole, settings=settings, zoom=settings.zoom, **options
        )

    # Corners in pixels to relative centres and sides.
    size = np.array([width, height], np.float32)
    centre, sides = (boxes[:, 0:2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, 0:2]
    rows = np.concatenate([centre / size, sides / size, boxes[:, 4:]], 1).astype(np.float32)  # [N, 5]
    return distort_numpy(canvas, colour_shift(units[27:32], settings)), rows


def colour_shift(units: np.ndarray, settings: Augmentation) -> tuple[float, float, float]:
    """Return the shift of the hue in turns, and the factors of saturation and exposure, from five numbers in 0..1."""

    def factor(unit, inverse, largest):
        value = _between(unit, 1.0, largest)
        return value if inverse < 0.5 else 1 / value

    hue = _between(units[2], -settings.hue, settings.hue)
    return hue, factor(units[0], units[1], settings.saturation), factor(units[3], units[4], settings.exposure)


def distort_numpy(image: np.ndarray, shift: tuple[float, float, float]) -> np.ndarray:
    """Shift the colours of an image in HSV; saturation and the result are clipped to 1.

    Args:
        image: uint8 [H, W, 3].
        shift: From `colour_shift`.

    Returns:
        float32 [H, W, 3], 0..1.
    """
    turn, saturation, exposure = map(np.float32, shift)
    pixels = image.astype(np.float32) / 255
    if (turn, saturation, exposure) == (0, 1, 1):
        return pixels

    # OpenCV has the hue in degrees
    hue, grey_share, value = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV))
    hue = np.mod(hue + 360 * turn, 360)
    shifted = cv2.merge([hue, np.minimum(grey_share * saturation, 1), value])
    return np.clip(cv2.cvtColor(shifted, cv2.COLOR_HSV2RGB) * exposure, 0, 1)


def _between(unit, low, high):
    return low + unit * (high - low)


def _placed(loaded, *, units, canvas_shape, region, settings: Augmentation, resize: str, zoom):
    """Return the pixels of a region with an image in it, and the boxes that are visible there, in canvas pixels."""
    image, boxes = loaded
    shape = (float(image.shape[0]), float(image.shape[1]))
    position = _crop if settings.placement == "crop" else _fit
    transform = position(
        units,
        image_shape=shape,
        canvas_shape=canvas_shape,
        region=region,
        settings=settings,
        resize=resize,
        zoom=zoom,
    )
    mirrored, scale, start = transform

    # Whole pixels along both axes, so that a plain resize makes the part.
    left, top, width, height = region
    seen_x, shown_x, scale_x, start_x = _whole_pixels(start[0], scale[0], shape[1], low=left, high=left + width)
    seen_y, shown_y, scale_y, start_y = _whole_pixels(start[1], scale[1], shape[0], low=top, high=top + height)
    part = image[seen_y[0] : seen_y[1], slice(*seen_x) if not mirrored else _mirrored(seen_x, image.shape[1])]
    part = part[:, ::-1] if mirrored else part
    size = (shown_x[1] - shown_x[0], shown_y[1] - shown_y[0])
    pixels = np.full((int(height), int(width), 3), GREY, np.uint8)
    y, x = shown_y[0] - int(top), shown_x[0] - int(left)
    resized = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_LINEAR)
    pixels[y : y + size[1], x : x + size[0]] = resized

    # Boxes go the same way; what is hardly visible of them is dropped.
    corners = boxes[:, :4] * np.array([shape[1], shape[0]] * 2, np.float32)
    if mirrored:
        corners[:, [0, 2]] = shape[1] - corners[:, [2, 0]]
    moved = corners * np.array([scale_x, scale_y] * 2) + np.array([start_x, start_y] * 2)
    clipped = np.clip(moved, [left, top] * 2, [left + width, top + height] * 2)
    sides, full = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
    keep = (sides.prod(1) >= MIN_VISIBLE * full.prod(1)) & (sides >= MIN_SIDE).all(1)
    return pixels, np.concatenate([clipped, boxes[:, 4:]], 1)[keep]


def _mirrored(seen: tuple[int, int], width: int) -> slice:
    return slice(width - seen[1], width - seen[0])


def _fit(units, *, image_shape, canvas_shape, region, settings: Augmentation, resize: str, zoom):
    """Return (mirrored, scale (x, y), start (x, y)) of a whole image on the canvas, aspect ratio and size varied."""
    height, width = canvas_shape
    jitter = settings.jitter
    aspect = width / height if resize == "stretch" else image_shape[1] / image_shape[0]
    aspect = aspect * _between(units[0], 1 - jitter, 1 + jitter) / _between(units[1], 1 - jitter, 1 + jitter)

    fits_height = aspect < width / height
    size = np.array([height * aspect, height] if fits_height else [width, width / aspect]) * _between(units[2], *zoom)
    start = np.array(region[:2]) + units[3:5] * (np.array(region[2:]) - size)
    return bool(units[5] < settings.flip), size / np.array(image_shape[::-1]), start


def _crop(units, *, image_shape, canvas_shape, region, settings: Augmentation, resize: str, zoom):
    """Return what `_fit` does, for a part of the image that fills the canvas."""
    sides = np.array(image_shape[::-1])
    before = _between(units[[0, 3]], -settings.jitter, settings.jitter) * sides
    after = _between(units[[1, 4]], -settings.jitter, settings.jitter) * sides
    seen = sides - before - after

    canvas = np.array(canvas_shape[::-1])
    if resize == "letterbox":
        fitted = np.maximum(seen, seen[::-1] * canvas / canvas[::-1])
        before, seen = before - (fitted - seen) / 2, fitted
    scale = canvas / seen
    return bool(units[5] < settings.flip), scale, -before * scale


def _whole_pixels(start, scale, length, *, low, high):
    """Return (seen, shown, scale, start) along one axis: whole ends in the image and on the canvas, and their map."""
    first = np.round(np.clip(start, low, high - 1))
    last = np.round(np.clip(start + scale * length, first + 1, high))
    seen_first = np.clip(np.round((first - start) / scale), 0, length - 1)
    seen_last = np.clip(np.round((last - start) / scale), seen_first + 1, length)
    scale = (last - first) / (seen_last - seen_first)
    return (int(seen_first), int(seen_last)), (int(first), int(last)), scale, first - seen_first * scale
