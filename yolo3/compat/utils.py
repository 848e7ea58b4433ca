"""The functions that code written for keras-yolo3 imports from ``yolo3.utils``.

They serve old scripts and notebooks; training here uses :mod:`yolo3.input.augmentation` and :mod:`yolo3.ops.letterbox`
instead. Randomness comes from NumPy's global state, so that ``numpy.random.seed`` repeats a run as it did there.
"""

import functools
import logging

import cv2
import numpy as np

from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import pil_pixels, read_image
from yolo3.ops import boxes as geometry
from yolo3.ops.letterbox import GREY, boxes_to_network, letterbox_geometry, resize_image

logger = logging.getLogger(__name__)

LEAST_ROWS = 20  # keras-yolo3 returned this many rows of boxes, and no more
MIN_SIDE = 0.001  # of the network input; Darknet's src/data.c drops thinner boxes


def compose(*funcs):
    """Return the function that applies ``funcs`` from left to right.

    Example:
        ``compose(f, g)(x) == g(f(x))``

    Raises:
        ValueError: Without functions.
    """
    if not funcs:
        raise ValueError("compose: expected at least one function, got none")
    return functools.reduce(lambda first, then: lambda *args, **kwargs: then(first(*args, **kwargs)), funcs)


def rand(a=0, b=1):
    """Return a uniform float in [a, b) from NumPy's global state."""
    return a + (b - a) * np.random.rand()


def letterbox_image(image, size):
    """Return an image resized with its aspect ratio kept, centred on grey.

    Args:
        image: A PIL image.
        size: (width, height) in pixels.

    Returns:
        A PIL image, RGB, of that size; what the image does not cover is grey 128.

    Raises:
        TypeError: For anything but a PIL image.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise TypeError(f"letterbox_image: expected a PIL image, got {type(image).__name__}; use PIL.Image.open")
    width, height = size
    new_height, new_width, top, left = letterbox_geometry((image.height, image.width), (height, width))
    canvas = Image.new("RGB", (width, height), (GREY, GREY, GREY))
    colours = Image.fromarray(pil_pixels(image))
    canvas.paste(colours.resize((new_width, new_height), Image.Resampling.BICUBIC), (left, top))
    return canvas


def get_random_data(
    annotation_line,
    input_shape,
    random=True,
    max_boxes=None,
    jitter=0.3,
    hue=0.1,
    sat=1.5,
    val=1.5,
    proc_img=True,
    scale=(1.0, 1.0),
):
    """Read one annotated image as a training sample, augmented or letterboxed.

    Args:
        annotation_line: ``path x_min,y_min,x_max,y_max,class_id ...`` in pixels of the image.
        input_shape: (height, width) of the network input.
        random: Whether to augment. If not, the image is letterboxed and the arguments from ``jitter`` to ``val`` and
            ``scale`` do nothing.
        max_boxes: Rows of boxes to return; boxes that do not fit are dropped and counted in the log. ``None`` keeps
            every box, in 20 rows or as many as it takes.
        jitter: How far the aspect ratio may depart from the image's own, 0..1.
        hue: Largest shift of the hue, as a share of the circle.
        sat: Largest factor of the saturation, or its inverse.
        val: Largest factor of the value, or its inverse.
        proc_img: Whether to return the letterboxed image; 0 takes its place otherwise.
        scale: Range of the factor of the image's size, relative to the largest that fits.

    Returns:
        (image, boxes): float32 [h, w, 3], RGB, 0..1, and float32 [N, 5] (x_min, y_min, x_max, y_max, class id) in
        pixels of the network input, padded with rows of zeros. Boxes without area in the input are dropped.

    Raises:
        ValueError: For a line that cannot be read.
        OSError: For an image that cannot be read.
    """
    parsed = parse_line(annotation_line)
    if parsed is None:
        raise ValueError("annotation line: expected 'path x_min,y_min,x_max,y_max,class_id ...', got an empty line")
    if parsed.faults:
        raise ValueError(f"annotation line of {parsed.path}: {'; '.join(parsed.faults)}")
    boxes = np.array([(*box.xyxy, box.class_id) for box in parsed.boxes], np.float32).reshape(-1, 5)

    if random:
        image = read_image(parsed.path)
        image, boxes = _place_at_random(image, boxes, input_shape, jitter=jitter, scale=scale)
        image = _distort(image, hue=hue, sat=sat, val=val)
        boxes = np.random.permutation(boxes)
    else:
        image = read_image(parsed.path) if proc_img else 0
        image_shape = image.shape[:2] if proc_img else image_size(parsed.path)
        if proc_img:
            image = resize_image(image, tuple(input_shape)).astype(np.float32) / 255
        boxes = np.concatenate([boxes_to_network(boxes[:, :4], image_shape, input_shape), boxes[:, 4:]], -1)

    # Clip to the input, and drop boxes that are too thin to be learned.
    height, width = input_shape
    corners = geometry.clip(boxes[:, :4], input_shape)
    sides = corners[:, 2:] - corners[:, :2]
    keep = (sides[:, 0] >= MIN_SIDE * width) & (sides[:, 1] >= MIN_SIDE * height)
    boxes = np.concatenate([corners, boxes[:, 4:]], -1)[keep]

    rows = max(len(boxes), LEAST_ROWS) if max_boxes is None else max_boxes
    if len(boxes) > rows:
        dropped = len(boxes) - rows
        logger.warning("%s: dropped %d of %d boxes because of max_boxes", parsed.path, dropped, len(boxes))
    padded = np.zeros((rows, 5), np.float32)
    padded[: len(boxes)] = boxes[:rows]
    return image, padded


def _place_at_random(image, boxes, input_shape, jitter, scale):
    """Return the image uint8 [h, w, 3], resized and laid on grey at random, and its boxes [N, 5] in its pixels.

    Source: Darknet's src/data.c, ``load_data_detection``, with the comparison of aspect ratios made right for inputs
    that are not square. Sizes above 1 reach over the border.
    """
    height, width = input_shape
    aspect = image.shape[1] / image.shape[0] * rand(1 - jitter, 1 + jitter) / rand(1 - jitter, 1 + jitter)
    factor = rand(*scale)
    if aspect < width / height:
        new_height, new_width = height * factor, height * factor * aspect
    else:
        new_height, new_width = width * factor / aspect, width * factor
    new_height, new_width = max(int(new_height), 1), max(int(new_width), 1)
    top, left = int(rand(0, height - new_height)), int(rand(0, width - new_width))
    flip = rand() < 0.5

    scale_x, scale_y = new_width / image.shape[1], new_height / image.shape[0]
    matrix = np.array([[scale_x, 0, left], [0, scale_y, top]], np.float64)
    matrix[:, 2] += matrix[[0, 1], [0, 1]] / 2 - 0.5  # edges, not pixel centres, keep their place
    canvas = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
    )

    moved = boxes[:, :4] * np.array([scale_x, scale_y] * 2, np.float64) + np.array([left, top] * 2)
    if flip:
        canvas = canvas[:, ::-1]
        moved = np.stack([width - moved[:, 2], moved[:, 1], width - moved[:, 0], moved[:, 3]], -1)
    return canvas, np.concatenate([moved, boxes[:, 4:]], -1).astype(np.float32)


def _distort(image, hue, sat, val):
    """Return float32 RGB 0..1 of a uint8 image with hue, saturation and value shifted at random."""

    def rand_factor(limit):
        factor = rand(1, limit)
        return factor if rand() < 0.5 else 1 / factor

    turn, sat_factor, val_factor = rand(-hue, hue), rand_factor(sat), rand_factor(val)
    hsv = cv2.cvtColor(np.ascontiguousarray(image).astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + turn * 360) % 360
    hsv[..., 1] = np.clip(hsv[..., 1] * sat_factor, 0, 1)
    hsv[..., 2] = np.clip(hsv[..., 2] * val_factor, 0, 1)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1)
