"""The locally connected layer."""

import keras
import numpy as np

from tests.darknet.networks import random_image, run, text_of
from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.network import build_network


def test_a_local_layer_is_saved_and_opened(tmp_path):
    model = build_network(parse_cfg(text_of("[local]\nfilters=2\nsize=3\npad=1\nactivation=leaky\n")))
    model.save(tmp_path / "local.keras")
    again = keras.models.load_model(tmp_path / "local.keras")
    image = random_image((3, 16, 16))
    np.testing.assert_array_equal(run(model, image)[0], run(again, image)[0])
