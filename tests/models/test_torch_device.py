"""Under PyTorch a tensor on a GPU does not become a NumPy array by itself, so nothing may depend on that."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Without a GPU, the conversion is made to fail unless Keras itself asks for it.
CODE = """
import sys
import keras
import numpy as np
import torch
from keras import ops
from yolo3.models.registry import named_architecture
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.ops.nms import non_max_suppression

convert = torch.Tensor.__array__

def convert_for_keras_alone(tensor, *arguments, **options):
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "convert_to_numpy":
        frame = frame.f_back
    if frame is None:
        raise TypeError("a tensor was to become a NumPy array by itself")
    return convert(tensor, *arguments, **options)

torch.Tensor.__array__ = convert_for_keras_alone
options = {
    "yolov3-tiny": {"anchors": DEFAULT_TINY_ANCHORS},
    "yolov1-tiny": {},
    "retinanet": {"options": {"width": 32, "depth": 1}},
    "rpn": {},
}
architecture = named_architecture(NAME, 3, **options[NAME])
shape = (448, 448) if architecture.fixed_size else (64, 64)
images = np.random.default_rng(0).random((2, *shape, 3), np.float32)
boxes = np.zeros((2, 32, 5), np.float32)
boxes[:, :2] = [[0.4, 0.4, 0.3, 0.3, 0], [0.6, 0.6, 0.2, 0.4, 0]]

outputs = keras.tree.flatten(architecture.build_network((*shape, 3))(ops.convert_to_tensor(images)))
targets = architecture.build_targets(ops.convert_to_tensor(boxes), shape)
terms = architecture.loss_terms(outputs, targets, shape)
assert all(np.isfinite(float(term.detach())) for term in terms.values()), terms
found = non_max_suppression(*architecture.decode(outputs, shape), 0.01, 0.5, 20)
assert tuple(found[0].shape) == (2, 20, 4)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov1-tiny", "retinanet", "rpn"])
def test_targets_loss_and_decoding_keep_tensors_on_their_device(name):
    environment = os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    code = CODE.replace("NAME", repr(name))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
