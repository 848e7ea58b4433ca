"""YOLOv3 as an architecture: by name and from a cfg, its outputs in any order, what is saved of it, what is refused."""

import keras
import numpy as np
import pytest

from tests.darknet.networks import YOLO, text_of
from yolo3.darknet.cfg import parse_cfg
from yolo3.models.registry import architecture_from_metadata, architecture_of_cfg
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.head import encode_boxes
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.models.yolov3.losses import TERMS

# Fine output first, as in YOLOv4's cfg: strides 8 and 16, each head with a stretch and a threshold of its own.
FINE_FIRST = """[net]
width=64
height=32
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
stride=8
pad=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=8,8, 16,8, 32,16, 16,32
classes=2
num=4
scale_x_y=1.2
ignore_thresh=.6
[route]
layers=0
[maxpool]
size=2
stride=2
[convolutional]
batch_normalize=1
filters=6
size=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=2,3
anchors=8,8, 16,8, 32,16, 16,32
classes=2
num=4
scale_x_y=1.05
ignore_thresh=.7
"""


BOXES = np.array([[[0.3, 0.4, 0.12, 0.3, 1], [0.7, 0.6, 0.5, 0.45, 0], [0, 0, 0, 0, 0]]], np.float32)


@pytest.fixture(scope="module")
def architecture():
    return YoloV3.from_cfg(parse_cfg(FINE_FIRST, "fine.cfg"))


def test_a_cfg_gives_scales_in_its_own_order(architecture):
    fine, coarse = architecture.scales
    assert (architecture.name, architecture.num_classes, architecture.stride) == ("cfg", 2, 16)
    assert (fine.stride, fine.anchor_mask, fine.scale_x_y, fine.ignore_thresh) == (8, (0, 1), 1.2, 0.6)
    assert (coarse.stride, coarse.anchor_mask, coarse.scale_x_y, coarse.ignore_thresh) == (16, (2, 3), 1.05, 0.7)
    np.testing.assert_array_equal(coarse.anchors, [[32, 16], [16, 32]])
    assert not architecture.fixed_size
    targets, (_, count) = architecture.build_targets(keras.ops.convert_to_tensor(BOXES), (32, 64))
    shapes = [tuple(target.shape) for target in targets]
    assert shapes == [(1, 4, 8, 2, 7), (1, 2, 4, 2, 7)] and int(count[0]) == 2
    # 7.7 x 9.6 pixels are most like 8 x 8, in cell (.3 x 8, .4 x 4) = (2, 1); 32 x 14.4 like 32 x 16, in (2, 1)
    # of the 4 x 2 cells of the other.
    fine, coarse = (np.argwhere(np.array(target)[..., 4] == 1).tolist() for target in targets)
    assert fine == [[0, 1, 2, 0]] and coarse == [[0, 1, 2, 0]]


def raw_of(architecture, boxes, input_shape):
    """Raw outputs that answer the boxes with certainty."""
    targets, _ = architecture.build_targets(keras.ops.convert_to_tensor(boxes), input_shape)
    outputs = []
    for target, scale in zip(targets, architecture.scales, strict=True):
        raw = np.array(
            encode_boxes(target[..., :2], target[..., 2:4], scale.anchors, input_shape, scale_x_y=scale.scale_x_y)
        )
        sure = 40 * np.array(target)[..., 4:] - 20
        raw = np.where(np.array(target)[..., 4:5] > 0, raw, 0)
        outputs.append(keras.ops.convert_to_tensor(np.concatenate([raw, sure], -1).reshape(*raw.shape[:3], -1)))
    return outputs


def test_it_decodes_its_own_targets_and_their_loss_is_the_floor(architecture):
    outputs = raw_of(architecture, BOXES, (32, 64))
    boxes, scores = (np.array(part)[0] for part in architecture.decode(outputs, (32, 64)))
    found = boxes[scores.max(-1) > 0.5]
    # (.3, .4, .12, .3) of 64 x 32: 19.2 -+ 3.84, 12.8 -+ 4.8; (.7, .6, .5, .45): 44.8 -+ 16, 19.2 -+ 7.2
    np.testing.assert_allclose(found, [[15.36, 8, 23.04, 17.6], [28.8, 12, 60.8, 26.4]], atol=1e-3)
    targets = architecture.build_targets(keras.ops.convert_to_tensor(BOXES), (32, 64))
    terms = {name: float(value) for name, value in architecture.loss_terms(outputs, targets, (32, 64)).items()}
    assert set(terms) == {*TERMS, "xy_floor"}
    assert sum(terms[name] for name in TERMS) - terms["xy_floor"] == pytest.approx(0, abs=1e-4)


def test_the_stretch_of_each_scale_is_its_own(architecture):
    outputs = raw_of(architecture, BOXES, (32, 64))
    swapped = YoloV3.from_cfg(parse_cfg(FINE_FIRST.replace("1.2", "x").replace("1.05", "1.2").replace("=x", "=1.05")))
    assert [scale.scale_x_y for scale in swapped.scales] == [1.05, 1.2]
    assert not np.allclose(architecture.decode(outputs, (32, 64))[0], swapped.decode(outputs, (32, 64))[0], atol=1e-2)


def test_heads_are_fitted_to_other_classes_and_the_backbone_is_what_all_heads_read(architecture):
    other = architecture_of_cfg(architecture.cfg, num_classes=5)
    network = other.build_network()
    assert [output.shape[-1] for output in network.outputs] == [2 * 10, 2 * 10]
    assert other.backbone_layers(network) == ["conv_0", "bn_0"]
    other.check_outputs([output.shape for output in network.outputs])
    with pytest.raises(ValueError, match="its outputs have 14 channels, but 5 classes and 2 anchors per scale need 20"):
        other.check_outputs([(None, None, None, 14)] * 2)
    with pytest.raises(ValueError, match="has 3 outputs, but 4 anchors were given for 2"):
        other.check_outputs([(None, None, None, 20)] * 3)


def test_objectness_starts_at_0_01(architecture):
    bias = architecture.build_network().get_layer("conv_1").bias.numpy().reshape(2, 7)
    # ln(1 / .01 - 1) = 4.595
    np.testing.assert_allclose(bias[:, 4], -4.59512, rtol=1e-5)
    assert not bias[:, [0, 1, 2, 3, 5, 6]].any()


def test_anchors_can_be_replaced_by_as_many(architecture):
    anchors = np.arange(8).reshape(4, 2) + 1
    np.testing.assert_array_equal(architecture_of_cfg(architecture.cfg, anchors=anchors).anchors, anchors)
    with pytest.raises(ValueError, match="anchors: expected 4 as fine.cfg has, got 3"):
        architecture_of_cfg(architecture.cfg, anchors=anchors[:3])
    lower = architecture_of_cfg(architecture.cfg, ignore_thresh=0.4)
    assert [scale.ignore_thresh for scale in lower.scales] == [0.4, 0.4]


@pytest.mark.parametrize(
    "made",
    [
        YoloV3.from_name(
            "yolov3-tiny", 2, anchors=DEFAULT_TINY_ANCHORS, anchor_mask=[[3, 4, 5], [1, 2, 3]], ignore_thresh=0.7
        ),
        YoloV3.from_name("yolov3-spp", 2, anchors=DEFAULT_ANCHORS),
        YoloV3.from_cfg(parse_cfg(FINE_FIRST), ignore_thresh=0.3),
    ],
    ids=["tiny", "spp", "cfg"],
)
def test_its_metadata_rebuild_it(made):
    again = architecture_from_metadata({**made.metadata(), "class_names": ["a", "b"]})
    assert again.metadata() == made.metadata()
    assert (again.num_classes, again.stride) == (2, made.stride)


def test_metadata_without_names_or_anchors_is_refused():
    with pytest.raises(ValueError, match="carries no class names"):
        YoloV3.from_metadata({"anchors": [[1, 2]]})
    with pytest.raises(ValueError, match="carries no anchors"):
        YoloV3.from_metadata({"class_names": ["a"]})


def test_heads_with_new_coords_stay_so_in_a_saved_file_and_take_no_focal_loss():
    cfg = parse_cfg(text_of(YOLO.replace("scale_x_y=1.05", "new_coords=1")), "new.cfg")
    architecture = YoloV3.from_cfg(cfg, 2)
    again = YoloV3.from_metadata(architecture.metadata() | {"class_names": ["a", "b"]})
    for each in (architecture, again):
        assert [scale.new_coords for scale in each.scales] == [True, False]
    with pytest.raises(ValueError, match=r"new.cfg:\d+: expected no focal loss with new_coords=1"):
        YoloV3.from_cfg(cfg, 2, loss=LossOptions(focal=("class",)))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("[yolo]", "[dropout]", r"fine.cfg: expected \[yolo\] or \[detection\]"),
    ],
)
def test_heads_that_cannot_be_trained_are_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        architecture_of_cfg(parse_cfg(FINE_FIRST.replace(old, new), "fine.cfg"))
