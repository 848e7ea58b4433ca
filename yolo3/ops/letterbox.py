"""Resize images to the network's size, and map boxes there and back, all with the same rounding."""

import cv2
import numpy as np

from yolo3.ops.resize_modes import RESIZE_MODES

GREY = 128  # keras-yolo3's letterbox fill; Darknet's is .5 of 255, which no byte can hold


def letterbox_geometry(image_shape, input_shape) -> tuple[int, int, int, int]:
    """Return where a letterboxed image lies in the network input; the only place that decides the rounding.

    Args:
        image_shape: (height, width) of the image in pixels.
        input_shape: (height, width) of the network input in pixels.

    Returns:
        (new_height, new_width, top, left) in pixels of the network input, rounded down as in Darknet's
        ``letterbox_image`` (src/image.c), sides at least 1.
    """
    (image_height, image_width), (height, width) = map(tuple, (image_shape, input_shape))
    if width * image_height < height * image_width:
        new_height, new_width = max(image_height * width // image_width, 1), width
    else:
        new_height, new_width = height, max(image_width * height // image_height, 1)
    return new_height, new_width, (height - new_height) // 2, (width - new_width) // 2


def resize_geometry(image_shape, input_shape, resize: str = "letterbox") -> tuple[int, int, int, int]:
    """Return :func:`letterbox_geometry`, or the whole network input for ``resize="stretch"``.

    Raises:
        ValueError: For another ``resize``.
    """
    if resize == "letterbox":
        return letterbox_geometry(image_shape, input_shape)
    if resize == "stretch":
        return int(input_shape[0]), int(input_shape[1]), 0, 0
    raise ValueError(f"resize: expected one of {', '.join(RESIZE_MODES)}, got {resize!r}")


def resize_image(image: np.ndarray, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Return an image at the network's size, letterboxed on grey or stretched.

    Args:
        image: uint8 [H, W, 3].
        input_shape: (height, width) of the network input in pixels.
        resize: One of :data:`yolo3.ops.resize_modes.RESIZE_MODES`.

    Returns:
        uint8 [height, width, 3].
    """
    new_height, new_width, top, left = resize_geometry(image.shape[:2], input_shape, resize)
    resized = _sample(reduce_image(image, least_side(input_shape)), new_height, new_width)
    if resized.shape[:2] == tuple(input_shape):
        return resized
    canvas = np.full((*input_shape, 3), GREY, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resized
    return canvas


def least_side(input_shape) -> int:
    """Return how many pixels the shorter side of a reduced image keeps: 1.5 times the longer side of the input."""
    return int(1.5 * max(input_shape))


def reduced_shape(image_shape, least_side: int) -> tuple[int, int]:
    """Return (height, width) of an image at 1, 1/2, 1/4 or 1/8: the smallest with a shorter side of ``least_side``.

    ``least_side`` is in pixels; an image that is smaller keeps its shape.
    """
    factor = reduction(image_shape, least_side)
    return -(-image_shape[0] // factor), -(-image_shape[1] // factor)


def reduction(image_shape, least_side: int) -> int:
    """Return the largest of 1, 2, 4, 8 by which the shorter side can be divided and keep ``least_side`` pixels."""
    shorter = min(image_shape[:2])
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or shorter // factor >= least_side)


def reduce_image(image: np.ndarray, least_side: int) -> np.ndarray:
    """Return an image [H, W, 3] at its :func:`reduced_shape`, by averaging.

    So images of ordinary size are resized as in Darknet, straight from their pixels, and large ones do not alias.
    """
    height, width = reduced_shape(image.shape, least_side)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _sample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize as in Darknet's ``resize_image`` (src/image.c): bilinear, corners on corners, no averaging."""
    if image.shape[:2] == (height, width):
        return image
    steps = [(old - 1) / max(new - 1, 1) for old, new in ((image.shape[1], width), (image.shape[0], height))]
    matrix = np.array([[steps[0], 0, 0], [0, steps[1], 0]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def boxes_to_network(boxes_xyxy, image_shape, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Map corner boxes from pixels of the image to pixels of the network input.

    Inverse: :func:`boxes_to_image`, to within .01 pixel.

    Args:
        boxes_xyxy: [N, 4].
        image_shape: (height, width) of the image in pixels.
        input_shape: (height, width) of the network input in pixels.
        resize: One of :data:`yolo3.ops.resize_modes.RESIZE_MODES`.

    Returns:
        float32 [N, 4].
    """
    scale, offset = _box_transform(image_shape, input_shape, resize)
    return (np.asarray(boxes_xyxy, np.float64).reshape(-1, 4) * scale + offset).astype(np.float32)


def boxes_to_network_each(boxes_xyxy, image_shapes, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Map boxes of many images as :func:`boxes_to_network` maps those of one.

    Args:
        boxes_xyxy: [N, 4].
        image_shapes: int [N, 2], (height, width) of the image of each box in pixels.
        input_shape: (height, width) of the network input in pixels.
        resize: One of :data:`yolo3.ops.resize_modes.RESIZE_MODES`.

    Returns:
        float32 [N, 4].
    """
    shapes = np.asarray(image_shapes, np.int64).reshape(-1, 2)
    codes, rows = np.unique(shapes[:, 0] << 32 | shapes[:, 1], return_inverse=True)  # images share few shapes
    transforms = [_box_transform((code >> 32, code & 0xFFFFFFFF), input_shape, resize) for code in codes.tolist()]
    table = np.array(transforms, np.float64).reshape(-1, 2, 4)[rows]  # [N, 2, 4]
    return (np.asarray(boxes_xyxy, np.float64).reshape(-1, 4) * table[:, 0] + table[:, 1]).astype(np.float32)


def boxes_to_image(boxes_xyxy, image_shape, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Map corner boxes from pixels of the network input to pixels of the image; not clipped.

    Inverse: :func:`boxes_to_network`, which has the same arguments.
    """
    scale, offset = _box_transform(image_shape, input_shape, resize)
    return ((np.asarray(boxes_xyxy, np.float64).reshape(-1, 4) - offset) / scale).astype(np.float32)


def _box_transform(image_shape, input_shape, resize):
    new_height, new_width, top, left = resize_geometry(image_shape, input_shape, resize)
    scale = np.array([new_width / image_shape[1], new_height / image_shape[0]] * 2, np.float64)
    return scale, np.array([left, top] * 2, np.float64)
