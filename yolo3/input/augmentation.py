"""Augment training images in the graph: placement, flip, colour and mosaic, drawn from a stateless seed.

No image is resized twice: each part of the canvas is sampled straight from the decoded image. The geometry is Darknet's
(src/data.c, load_data_detection): the aspect ratio is jittered around the image's own, the image is placed on a grey
canvas, and its colours are shifted in HSV.
"""

import dataclasses
import functools

import tensorflow as tf

from yolo3.input.settings import MIN_SIDE, MIN_VISIBLE, Augmentation
from yolo3.ops.letterbox import GREY


def _between(unit, low, high):
    """Map a number from 0..1 to low..high."""
    return low + unit * (high - low)


def augment(load, indices, *, canvas_shape, seed, settings: Augmentation, resize: str, mosaic=None):
    """Make one training example, from one image or from a mosaic of four.

    Args:
        load: Function from an index to (image uint8 [h, w, 3], boxes float32 [N, 5]: relative corners and class id).
        indices: int [4]; the first is the image, the others complete a mosaic.
        canvas_shape: (height, width) of the network input in pixels, floats.
        seed: int [2], for the stateless random numbers.
        settings: How images vary.
        resize: "letterbox" or "stretch", see `place`.
        mosaic: Probability of a mosaic, by default that of `settings`.

    Returns:
        (image, boxes, colours, used): uint8 [H, W, 3]; float32 [N, 5] (x, y, w, h relative to the canvas, class id);
        float32 [3] for `distort_colours`, which works on whole batches; the number of images in the example, 1 or 4.
    """
    units = tf.random.stateless_uniform([32], seed)
    height, width = canvas_shape

    def single():
        image, boxes = _place_on_canvas(
            load(indices[0]),
            units=units[1:7],
            canvas_shape=canvas_shape,
            region=(0.0, 0.0, width, height),
            settings=settings,
            resize=resize,
            zoom=settings.zoom,
        )
        return image, boxes, 1

    def four():
        image, boxes = _mosaic(load, indices, units, canvas_shape=canvas_shape, settings=settings, resize=resize)
        return image, boxes, 4

    if settings.mosaic:
        image, boxes, used = tf.cond(units[0] < (settings.mosaic if mosaic is None else mosaic), four, single)
    else:
        image, boxes, used = single()

    # Corners in pixels to relative centres and sides.
    size = tf.stack([width, height])
    centre, sides = (boxes[:, 0:2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, 0:2]
    boxes = tf.concat([centre / size, sides / size, boxes[:, 4:]], 1)  # [N, 5]
    return image, boxes, draw_colours(units[27:32], settings), used


def _mosaic(load, indices, units, *, canvas_shape, settings: Augmentation, resize):
    """Return four images around a point in the middle of the canvas, and their boxes."""
    height, width = canvas_shape
    settings = dataclasses.replace(settings, placement="fit")

    x, y = (tf.round(_between(units[1 + i], 0.3, 0.7) * side) for i, side in enumerate((width, height)))
    regions = [(0.0, 0.0, x, y), (x, 0.0, width - x, y), (0.0, y, x, height - y), (x, y, width - x, height - y)]
    parts = [
        _place_on_canvas(
            load(indices[i]),
            units=units[3 + 6 * i : 9 + 6 * i],
            canvas_shape=canvas_shape,
            region=region,
            settings=settings,
            resize=resize,
            zoom=settings.mosaic_zoom,
        )
        for i, region in enumerate(regions)
    ]

    images = [image for image, _ in parts]
    canvas = tf.concat([tf.concat(images[:2], 1), tf.concat(images[2:], 1)], 0)  # [H, W, 3]
    return canvas, tf.concat([boxes for _, boxes in parts], 0)


def _place_on_canvas(loaded, *, units, canvas_shape, region, settings, resize, zoom):
    """Return the pixels of a region with an image in it, and the boxes that are visible there, in canvas pixels."""
    image, boxes = loaded
    shape = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    transform = place(
        units,
        image_shape=shape,
        canvas_shape=canvas_shape,
        region=region,
        settings=settings,
        resize=resize,
        zoom=zoom,
    )
    seen, shown, transform = to_pixels(transform, shape, region)

    corners = boxes[:, :4] * tf.stack([shape[1], shape[0]] * 2)  # [N, 4]
    corners, keep = move_boxes(corners, transform, region)
    boxes = tf.boolean_mask(tf.concat([corners, boxes[:, 4:]], 1), keep)  # [M, 5]
    return sample(image, seen=seen, shown=shown, mirrored=transform[0] < 0, region=region), boxes


def place(units, *, image_shape, canvas_shape, region, settings: Augmentation, resize: str, zoom):
    """Draw where an image lies on the canvas.

    Args:
        units: float [6], random numbers in 0..1.
        image_shape: (height, width) of the image in pixels, floats.
        canvas_shape: (height, width) of the canvas in pixels, floats.
        region: (left, top, width, height) in canvas pixels; the image fills it or lies within, along each axis.
        settings: `jitter`, `flip` and `placement` count.
        resize: "letterbox" starts from the aspect ratio of the image, "stretch" from that of the canvas.
        zoom: (low, high), range of the size of the image; 1 is the largest that fits the canvas.

    Returns:
        float32 [4] (scale_x, scale_y, left, top), from image to canvas pixels: x * scale_x + left. A flipped image has
        a negative scale_x.
    """
    if settings.placement == "crop":
        return crop(units, image_shape=image_shape, canvas_shape=canvas_shape, settings=settings, resize=resize)

    image_height, image_width = image_shape
    height, width = canvas_shape
    jitter = settings.jitter
    aspect = width / height if resize == "stretch" else image_width / image_height
    aspect = aspect * _between(units[0], 1 - jitter, 1 + jitter)
    aspect = aspect / _between(units[1], 1 - jitter, 1 + jitter)

    # The largest size of this aspect ratio that fits the canvas, zoomed; then its place in the region.
    fits_height = aspect < width / height
    size = tf.where(fits_height, tf.stack([height * aspect, height]), tf.stack([width, width / aspect]))
    size *= _between(units[2], *zoom)
    left = region[0] + units[3] * (region[2] - size[0])
    top = region[1] + units[4] * (region[3] - size[1])

    scale = size / tf.stack([image_width, image_height])
    mirrored = units[5] < settings.flip
    return tf.stack([tf.where(mirrored, -scale[0], scale[0]), scale[1], tf.where(mirrored, left + size[0], left), top])


def crop(units, *, image_shape, canvas_shape, settings: Augmentation, resize: str):
    """Draw which part of an image fills the canvas, as AlexeyAB's Darknet does (src/data.c, load_data_detection).

    Each edge of the visible part moves in or out by up to `jitter` of the image's side; "letterbox" then widens the
    part to the aspect ratio of the canvas. Arguments and result are those of `place`.
    """
    image_height, image_width = image_shape
    height, width = canvas_shape
    moves = _between(tf.stack([units[0], units[1], units[3], units[4]]), -settings.jitter, settings.jitter)
    edges = moves * tf.stack([image_width, image_width, image_height, image_height])
    left, top = edges[0], edges[2]
    seen_width, seen_height = image_width - edges[0] - edges[1], image_height - edges[2] - edges[3]

    if resize == "letterbox":
        fitted_width = tf.maximum(seen_width, seen_height * width / height)
        fitted_height = tf.maximum(seen_height, seen_width * height / width)
        left, top = left - (fitted_width - seen_width) / 2, top - (fitted_height - seen_height) / 2
        seen_width, seen_height = fitted_width, fitted_height

    scale_x, scale_y = width / seen_width, height / seen_height
    mirrored = units[5] < settings.flip
    moved = -left * scale_x
    moved = tf.where(mirrored, moved + image_width * scale_x, moved)
    return tf.stack([tf.where(mirrored, -scale_x, scale_x), scale_y, moved, -top * scale_y])


def to_pixels(transform, image_shape, region):
    """Round a placement to whole pixels, so that a plain resize makes each part.

    Args:
        transform: float [4] from `place`.
        image_shape: (height, width) of the image in pixels, floats.
        region: (left, top, width, height) of the canvas in which the image is visible.

    Returns:
        (seen, shown, transform): int32 [4] (top, left, bottom, right) of the visible part in the image, flipped if it
        is; int32 [4], the same on the canvas; the transform that maps one to the other, less than a pixel from what was
        asked for.
    """
    left, top, width, height = region
    mirrored = transform[0] < 0
    scale_x = tf.abs(transform[0])
    start_x = tf.where(mirrored, transform[2] - scale_x * image_shape[1], transform[2])

    seen_x, shown_x, scale_x, start_x = _whole_pixels(
        start_x, scale_x, length=image_shape[1], low=left, high=left + width
    )
    seen_y, shown_y, scale_y, start_y = _whole_pixels(
        transform[3], transform[1], length=image_shape[0], low=top, high=top + height
    )

    left_end = tf.where(mirrored, start_x + scale_x * image_shape[1], start_x)
    realised = tf.stack([tf.where(mirrored, -scale_x, scale_x), scale_y, left_end, start_y])
    seen, shown = (tf.stack([y[0], x[0], y[1], x[1]]) for y, x in ((seen_y, seen_x), (shown_y, shown_x)))
    return tf.cast(seen, tf.int32), tf.cast(shown, tf.int32), realised


def _whole_pixels(start, scale, *, length, low, high):
    """Return (seen, shown, scale, start) along one axis: whole ends in the image and on the canvas, and their map.

    The image has `length` pixels, of which those that fall into low..high of the canvas are visible.
    """
    first = tf.round(tf.clip_by_value(start, low, high - 1))
    last = tf.round(tf.clip_by_value(start + scale * length, first + 1, high))
    seen_first = tf.clip_by_value(tf.round((first - start) / scale), 0.0, length - 1)
    seen_last = tf.clip_by_value(tf.round((last - start) / scale), seen_first + 1, length)
    scale = (last - first) / (seen_last - seen_first)
    return (seen_first, seen_last), (first, last), scale, first - seen_first * scale


def sample(image, *, seen, shown, mirrored, region):
    """Return the pixels of a region, uint8 [h, w, 3]: the visible part of an image, and grey around it.

    Args:
        image: uint8 [h, w, 3].
        seen: int32 [4] from `to_pixels`, the part of the image.
        shown: int32 [4] from `to_pixels`, where it lies on the canvas.
        mirrored: Whether the image is flipped.
        region: (left, top, width, height) of the canvas.

    Resizing is bilinear with half-pixel centres.
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
    margins = tf.stack([before, size - before - (shown[2:] - shown[:2])], 1)  # [2, 2]: before and after, y and x
    return tf.pad(part, tf.concat([margins, [[0, 0]]], 0), constant_values=tf.constant(GREY, tf.uint8))


def move_boxes(boxes_xyxy, transform, region):
    """Move boxes from image to canvas pixels and clip them to the region.

    Args:
        boxes_xyxy: float32 [N, 4] in pixels of the image.
        transform: float32 [4] from `to_pixels`.
        region: (left, top, width, height) of the canvas.

    Returns:
        (boxes_xyxy, keep): float32 [N, 4] in pixels of the canvas; bool [N], whether enough of a box is visible to
        learn from.
    """
    scale, offset = tf.stack([transform[0], transform[1]] * 2), tf.stack([transform[2], transform[3]] * 2)
    moved = boxes_xyxy * scale + offset
    x_min, x_max = tf.minimum(moved[:, 0], moved[:, 2]), tf.maximum(moved[:, 0], moved[:, 2])
    moved = tf.stack([x_min, moved[:, 1], x_max, moved[:, 3]], 1)  # [N, 4]

    left, top, width, height = region
    low, high = tf.stack([left, top] * 2), tf.stack([left + width, top + height] * 2)
    clipped = tf.clip_by_value(moved, low, high)
    sides, full = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
    visible = tf.reduce_prod(sides, 1) >= MIN_VISIBLE * tf.reduce_prod(full, 1)
    return clipped, visible & tf.reduce_all(sides >= MIN_SIDE, 1)


def draw_colours(units, settings: Augmentation):
    """Draw the colour shifts of one image.

    Args:
        units: float [5], random numbers in 0..1.
        settings: `hue`, `saturation` and `exposure` count.

    Returns:
        float32 [3]: shift of the hue in turns, either way; factors of saturation and exposure.
    """

    def factor(unit, inverse, largest):
        value = _between(unit, 1.0, largest)
        return tf.where(inverse < 0.5, value, 1 / value)

    return tf.stack(
        [
            _between(units[2], -settings.hue, settings.hue),
            factor(units[0], units[1], settings.saturation),
            factor(units[3], units[4], settings.exposure),
        ]
    )


@functools.partial(tf.function, jit_compile=True, autograph=False)
def distort_colours(images, shifts):
    """Shift the colours of a batch in HSV; saturation and the result are clipped to 1.

    One pass over the pixels, compiled by XLA. With v the largest channel, c its difference to the smallest, both after
    the shifts, and h the hue in sixths of a turn, the channels are v - c clip(min(k, 4 - k), 0, 1) for
    k = (5 + h, 3 + h, 1 + h) mod 6 (https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative).

    Args:
        images: [B, H, W, 3], 0..255.
        shifts: float32 [B, 3], a row of `draw_colours` for each image.

    Returns:
        float32 [B, H, W, 3], 0..1.
    """
    turn, saturation, exposure = (shifts[:, None, None, index] for index in range(3))
    red, green, blue = tf.unstack(tf.cast(images, tf.float32) * (1 / 255), axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)

    inverse = 1 / tf.where(chroma > 0, chroma, 1.0)
    hue = tf.where(value == green, 2 + (blue - red) * inverse, 4 + (red - green) * inverse)
    hue = tf.where(value == red, (green - blue) * inverse, hue) + 6 * turn
    chroma = tf.minimum(chroma * saturation, value)

    k = hue[..., None] + tf.constant([5.0, 3.0, 1.0])  # [B, H, W, 3]
    k -= 6 * tf.floor(k / 6)
    share = tf.clip_by_value(tf.minimum(k, 4 - k), 0.0, 1.0)
    return tf.clip_by_value((value[..., None] - chroma[..., None] * share) * exposure[..., None], 0.0, 1.0)
