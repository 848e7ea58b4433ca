"""All architectures of detectors, through the one interface."""

from pathlib import Path

import numpy as np
import pytest

from yolo3.darknet.cfg import parse_cfg
from yolo3.models import registry
from yolo3.models.retinanet import RetinaNet
from yolo3.models.rpn.architecture import Rpn
from yolo3.models.yolov1.architecture import YoloV1
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.architecture import YoloV3

ANCHORS = [(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)]
OPEN = (None, None, None)  # batch, height, width
RIGHT = {
    "yolov3": (YoloV3.from_name("yolov3-tiny", 2, anchors=ANCHORS), [(*OPEN, 21), (*OPEN, 21)]),
    "yolov1": (YoloV1(num_classes=2, grid_size=3), [(None, 3, 3, 12)]),
    "yolov1 as Darknet has it": (YoloV1(num_classes=2, grid_size=3, layout="darknet"), [(None, 108)]),
    "retinanet": (RetinaNet(2), [(*OPEN, 18), (*OPEN, 36)] * 5),
    "rpn": (Rpn(strides=(8, 16)), [(*OPEN, 12), (*OPEN, 48)] * 2),
}
NAMES = pytest.mark.parametrize("name", RIGHT)


@NAMES
def test_the_outputs_of_an_architecture_are_accepted(name):
    architecture, shapes = RIGHT[name]
    architecture.check_outputs(shapes)


@NAMES
def test_an_extra_output_is_refused(name):
    architecture, shapes = RIGHT[name]
    with pytest.raises(ValueError, match="outputs"):
        architecture.check_outputs([*shapes, shapes[0]])


@NAMES
def test_an_output_of_another_shape_is_refused(name):
    architecture, shapes = RIGHT[name]
    wrong = (*shapes[-1][:-1], shapes[-1][-1] + 5)
    with pytest.raises(ValueError, match=rf"{wrong[-1]}\b"):
        architecture.check_outputs([*shapes[:-1], wrong])


# From a name, a cfg or metadata


def heads_of(sections):
    return parse_cfg(f"[net]\nwidth=64\nheight=64\n[convolutional]\nfilters=18\nstride=32\n{sections}", "net.cfg")


YOLO = "[yolo]\nmask=0,1,2\nanchors=10,14, 23,27, 37,58\nnum=3\nclasses=1\n"
DETECTION = "[connected]\noutput=24\n[detection]\nclasses=1\ncoords=4\nside=2\nnum=1\n"


def test_a_cfg_is_recognised_by_the_section_of_its_heads():
    assert isinstance(registry.architecture_of_cfg(heads_of(YOLO)), YoloV3)
    assert isinstance(registry.architecture_of_cfg(heads_of(DETECTION)), YoloV1)
    with pytest.raises(ValueError, match=r"net.cfg: expected \[yolo\] or \[detection\] sections, got none"):
        registry.architecture_of_cfg(heads_of(""))


def test_a_saved_file_of_a_cfg_is_recognised_as_its_cfg_is():
    for sections, kind in ((YOLO, YoloV3), (DETECTION, YoloV1)):
        architecture = registry.architecture_of_cfg(heads_of(sections))
        metadata = architecture.metadata() | {"class_names": ["a"]}
        assert isinstance(registry.architecture_from_metadata(metadata), kind)


def test_a_file_of_a_network_that_is_not_registered_here_still_detects():
    metadata = YoloV3.from_name("yolov3-tiny", 1, anchors=ANCHORS).metadata() | {"class_names": ["a"]}
    architecture = registry.architecture_from_metadata(metadata | {"model": "elsewhere", "strides": [16, 8]})
    assert architecture.name == "elsewhere" and [scale.stride for scale in architecture.scales] == [16, 8]


def test_a_file_of_an_architecture_that_is_not_registered_here_is_refused_by_its_name():
    with pytest.raises(ValueError, match="holds a network 'elsewhere', which is not registered"):
        registry.architecture_from_metadata({"model": "elsewhere", "class_names": ["a"]})


def test_the_number_of_anchors_selects_the_network_without_a_name():
    assert registry.named_architecture(None, 1, anchors=ANCHORS).name == "yolov3-tiny"
    assert registry.named_architecture(None, 1, anchors=[(1, 1)] * 9).name == "yolov3"
    assert [registry.default_model_for_anchors(count).name for count in (6, 9)] == ["yolov3-tiny", "yolov3"]
    assert registry.default_model_for_anchors(12) is None


def test_options_are_the_fields_of_the_architecture_with_their_types():
    types = registry.option_types(registry.find_model("yolov1"))
    assert (types["grid_size"], types["dropout"], types["dense_width"]) == (int, float, int)
    assert not {"name", "num_classes", "cfg"} & set(types)
    assert registry.option_types(registry.find_model("rpn"))["scales"] is tuple
    with pytest.raises(ValueError, match="model_options: depth: expected int, got 2.5"):
        registry.named_architecture("retinanet", 1, options={"depth": 2.5})


def test_default_anchors_are_those_of_the_bundled_files():
    folder = Path(__file__).parents[2] / "model_data"
    for entry in registry.MODELS.values():
        assert (entry.anchors_file is None) == (entry.anchors is None)
        if entry.reads_anchors:
            np.testing.assert_array_equal(read_anchors(folder / entry.anchors_file), entry.anchors)
