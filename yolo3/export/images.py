"""The images that an export is calibrated and verified with: of a data set, else rendered shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.images import read_image
from yolo3.datasets.shapes import render_scene

COMPARED = 8  # images
CALIBRATED = 100  # images; more hardly move the ranges of activations
_RENDERED_SIZE = 480  # pixels


def sample_images(annotations: Sequence[Annotation], count: int) -> list[np.ndarray]:
    """Return images from all over a data set, uint8 [H, W, 3], RGB.

    Args:
        annotations: The data set; rendered shapes where it is empty.
        count: How many at most.
    """
    if not annotations:
        rng = np.random.default_rng(0)
        return [np.ascontiguousarray(render_scene(rng, _RENDERED_SIZE).image[..., ::-1]) for _ in range(count)]
    places = np.linspace(0, len(annotations) - 1, min(count, len(annotations))).round().astype(int)
    return [read_image(annotations[place].image_path) for place in np.unique(places)]
