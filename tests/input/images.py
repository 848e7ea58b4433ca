"""Images and annotations that the tests of the input share."""

import numpy as np
from PIL import Image

from yolo3.datasets.annotation import Annotation, Box, build_annotation
from yolo3.input.image_cache import open_images

RED, BLUE, GREEN, GREY = (220, 20, 20), (20, 20, 220), (20, 220, 20), (90, 90, 90)

UPRIGHT = np.full((60, 80, 3), BLUE, np.uint8)  # a red rectangle, and green in the corner that says what is up
UPRIGHT[20:50, 40:70] = RED
UPRIGHT[:15, :15] = GREEN
RECTANGLE = (40, 20, 70, 50, 1)


def write_rgb(path):
    Image.fromarray(UPRIGHT).save(path)


def write_rgba(path):
    alpha = np.full((60, 80, 1), 100, np.uint8)
    Image.fromarray(np.concatenate([UPRIGHT, alpha], -1)).save(path)


def write_cmyk(path):
    Image.fromarray(UPRIGHT).convert("CMYK").save(path, quality=95)


def write_rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise to stand upright
    Image.fromarray(np.ascontiguousarray(np.rot90(UPRIGHT))).save(path, quality=95, exif=exif)


def annotated(path, *boxes) -> Annotation:
    return build_annotation(str(path), [Box(tuple(box[:4]), box[4], crowd=len(box) > 5) for box in boxes], "here:1")


def opened(items, cache="none", folder=None, side=64):
    return open_images(items, largest_side=side, cache=cache, folder=folder)
