"""The front door: names, arguments and shapes that code written for keras-yolo3 relies on."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from yolo3 import model
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS as ANCHORS

SIGNATURES = {
    "DarknetConv2D": "(*args, **kwargs)",
    "DarknetConv2D_BN_Leaky": "(*args, **kwargs)",
    "resblock_body": "(x, num_filters, num_blocks)",
    "darknet_body": "(x)",
    "make_last_layers": "(x, num_filters, out_filters)",
    "yolo_body": "(inputs, num_anchors, num_classes",
    "tiny_yolo_body": "(inputs, num_anchors, num_classes",
    "spp_yolo_body": "(inputs, num_anchors, num_classes",
    "yolo_head": "(feats, anchors, num_classes, input_shape, calc_loss=False",
    "yolo_correct_boxes": "(box_xy, box_wh, input_shape, image_shape",
    "yolo_boxes_and_scores": "(feats, anchors, num_classes, input_shape, image_shape",
    "yolo_eval": (
        "(yolo_outputs, anchors, num_classes, image_shape, max_boxes=20, score_threshold=0.6, iou_threshold=0.5"
    ),
    "preprocess_true_boxes": "(true_boxes, input_shape, anchors, num_classes",
    "box_iou": "(b1, b2)",
    "yolo_loss": "(args, anchors, num_classes, ignore_thresh=0.5, print_loss=False",
}


def plain_signature(function):
    """Names and defaults without annotations."""
    parameters = inspect.signature(function).parameters.values()
    return str(inspect.Signature([parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]))


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_those_of_keras_yolo3(name):
    # What we add comes after them, and has defaults.
    signature = plain_signature(getattr(model, name))
    assert signature.startswith(SIGNATURES[name])
    added = list(inspect.signature(getattr(model, name)).parameters.values())[SIGNATURES[name].count(",") + 1 :]
    assert all(parameter.default is not inspect.Parameter.empty for parameter in added)


def test_the_front_door_offers_these_names_and_no_others():
    assert sorted(model.__all__) == sorted(SIGNATURES)


def test_results_have_the_shapes_of_keras_yolo3():
    feats = np.random.default_rng(0).normal(size=(1, 2, 3, 3 * 9)).astype(np.float32)
    xy, wh, confidence, class_probs = model.yolo_head(feats, ANCHORS[3:], 4, (64, 96))
    assert [tuple(part.shape[-2:]) for part in (xy, wh, confidence, class_probs)] == [(3, 2), (3, 2), (3, 1), (3, 4)]
    boxes = model.yolo_correct_boxes(xy, wh, (64, 96), (100, 200))
    assert tuple(boxes.shape) == (1, 2, 3, 3, 4)
    boxes, scores = model.yolo_boxes_and_scores(feats, ANCHORS[3:], 4, (64, 96), (100, 200))
    assert (tuple(boxes.shape), tuple(scores.shape)) == ((18, 4), (18, 4))


def test_corrected_boxes_are_rows_first_in_pixels_of_the_image():
    # 200 x 100 (w x h) in 96 x 64: 96 x 48 at (0, 8). Centre (48, 32) of the input is (100, 50) of the image;
    # 24 x 12 there is 50 x 25.
    xy, wh = np.array([[[0.5, 0.5]]], np.float32), np.array([[[0.25, 12 / 64]]], np.float32)
    boxes = ops.convert_to_numpy(model.yolo_correct_boxes(xy, wh, (64, 96), (100, 200)))
    np.testing.assert_allclose(boxes[0, 0], [37.5, 75, 62.5, 125], rtol=1e-5)


def test_an_encoded_ground_truth_box_is_found_by_yolo_eval():
    image_shape, input_shape = (100, 200), (64, 96)
    # 60 x 40 at (80, 60) of the image: times .48, and 8 down.
    true = np.array([[[50 * 0.48, 40 * 0.48 + 8, 110 * 0.48, 80 * 0.48 + 8, 2]]], np.float32)
    outputs = []
    for y in model.preprocess_true_boxes(true, input_shape, ANCHORS, 4):
        raw = np.full((*y.shape[:4], 9), -9.0, np.float32)
        anchors = ANCHORS[3:] if y.shape[1] == 2 else ANCHORS[:3]
        for _, row, column, anchor in np.argwhere(y[..., 4] > 0):
            target = y[0, row, column, anchor]
            offset = target[:2] * [y.shape[2], y.shape[1]] - [column, row]
            size = np.log(target[2:4] * [96, 64] / anchors[anchor])
            raw[0, row, column, anchor] = [*np.log(offset / (1 - offset)), *size, 9, *(target[5:] * 18 - 9)]
        outputs.append(raw.reshape(*y.shape[:3], -1))
    boxes, scores, classes = (
        ops.convert_to_numpy(part) for part in model.yolo_eval(outputs, ANCHORS, 4, np.array(image_shape))
    )
    np.testing.assert_allclose(boxes, [[40, 50, 80, 110]], atol=1e-3)
    assert scores.shape == (1,) and scores[0] > 0.99
    assert classes.tolist() == [2] and classes.dtype == np.int32


def test_box_iou_broadcasts_as_in_the_old_loss():
    predicted, true = np.full((2, 3, 4, 4), 0.5, np.float32), np.full((6, 4), 0.5, np.float32)
    assert model.box_iou(predicted, true).shape == (2, 3, 4, 6)


def test_a_network_of_the_old_builders_is_that_of_the_new_ones():
    # As in old forks: a body of one's own, from the five builders.
    inputs = keras.Input((64, 96, 3))
    x = model.DarknetConv2D_BN_Leaky(8, (3, 3))(inputs)
    x = model.resblock_body(x, 16, 1)
    x = keras.layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
    x = model.DarknetConv2D_BN_Leaky(16, (3, 3), strides=(2, 2))(x)
    features, raw = model.make_last_layers(x, 8, 27)
    net = keras.Model(inputs, [features, raw])
    assert [tuple(output.shape) for output in net.outputs] == [(None, 16, 24, 8), (None, 16, 24, 27)]
