"""Random placement, flip, colour and mosaic, in the graph; every random number comes from a stateless seed.

A picture is never resized twice: each part of the canvas is sampled straight from the decoded picture. Geometry is
Darknet's (src/data.c, load_data_detection): the aspect is jittered around the picture's own, the picture is laid on a
grey canvas, colours are shifted in HSV.
"""

import dataclasses
from dataclasses import dataclass

import tensorflow as tf

from yolo3.config import Variation
from yolo3.images import GREY

_MIN_SIDE = 2.0  # pixels of the network input; what is left of a box has to be larger
_MIN_VISIBLE = 0.2  # of its area, for a box that the canvas or the mosaic cuts


@dataclass(frozen=True)
class Augmentation(Variation):
    """:class:`yolo3.config.Variation` of a picture; ``resize``: "letterbox" starts from its own aspect, "stretch" from
    the canvas'."""

    resize: str = "letterbox"


def _between(unit, low, high):
    """Map a number from 0..1 to low..high."""
    return low + unit * (high - low)


def place(units, image_shape, canvas_shape, region, policy: Augmentation, zoom):
    """Return float32 [4] (scale_x, scale_y, left, top): picture to canvas pixels; mirrored where scale_x < 0.

    ``units``: float [6] in 0..1. ``region``: (left, top, width, height) of the canvas that the picture has to fill or
    to lie in.
    """
    image_height, image_width = image_shape
    height, width = canvas_shape
    jitter = policy.jitter
    if policy.placement == "crop":
        return crop(units, image_shape, canvas_shape, policy)
    aspect = width / height if policy.resize == "stretch" else image_width / image_height
    aspect = aspect * _between(units[0], 1 - jitter, 1 + jitter)
    aspect = aspect / _between(units[1], 1 - jitter, 1 + jitter)
    fits_height = aspect < width / height
    size = tf.where(fits_height, tf.stack([height * aspect, height]), tf.stack([width, width / aspect]))
    size *= _between(units[2], *zoom)
    left = region[0] + units[3] * (region[2] - size[0])
    top = region[1] + units[4] * (region[3] - size[1])
    scale = size / tf.stack([image_width, image_height])
    mirrored = units[5] < policy.flip
    return tf.stack(
        [tf.where(mirrored, -scale[0], scale[0]), scale[1], tf.where(mirrored, left + size[0], left), top]
    )


def crop(units, image_shape, canvas_shape, policy: Augmentation):
    """Return what :func:`place` does: each edge of what is seen moves in or out, and that fills the canvas.

    The edges move by up to ``jitter`` of the picture's side, as AlexeyAB's Darknet has it (src/data.c,
    ``load_data_detection``); "letterbox" widens what is seen to the aspect of the canvas.
    """
    image_height, image_width = image_shape
    height, width = canvas_shape
    moves = _between(tf.stack([units[0], units[1], units[3], units[4]]), -policy.jitter, policy.jitter)
    edges = moves * tf.stack([image_width, image_width, image_height, image_height])
    left, top = edges[0], edges[2]
    seen_width, seen_height = image_width - edges[0] - edges[1], image_height - edges[2] - edges[3]
    if policy.resize == "letterbox":
        fitted_width = tf.maximum(seen_width, seen_height * width / height)
        fitted_height = tf.maximum(seen_height, seen_width * height / width)
        left, top = left - (fitted_width - seen_width) / 2, top - (fitted_height - seen_height) / 2
        seen_width, seen_height = fitted_width, fitted_height
    scale_x, scale_y = width / seen_width, height / seen_height
    mirrored = units[5] < policy.flip
    moved = -left * scale_x
    return tf.stack(
        [
            tf.where(mirrored, -scale_x, scale_x),
            scale_y,
            tf.where(mirrored, moved + image_width * scale_x, moved),
            -top * scale_y,
        ]
    )


def sample(image, transform, region):
    """Return float32 [h, w, 3] 0..255: what a region (left, top, width, height; whole pixels) of the canvas shows.

    Bilinear, pixel centres at halves; grey beyond the picture.
    """
    left, top, width, height = region
    image = tf.pad(image, [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")  # so that the border is not mixed with grey
    shape = tf.cast(tf.shape(image), tf.float32)

    def ends(first, count, scale, offset, length):
        near = (first + 0.5 - offset) / scale + 0.5
        far = (first + count - 0.5 - offset) / scale + 0.5
        span = tf.maximum(length - 1, 1)
        return near / span, far / span

    x1, x2 = ends(left, width, transform[0], transform[2], shape[1])
    y1, y2 = ends(top, height, transform[1], transform[3], shape[0])
    size = tf.cast(tf.stack([height, width]), tf.int32)
    return tf.image.crop_and_resize(image[None], [[y1, x1, y2, x2]], [0], size, extrapolation_value=float(GREY))[0]


def move_boxes(boxes_xyxy, transform, region):
    """Return boxes [N, 4] moved from picture to canvas and clipped to the region, and which are worth keeping [N]."""
    scale, offset = tf.stack([transform[0], transform[1]] * 2), tf.stack([transform[2], transform[3]] * 2)
    moved = boxes_xyxy * scale + offset
    x_min, x_max = tf.minimum(moved[:, 0], moved[:, 2]), tf.maximum(moved[:, 0], moved[:, 2])
    moved = tf.stack([x_min, moved[:, 1], x_max, moved[:, 3]], 1)
    left, top, width, height = region
    low, high = tf.stack([left, top] * 2), tf.stack([left + width, top + height] * 2)
    clipped = tf.clip_by_value(moved, low, high)
    sides, full = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
    visible = tf.reduce_prod(sides, 1) >= _MIN_VISIBLE * tf.reduce_prod(full, 1)
    return clipped, visible & tf.reduce_all(sides >= _MIN_SIDE, 1)


def distort_colours(image, units, policy: Augmentation):
    """Return the picture [h, w, 3] 0..1 with hue, saturation and exposure shifted; ``units``: float [5] in 0..1."""

    def factor(unit, inverse, largest):
        value = _between(unit, 1.0, largest)
        return tf.where(inverse < 0.5, value, 1 / value)

    if policy.saturation != 1:
        image = tf.image.adjust_saturation(image, factor(units[0], units[1], policy.saturation))
    if policy.hue:
        image = tf.image.adjust_hue(image, _between(units[2], -policy.hue, policy.hue))
    if policy.exposure != 1:
        image = image * factor(units[3], units[4], policy.exposure)
    return tf.clip_by_value(image, 0.0, 1.0)


def augment(load, indices, canvas_shape, seed, policy: Augmentation, mosaic=None):
    """Return (image float32 [H, W, 3] 0..1, boxes float32 [N, 5], used): one training example.

    ``load``: function from an index to (uint8 picture [h, w, 3], boxes [N, 5]: relative corners and class id).
    ``indices``: int [4]; the first is the picture, the others complete a mosaic. ``canvas_shape``: (height, width),
    float. ``seed``: int [2]. ``mosaic``: its probability, by default the policy's. The boxes come back as (x, y, w, h,
    class id), relative to the canvas. ``used``: how many of the indices were.
    """
    units = tf.random.stateless_uniform([32], seed)
    height, width = canvas_shape
    if policy.mosaic:
        parts = lambda: _mosaic(load, indices, canvas_shape, units, policy)  # noqa: E731
        whole = lambda: _single(load, indices[0], canvas_shape, units, policy)  # noqa: E731
        image, boxes, used = tf.cond(units[0] < (policy.mosaic if mosaic is None else mosaic), parts, whole)
    else:
        image, boxes, used = _single(load, indices[0], canvas_shape, units, policy)
    image = distort_colours(image / 255.0, units[27:32], policy)
    size = tf.stack([width, height])
    centre, sides = (boxes[:, 0:2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, 0:2]
    return image, tf.concat([centre / size, sides / size, boxes[:, 4:]], 1), used


def _single(load, index, canvas_shape, units, policy):
    region = (0.0, 0.0, canvas_shape[1], canvas_shape[0])
    image, boxes = _part(load, index, canvas_shape, region, units[1:7], policy, policy.zoom)
    return image, boxes, 1


def _mosaic(load, indices, canvas_shape, units, policy):
    """Four pictures around a point in the middle part of the canvas."""
    height, width = canvas_shape
    policy = dataclasses.replace(policy, placement="fit")
    x, y = (tf.round(_between(units[1 + i], 0.3, 0.7) * side) for i, side in enumerate((width, height)))
    regions = [(0.0, 0.0, x, y), (x, 0.0, width - x, y), (0.0, y, x, height - y), (x, y, width - x, height - y)]
    parts = [
        _part(load, indices[i], canvas_shape, region, units[3 + 6 * i : 9 + 6 * i], policy, policy.mosaic_zoom)
        for i, region in enumerate(regions)
    ]
    images = [image for image, _ in parts]
    canvas = tf.concat([tf.concat(images[:2], 1), tf.concat(images[2:], 1)], 0)
    return canvas, tf.concat([boxes for _, boxes in parts], 0), 4


def _part(load, index, canvas_shape, region, units, policy, zoom):
    image, boxes = load(index)
    shape = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    transform = place(units, shape, canvas_shape, region, policy, zoom)
    corners = boxes[:, :4] * tf.stack([shape[1], shape[0]] * 2)
    corners, keep = move_boxes(corners, transform, region)
    boxes = tf.boolean_mask(tf.concat([corners, boxes[:, 4:]], 1), keep)
    return sample(image, transform, region), boxes
