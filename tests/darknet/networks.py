"""Small cfgs with every kind of layer, random weights and images, and where Darknet's own files are."""

from pathlib import Path

import keras
import numpy as np
import pytest

from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.weights import Header, format_header, layer_arrays

DATA = Path(__file__).parents[3] / "shared" / "data"


NANO = DATA / "darknet" / "weights" / "MobileNetV2-YOLOv3-Nano-coco.cfg"


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


# A residual unit, a depthwise and a grouped convolution, two heads and routes: a YOLOv3 in small.
YOLO = """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=16
size=3
groups=8
pad=1
activation=relu
[convolutional]
filters=8
size=1
groups=2
pad=1
activation=mish
[shortcut]
from=-3
activation=linear
[maxpool]
size=2
stride=2
[convolutional]
filters=14
size=1
pad=1
activation=linear
[yolo]
mask=2,3
anchors=10,13, 16,30, 33,23, 30,61
num=4
classes=2
scale_x_y=1.05
[route]
layers=-3
[convolutional]
batch_normalize=1
filters=4
size=1
activation=swish
[upsample]
stride=2
[route]
layers=-1, 3
[convolutional]
filters=14
size=1
pad=1
activation=linear
[yolo]
mask=0,1
anchors=10,13, 16,30, 33,23, 30,61
num=4
classes=2
"""


HEADER = Header(0, 2, 5, 640)


def text_of(layers, width=16, height=16, channels=3):
    return f"[net]\nwidth={width}\nheight={height}\nchannels={channels}\n{layers}"


SMALL = """\
# a comment
[net]
width=64
height = 32
channels=3

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=14
size=1
activation=linear

[yolo]
mask = 1,2
anchors = 10,13,  16,30.5,  33,23
classes=2
num=3
ignore_thresh=.7
scale_x_y=1.1

[route]
layers=-3, 0
"""


def cfg_of(layers: str, width: int = 32, height: int = 32):
    return parse_cfg(f"[net]\nwidth={width}\nheight={height}\nchannels=3\n{layers}", "some.cfg")


def random_weights(path, cfg, header=HEADER, seed=0):
    """Write random weights with positive variances and outputs of moderate size; return the numbers."""
    rng = np.random.default_rng(seed)
    parts = []
    for layer in layer_arrays(cfg):
        for name, shape in layer.shapes.items():
            values = rng.standard_normal(shape).astype(np.float32)
            if name == "variance":
                values = np.abs(values) + 0.5
            elif name == "kernel":
                values /= np.sqrt(np.prod(shape[2:] if layer.layer.kind == "local" else shape[1:]))
            parts.append(values.ravel())
    floats = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    path.write_bytes(format_header(header) + floats.tobytes())
    return floats


def random_image(shape, seed=1):
    """[C, H, W]; negative numbers too, so that a maximum over zeros outside the image would show."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def run(model, image):
    outputs = model(image.transpose(1, 2, 0)[None], training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [keras.ops.convert_to_numpy(output)[0] for output in outputs]
