"""All architectures of detectors, through the one interface."""

import pytest

from yolo3.models.retinanet import RetinaNet
from yolo3.models.rpn.architecture import Rpn
from yolo3.models.yolov1.architecture import YoloV1
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
def test_an_output_too_many_is_refused(name):
    architecture, shapes = RIGHT[name]
    with pytest.raises(ValueError, match="outputs"):
        architecture.check_outputs([*shapes, shapes[0]])


@NAMES
def test_an_output_of_another_shape_is_refused(name):
    architecture, shapes = RIGHT[name]
    wrong = (*shapes[-1][:-1], shapes[-1][-1] + 5)
    with pytest.raises(ValueError, match=rf"{wrong[-1]}\b"):
        architecture.check_outputs([*shapes[:-1], wrong])
