"""What the tests of network files share: the metadata of a tiny YOLOv3 of two classes, and an image."""

import numpy as np

ANCHORS = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]
METADATA = {
    "model": "yolov3-tiny",
    "class_names": ["cat", "dög"],
    "anchors": ANCHORS,
    "anchor_mask": [[3, 4, 5], [0, 1, 2]],
    "input_shape": [64, 64],
    "resize": "letterbox",
    "scale_x_y": 1.0,
    "training": {"epochs": 3, "rate": 1e-3},
}
IMAGE = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)


def assert_same_outputs(network, expected):
    for a, b in zip(network.predict(IMAGE, verbose=0), expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
