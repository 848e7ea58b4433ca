"""Random placement, flip, colour and mosaic, in the graph; every random number comes from a stateless seed.

An image is never resized twice: each part of the canvas is sampled straight from the decoded image. Geometry is
Darknet's (src/data.c, load_data_detection): the aspect is jittered around the image's own, the image is laid on a
grey canvas, colours are shifted in HSV.
"""

import dataclasses
import functools
from dataclasses import dataclass

import tensorflow as tf

from yolo3.input.settings import Variation
from yolo3.ops.letterbox import GREY

_MIN_SIDE = 2.0  # pixels of the network input; what is left of a box has to be larger
_MIN_VISIBLE = 0.2  # of its area, for a box that the canvas or the mosaic cuts


@dataclass(frozen=True)
class Augmentation(Variation):
    """:class:`yolo3.input.settings.Variation` of an image; ``resize``: "letterbox" starts from its own aspect, "stretch" from
    the canvas'."""

    resize: str = "letterbox"


def _between(unit, low, high):
    """Map a number from 0..1 to low..high."""
    return low + unit * (high - low)


def place(units, image_shape, canvas_shape, region, policy: Augmentation, zoom):
    """Return float32 [4] (scale_x, scale_y, left, top): image to canvas pixels; mirrored where scale_x < 0.

    ``units``: float [6] in 0..1. ``region``: (left, top, width, height) of the canvas that the image has to fill or
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
    return tf.stack([tf.where(mirrored, -scale[0], scale[0]), scale[1], tf.where(mirrored, left + size[0], left), top])


def crop(units, image_shape, canvas_shape, policy: Augmentation):
    """Return what :func:`place` does: each edge of what is seen moves in or out, and that fills the canvas.

    The edges move by up to ``jitter`` of the image's side, as AlexeyAB's Darknet has it (src/data.c,
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


def to_pixels(transform, image_shape, region):
    """Return (seen, shown, transform): which pixels of the image are shown in which pixels of the region.

    ``seen``: (top, left, bottom, right) in the image, mirrored if it is; ``shown``: the same on the canvas; int32.
    ``transform``: what :func:`place` has asked for, moved by less than a pixel, so that whole pixels map to whole ones
    and a plain resize makes the part. ``image_shape``: (height, width), floats.
    """
    left, top, width, height = region
    mirrored = transform[0] < 0
    scale_x = tf.abs(transform[0])
    start_x = tf.where(mirrored, transform[2] - scale_x * image_shape[1], transform[2])
    seen_x, shown_x, scale_x, start_x = _whole_pixels(start_x, scale_x, image_shape[1], left, left + width)
    seen_y, shown_y, scale_y, start_y = _whole_pixels(transform[3], transform[1], image_shape[0], top, top + height)
    left_end = tf.where(mirrored, start_x + scale_x * image_shape[1], start_x)
    realised = tf.stack([tf.where(mirrored, -scale_x, scale_x), scale_y, left_end, start_y])
    rectangles = (tf.stack([y[0], x[0], y[1], x[1]]) for y, x in ((seen_y, seen_x), (shown_y, shown_x)))
    return *(tf.cast(rectangle, tf.int32) for rectangle in rectangles), realised


def _whole_pixels(start, scale, length, low, high):
    """Return (seen, shown, scale, start) along one axis: whole ends in the image and on the canvas, what maps them.

    ``start``, ``scale``: of an image of ``length`` pixels, of which low..high is to be shown.
    """
    first = tf.round(tf.clip_by_value(start, low, high - 1))
    last = tf.round(tf.clip_by_value(start + scale * length, first + 1, high))
    seen_first = tf.clip_by_value(tf.round((first - start) / scale), 0.0, length - 1)
    seen_last = tf.clip_by_value(tf.round((last - start) / scale), seen_first + 1, length)
    scale = (last - first) / (seen_last - seen_first)
    return (seen_first, seen_last), (first, last), scale, first - seen_first * scale


def sample(image, seen, shown, mirrored, region):
    """Return uint8 [h, w, 3]: a region (left, top, width, height) with a part of the image in it, else grey.

    ``seen``, ``shown``: as from :func:`to_pixels`. Bilinear, pixel centres at halves.
    """
    width = tf.shape(image)[1]
    left, right = tf.where(mirrored, width - seen[3], seen[1]), tf.where(mirrored, width - seen[1], seen[3])
    part = image[seen[0] : seen[2], left:right]
    part = tf.raw_ops.ResizeBilinear(images=part[None], size=shown[2:] - shown[:2], half_pixel_centers=True)[0]
    part = tf.cast(part + 0.5, tf.uint8)
    part = tf.cond(mirrored, lambda: tf.reverse(part, [1]), lambda: part)
    corner = tf.cast(tf.stack([region[1], region[0]]), tf.int32)
    size = tf.cast(tf.stack([region[3], region[2]]), tf.int32)
    before = shown[:2] - corner
    margins = tf.stack([before, size - before - (shown[2:] - shown[:2])], 1)
    return tf.pad(part, tf.concat([margins, [[0, 0]]], 0), constant_values=tf.constant(GREY, tf.uint8))


def move_boxes(boxes_xyxy, transform, region):
    """Return boxes [N, 4] moved from image to canvas and clipped to the region, and which are worth keeping [N]."""
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


def draw_colours(units, policy: Augmentation):
    """Return float32 [3]: a shift of the hue in turns, factors of saturation and exposure; ``units``: [5] in 0..1."""

    def factor(unit, inverse, largest):
        value = _between(unit, 1.0, largest)
        return tf.where(inverse < 0.5, value, 1 / value)

    hue = _between(units[2], -policy.hue, policy.hue)
    return tf.stack([hue, factor(units[0], units[1], policy.saturation), factor(units[3], units[4], policy.exposure)])


@functools.partial(tf.function, jit_compile=True, autograph=False)
def distort_colours(images, shifts):
    """Return float32 [B, H, W, 3] 0..1 of images in 0..255, each with its ``shifts`` [B, 3] of :func:`draw_colours`.

    In HSV, saturation and the image after exposure clipped to 1. One pass over the pixels, compiled by XLA: with v
    the largest channel, c the difference to the smallest, both after the shifts, and h the hue in sixths of a turn,
    the channels are v - c clip(min(k, 4 - k), 0, 1) for k = (5 + h, 3 + h, 1 + h) mod 6.
    """
    turn, saturation, exposure = (shifts[:, None, None, index] for index in range(3))
    red, green, blue = tf.unstack(tf.cast(images, tf.float32) * (1 / 255), axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    inverse = 1 / tf.where(chroma > 0, chroma, 1.0)
    hue = tf.where(value == green, 2 + (blue - red) * inverse, 4 + (red - green) * inverse)
    hue = tf.where(value == red, (green - blue) * inverse, hue) + 6 * turn
    chroma = tf.minimum(chroma * saturation, value)
    k = hue[..., None] + tf.constant([5.0, 3.0, 1.0])
    k -= 6 * tf.floor(k / 6)
    share = tf.clip_by_value(tf.minimum(k, 4 - k), 0.0, 1.0)
    return tf.clip_by_value((value[..., None] - chroma[..., None] * share) * exposure[..., None], 0.0, 1.0)


def augment(load, indices, canvas_shape, seed, policy: Augmentation, mosaic=None):
    """Return (image uint8 [H, W, 3], boxes float32 [N, 5], colours [3], used): one training example.

    ``load``: function from an index to (uint8 image [h, w, 3], boxes [N, 5]: relative corners and class id).
    ``indices``: int [4]; the first is the image, the others complete a mosaic. ``canvas_shape``: (height, width),
    float. ``seed``: int [2]. ``mosaic``: its probability, by default the policy's. The boxes come back as (x, y, w, h,
    class id), relative to the canvas. ``colours``: for :func:`distort_colours`, which works on whole batches. ``used``:
    how many of the indices were.
    """
    units = tf.random.stateless_uniform([32], seed)
    height, width = canvas_shape
    if policy.mosaic:
        parts = lambda: _mosaic(load, indices, canvas_shape, units, policy)  # noqa: E731
        whole = lambda: _single(load, indices[0], canvas_shape, units, policy)  # noqa: E731
        image, boxes, used = tf.cond(units[0] < (policy.mosaic if mosaic is None else mosaic), parts, whole)
    else:
        image, boxes, used = _single(load, indices[0], canvas_shape, units, policy)
    size = tf.stack([width, height])
    centre, sides = (boxes[:, 0:2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, 0:2]
    return image, tf.concat([centre / size, sides / size, boxes[:, 4:]], 1), draw_colours(units[27:32], policy), used


def _single(load, index, canvas_shape, units, policy):
    region = (0.0, 0.0, canvas_shape[1], canvas_shape[0])
    image, boxes = _part(load, index, canvas_shape, region, units[1:7], policy, policy.zoom)
    return image, boxes, 1


def _mosaic(load, indices, canvas_shape, units, policy):
    """Four images around a point in the middle part of the canvas."""
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
    seen, shown, transform = to_pixels(transform, shape, region)
    corners = boxes[:, :4] * tf.stack([shape[1], shape[0]] * 2)
    corners, keep = move_boxes(corners, transform, region)
    boxes = tf.boolean_mask(tf.concat([corners, boxes[:, 4:]], 1), keep)
    return sample(image, seen, shown, transform[0] < 0, region), boxes
