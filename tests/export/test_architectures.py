"""Every architecture is exported, and each file computes what its network does; or it is refused in one line."""

import keras
import numpy as np
import pytest

from tests.export.networks import SUFFIXES, need
from tests.models.cases import PooledBlocks
from tests.models.yolov1.cases import SMALL_CFG
from tests.models.yolov3.test_architecture import FINE_FIRST
from yolo3.darknet.cfg import parse_cfg
from yolo3.export.export import export
from yolo3.export.settings import ExportSettings
from yolo3.inference.detector import Detector
from yolo3.models import retinanet as retinanet_module
from yolo3.models.registry import architecture_of_cfg
from yolo3.models.rpn import architecture as rpn_module


def small_detector(name, monkeypatch):
    """Detector of a small network with random weights."""
    monkeypatch.setattr(retinanet_module, "Blocks", PooledBlocks)
    monkeypatch.setattr(rpn_module, "Blocks", PooledBlocks)
    keras.utils.set_random_seed(1)
    architecture = {
        "yolov1": lambda: architecture_of_cfg(parse_cfg(SMALL_CFG)),
        "cfg": lambda: architecture_of_cfg(parse_cfg(FINE_FIRST)),
        "retinanet": lambda: retinanet_module.RetinaNet(2, depth=1, width=32),
        "rpn": lambda: rpn_module.Rpn(strides=(16,), scales=(1.0, 2.0), width=8),
    }[name]()
    shape = (128, 128)
    network = architecture.build_network((*shape, 3) if architecture.fixed_size else (None, None, 3))
    num_classes = getattr(architecture, "num_classes", None)
    names = {} if num_classes is None else {"class_names": [f"class {number}" for number in range(num_classes)]}
    return Detector(network, architecture.metadata() | names, input_shape=shape, score_threshold=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "litert"])
@pytest.mark.parametrize("name", ["yolov1", "cfg", "retinanet", "rpn"])
def test_files_of_every_architecture_detect_what_their_networks_do(name, file_format, tmp_path, monkeypatch):
    need(file_format)
    detector = small_detector(name, monkeypatch)
    path = tmp_path / f"m{SUFFIXES[file_format]}"
    done = export(detector, path, ExportSettings(format=file_format))
    assert done.comparison.unmatched == 0 and max(done.comparison.outputs.values()) < 0.1

    exported = Detector(path, score_threshold=0.005)
    assert exported.class_names == detector.class_names
    image = np.random.default_rng(0).integers(0, 256, (90, 128, 3), np.uint8)
    expected, found = detector(image), exported(image)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), atol=1e-4)
