"""Augmentation without TensorFlow: the same image and boxes as in the graph, of the same random numbers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.input.test_augmentation import OFF
from yolo3.input.augmentation import augment, distort_colours
from yolo3.input.augmentation_numpy import augment_numpy
from yolo3.input.settings import Augmentation

SETTINGS = {
    "as they are by default": Augmentation(),
    "mosaic": Augmentation(mosaic=1.0),
    "no mosaic": Augmentation(mosaic=0.0),
    "cropped": Augmentation(placement="crop", mosaic=0.5),
    "nothing": OFF,
}


def load(index):
    rng = np.random.default_rng(index)
    height, width = rng.integers(40, 120, 2)
    smooth = np.linspace(0, 200, height * width * 3).reshape(height, width, 3) + 10 * index
    corners = np.sort(rng.random((5, 2, 2)), 1).reshape(5, 4)
    boxes = np.concatenate([corners, rng.integers(0, 3, (5, 1))], 1).astype(np.float32)
    return smooth.astype(np.uint8), boxes


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_numpy_and_the_graph_make_the_same_example_of_the_same_numbers(settings, resize):
    for number in range(6):
        seed = tf.constant([number, 7])
        units = tf.random.stateless_uniform([32], seed).numpy()
        image, boxes, colours, _ = augment(
            load, range(4), canvas_shape=(64.0, 96.0), seed=seed, settings=settings, resize=resize
        )
        expected = distort_colours(image[None], colours[None])[0].numpy()
        mine, rows = augment_numpy(load, range(4), units=units, canvas_shape=(64, 96), settings=settings, resize=resize)
        np.testing.assert_allclose(rows, boxes.numpy(), atol=1e-4)
        assert mine.shape == (64, 96, 3) and mine.dtype == np.float32
        # a rounding of a shade before the colours are multiplied by up to 1.5 x 1.5
        assert np.abs(mine - expected).mean() < 3 / 255 and np.quantile(np.abs(mine - expected), 0.99) < 9 / 255


def test_nothing_is_changed_in_what_is_loaded():
    image, boxes = load(1)
    before = image.copy(), boxes.copy()
    flipped = dataclasses.replace(OFF, flip=1.0)
    augment_numpy(
        lambda _: (image, boxes),
        [0] * 4,
        units=np.full(32, 0.5),
        canvas_shape=(32, 32),
        settings=flipped,
        resize="letterbox",
    )
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(boxes, before[1])
