"""The letterbox and its inverse in TensorFlow, for graphs that take images of any size.

The same geometry as :mod:`yolo3.ops.letterbox`; pixels differ by rounding, as OpenCV interpolates in steps of 1/32.
"""

import tensorflow as tf

from yolo3.models.yolov3.postprocess import letterbox_placement
from yolo3.ops.letterbox import GREY, least_side


def resize_image(image, input_shape: tuple[int, int], resize: str):
    """Return an image at the network's size, letterboxed on grey or stretched.

    Args:
        image: uint8 [H, W, 3].
        input_shape: (height, width) of the network input in pixels.
        resize: "letterbox" or "stretch".

    Returns:
        float32 [height, width, 3], 0..255.
    """
    height, width = input_shape
    shape = tf.shape(image)[:2]
    new_height, new_width, top, left = _placement(shape, input_shape, resize)

    # Large images are halved, up to three times, by averaging, as in `yolo3.ops.letterbox.reduce_image`.
    side, least = tf.reduce_min(shape), least_side(input_shape)
    factor = tf.constant(1)
    for larger in (2, 4, 8):
        factor = tf.where(side // larger >= least, larger, factor)
    pixels = tf.cast(image, tf.float32)[None]
    reduced = tf.image.resize(pixels, -(-shape // factor), method="area")
    pixels = tf.cond(factor > 1, lambda: tf.round(reduced), lambda: pixels)

    resized = tf.compat.v1.image.resize_bilinear(pixels, tf.stack([new_height, new_width]), align_corners=True)[0]
    bottom, right = height - new_height - top, width - new_width - left
    padded = tf.pad(resized, [[top, bottom], [left, right], [0, 0]], constant_values=float(GREY))
    return tf.ensure_shape(padded, (height, width, 3))


def boxes_to_image(boxes_xyxy, image_shape, input_shape: tuple[int, int], resize: str):
    """Map corner boxes [N, 4] from pixels of the network input to those of an image, clipped to it.

    Args:
        boxes_xyxy: float32 [N, 4].
        image_shape: (height, width) of the image in pixels, a tensor.
        input_shape: (height, width) of the network input in pixels.
        resize: "letterbox" or "stretch".
    """
    new_height, new_width, top, left = (
        tf.cast(part, tf.float32) for part in _placement(image_shape, input_shape, resize)
    )
    height, width = tf.unstack(tf.cast(image_shape, tf.float32))
    size, offset = tf.stack([new_width, new_height] * 2), tf.stack([left, top] * 2)
    edges = tf.stack([width, height] * 2)
    return tf.clip_by_value((boxes_xyxy - offset) / size * edges, 0.0, edges)


def _placement(image_shape, input_shape: tuple[int, int], resize: str):
    """Return (new_height, new_width, top, left) of the image within the network input."""
    if resize == "stretch":
        return tf.constant(input_shape[0]), tf.constant(input_shape[1]), tf.constant(0), tf.constant(0)
    return tf.unstack(letterbox_placement(image_shape, input_shape), 4)
