"""What code written for keras-yolo3 imports from ``yolo3.utils``, under the same names.

Training here uses :mod:`yolo3.input.augmentation` and :mod:`yolo3.ops.letterbox`; these functions stand for old scripts and notebooks.
Randomness comes from NumPy's global state, so that ``numpy.random.seed`` repeats a run as it did there.
"""

import functools
import logging

import cv2
import numpy as np

from yolo3.datasets.formats.keras_yolo3 import parse_line
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import read_image
from yolo3.ops import boxes as geometry
from yolo3.ops.letterbox import GREY, boxes_to_network, letterbox_geometry, resize_image

logger = logging.getLogger(__name__)

LEAST_ROWS = 20  # keras-yolo3 returned this many rows of boxes, and no more
MIN_SIDE = 0.001  # of the network input; Darknet's src/data.c drops thinner boxes


def compose(*funcs):
    """Return the function that applies ``funcs`` from left to right: ``compose(f, g)(x) == g(f(x))``."""
    if not funcs:
        raise ValueError("compose: expected at least one function, got none")
    return functools.reduce(lambda first, then: lambda *args, **kwargs: then(first(*args, **kwargs)), funcs)


def rand(a=0, b=1):
    """Return a uniform float in [a, b) from NumPy's global state."""
    return a + (b - a) * np.random.rand()


def letterbox_image(image, size):
    """Return the PIL ``image`` resized with its aspect kept, centred on grey 128 of ``size`` (width, height)."""
    from PIL import Image

    width, height = size
    new_height, new_width, top, left = letterbox_geometry((image.height, image.width), (height, width))
    canvas = Image.new("RGB", (width, height), (GREY, GREY, GREY))
    canvas.paste(image.convert("RGB").resize((new_width, new_height), Image.Resampling.BICUBIC), (left, top))
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
    """Read one annotated image as a training sample: (image float32 [h, w, 3] in 0..1, boxes float32 [N, 5]).

    ``annotation_line``: ``path x_min,y_min,x_max,y_max,class_id ...`` in pixels of the image. ``input_shape``:
    (height, width). Rows of boxes: x_min, y_min, x_max, y_max, class id in pixels of the network input, then rows of
    zeros. ``random=True`` changes the aspect by up to ``jitter`` around the image's own, multiplies the size by a
    factor from ``scale``, places, flips with probability 1/2 and shifts hue (up to ``hue`` of the circle), saturation
    and value (up to ``sat`` and ``val`` times, or their inverse). ``random=False`` letterboxes; with
    ``proc_img=False`` the image is then 0.

    ``max_boxes=None`` keeps every box, in 20 rows or as many as it takes. A number gives exactly so many rows; boxes
    that do not fit are dropped and counted in the log. Boxes without area in the input are dropped on both paths.
    Raises ``ValueError`` for a line that cannot be read and ``OSError`` for an image that cannot.
    """
    path, boxes = _parse(annotation_line)
    if random:
        image = read_image(path)
        placement = _random_placement(image.shape[:2], input_shape, jitter, scale)
        flip = rand() < 0.5
        pixels = _distort(_place(image, input_shape, placement, flip), hue, sat, val)
        boxes = _move_boxes(np.random.permutation(boxes), image.shape[:2], input_shape, placement, flip)
    else:
        image_shape, pixels = _letterboxed(path, input_shape, proc_img)
        moved = boxes_to_network(boxes[:, :4], image_shape, input_shape)
        boxes = np.concatenate([moved, boxes[:, 4:]], -1)
    return pixels, _pad_rows(_clean(boxes, input_shape), max_boxes, path)


def _parse(annotation_line):
    """Return the image's path and its boxes, float32 [N, 5]."""
    parsed = parse_line(annotation_line)
    if parsed is None:
        raise ValueError("annotation line: expected 'path x_min,y_min,x_max,y_max,class_id ...', got an empty line")
    if parsed.faults:
        raise ValueError(f"annotation line of {parsed.path}: {'; '.join(parsed.faults)}")
    rows = [(*box.xyxy, box.class_id) for box in parsed.boxes]
    return parsed.path, np.array(rows, np.float32).reshape(-1, 5)


def _letterboxed(path, input_shape, proc_img):
    """Return (the image's height and width, its letterboxed pixels or 0)."""
    if not proc_img:
        return image_size(path), 0
    image = read_image(path)
    return image.shape[:2], resize_image(image, tuple(input_shape)).astype(np.float32) / 255


def _random_placement(image_shape, input_shape, jitter, scale):
    """Draw (new_height, new_width, top, left), whole pixels: where the image lies on the input.

    Source: Darknet's src/data.c, ``load_data_detection``, with the comparison of aspects made right for inputs that
    are not square. Sizes above 1 reach over the border.
    """
    height, width = input_shape
    aspect = image_shape[1] / image_shape[0] * rand(1 - jitter, 1 + jitter) / rand(1 - jitter, 1 + jitter)
    factor = rand(*scale)
    if aspect < width / height:
        new_height, new_width = height * factor, height * factor * aspect
    else:
        new_height, new_width = width * factor / aspect, width * factor
    new_height, new_width = max(int(new_height), 1), max(int(new_width), 1)
    return new_height, new_width, int(rand(0, height - new_height)), int(rand(0, width - new_width))


def _place(image, input_shape, placement, flip):
    """Return uint8 [h, w, 3]: the image resized and laid on grey, mirrored if ``flip``."""
    new_height, new_width, top, left = placement
    height, width = input_shape
    matrix = np.array([[new_width / image.shape[1], 0, left], [0, new_height / image.shape[0], top]], np.float64)
    matrix[:, 2] += matrix[[0, 1], [0, 1]] / 2 - 0.5  # edges, not pixel centres, keep their place
    canvas = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
    )
    return canvas[:, ::-1] if flip else canvas


def _distort(image, hue, sat, val):
    """Return float32 RGB 0..1 of a uint8 image with hue, saturation and value shifted at random."""
    turn, sat_factor, val_factor = rand(-hue, hue), _rand_factor(sat), _rand_factor(val)
    hsv = cv2.cvtColor(np.ascontiguousarray(image).astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + turn * 360) % 360
    hsv[..., 1] = np.clip(hsv[..., 1] * sat_factor, 0, 1)
    hsv[..., 2] = np.clip(hsv[..., 2] * val_factor, 0, 1)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1)


def _rand_factor(limit):
    """Draw a factor from [1, limit) or its inverse, each with probability 1/2."""
    factor = rand(1, limit)
    return factor if rand() < 0.5 else 1 / factor


def _move_boxes(boxes, image_shape, input_shape, placement, flip):
    """Return boxes [N, 5] in pixels of the input."""
    new_height, new_width, top, left = placement
    scale = np.array([new_width / image_shape[1], new_height / image_shape[0]] * 2, np.float64)
    moved = boxes[:, :4] * scale + np.array([left, top] * 2)
    if flip:
        moved = np.stack([input_shape[1] - moved[:, 2], moved[:, 1], input_shape[1] - moved[:, 0], moved[:, 3]], -1)
    return np.concatenate([moved, boxes[:, 4:]], -1).astype(np.float32)


def _clean(boxes, input_shape):
    """Clip boxes [N, 5] to the input and leave out those that are too thin to be learned."""
    corners = geometry.clip(boxes[:, :4], input_shape)
    keep = (corners[:, 2] - corners[:, 0] >= MIN_SIDE * input_shape[1]) & (
        corners[:, 3] - corners[:, 1] >= MIN_SIDE * input_shape[0]
    )
    return np.concatenate([corners, boxes[:, 4:]], -1)[keep]


def _pad_rows(boxes, max_boxes, path):
    """Return float32 [max_boxes, 5], or for ``None`` at least :data:`LEAST_ROWS` rows, padded with zeros."""
    rows = max(len(boxes), LEAST_ROWS) if max_boxes is None else max_boxes
    if len(boxes) > rows:
        logger.warning("%s: %d of %d boxes dropped, because max_boxes is %d", path, len(boxes) - rows, len(boxes), rows)
    padded = np.zeros((rows, 5), np.float32)
    padded[: len(boxes)] = boxes[:rows]
    return padded
