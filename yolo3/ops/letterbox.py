"""Read an image; bring it to the network's size and boxes there and back, all with the same rounding."""

import cv2
import numpy as np

GREY = 128  # keras-yolo3's letterbox fill; Darknet's is .5 of 255, which no byte can hold
RESIZE_MODES = ("letterbox", "stretch")


def letterbox_geometry(image_shape, input_shape) -> tuple[int, int, int, int]:
    """Return (new_height, new_width, top, left): where a letterboxed image lies in the network input.

    Shapes are (height, width) in pixels. Whole numbers, rounded down as Darknet's ``letterbox_image`` does, at least
    one pixel. This is the only place where the rounding is decided.
    """
    (image_height, image_width), (height, width) = map(tuple, (image_shape, input_shape))
    if width * image_height < height * image_width:
        new_height, new_width = max(image_height * width // image_width, 1), width
    else:
        new_height, new_width = height, max(image_width * height // image_height, 1)
    return new_height, new_width, (height - new_height) // 2, (width - new_width) // 2


def resize_geometry(image_shape, input_shape, resize: str = "letterbox") -> tuple[int, int, int, int]:
    """Return :func:`letterbox_geometry`, or the whole input for ``resize="stretch"``."""
    if resize == "letterbox":
        return letterbox_geometry(image_shape, input_shape)
    if resize == "stretch":
        return int(input_shape[0]), int(input_shape[1]), 0, 0
    raise ValueError(f"resize: expected one of {', '.join(RESIZE_MODES)}, got {resize!r}")


def resize_image(image: np.ndarray, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Return uint8 [h, w, 3]: the image in ``input_shape`` (height, width), letterboxed on grey or stretched."""
    new_height, new_width, top, left = resize_geometry(image.shape[:2], input_shape, resize)
    resized = _sample(reduce_image(image, least_side(input_shape)), new_height, new_width)
    if resized.shape[:2] == tuple(input_shape):
        return resized
    canvas = np.full((*input_shape, 3), GREY, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resized
    return canvas


def least_side(input_shape) -> int:
    """Return the pixels that the smaller side of a reduced image keeps: 1.5 of the input's larger side."""
    return int(1.5 * max(input_shape))


def reduced_shape(image_shape, least_side: int) -> tuple[int, int]:
    """Return (height, width) of an image at 1, 1/2, 1/4 or 1/8, the least whose smaller side keeps ``least_side``."""
    height, width = image_shape[:2]
    factor = max(factor for factor in (1, 2, 4, 8) if factor == 1 or min(height, width) // factor >= least_side)
    return -(-height // factor), -(-width // factor)


def reduce_image(image: np.ndarray, least_side: int) -> np.ndarray:
    """Return a large image in its :func:`reduced_shape`, by averaging.

    So images of ordinary size are resized as Darknet does, straight from their pixels, and large ones do not alias.
    """
    height, width = reduced_shape(image.shape, least_side)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _sample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize as Darknet's ``resize_image`` does: bilinear, corners on corners, no averaging (src/image.c)."""
    if image.shape[:2] == (height, width):
        return image
    steps = [(old - 1) / max(new - 1, 1) for old, new in ((image.shape[1], width), (image.shape[0], height))]
    matrix = np.array([[steps[0], 0, 0], [0, steps[1], 0]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _box_transform(image_shape, input_shape, resize):
    new_height, new_width, top, left = resize_geometry(image_shape, input_shape, resize)
    scale = np.array([new_width / image_shape[1], new_height / image_shape[0]] * 2, np.float64)
    return scale, np.array([left, top] * 2, np.float64)


def boxes_to_network(boxes_xyxy, image_shape, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Map corner boxes [N, 4] from pixels of the image to pixels of the network input, float32.

    Inverse: :func:`boxes_to_image`, to within .01 pixel.
    """
    scale, offset = _box_transform(image_shape, input_shape, resize)
    return (np.asarray(boxes_xyxy, np.float64).reshape(-1, 4) * scale + offset).astype(np.float32)


def boxes_to_image(boxes_xyxy, image_shape, input_shape, resize: str = "letterbox") -> np.ndarray:
    """Map corner boxes [N, 4] from pixels of the network input to pixels of the image, float32; not clipped."""
    scale, offset = _box_transform(image_shape, input_shape, resize)
    return ((np.asarray(boxes_xyxy, np.float64).reshape(-1, 4) - offset) / scale).astype(np.float32)
