"""The architecture: its metadata, options that are refused, a network that learns."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.yolov1.cases import SCALES, SMALL_CFG, overlap
from yolo3.darknet.cfg import parse_cfg
from yolo3.models.yolov1.architecture import YoloV1
from yolo3.ops.nms import non_max_suppression


@pytest.mark.parametrize(
    "architecture",
    [
        YoloV1(),
        YoloV1("yolov1-tiny", 3, 4, 1, False, 496, 0.2, "darknet", "sigmoid", "root-of-size", False, **SCALES),
    ],
)
def test_metadata_rebuild_the_architecture(architecture):
    metadata = json.loads(json.dumps(architecture.metadata()))
    assert metadata["model"] == architecture.name
    assert YoloV1.from_metadata(metadata) == architecture
    assert YoloV1.from_metadata(metadata | {"class_names": ["name"] * architecture.num_classes}) == architecture


def test_metadata_of_a_cfg_hold_its_text_and_what_differs_from_it():
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=3, activation="sigmoid")
    metadata = json.loads(json.dumps(architecture.metadata()))
    again = YoloV1.from_metadata(metadata)
    assert again.metadata() == metadata
    assert (again.num_classes, again.activation, again.cfg.text) == (3, "sigmoid", architecture.cfg.text)


def test_a_converted_darknet_file_is_read_by_its_cfg_alone():
    architecture = YoloV1.from_metadata({"model": "cfg", "darknet": {"cfg": SMALL_CFG}})
    assert (architecture.num_classes, architecture.layout, architecture.size_form) == (2, "darknet", "root")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yolov1": None}, "expected 'yolov1'"),
        ({"yolov1": {"cells": 3}}, "options of this version, got cells too"),
        ({"class_names": ["one"]}, "names of 20 classes, got 1"),
    ],
)
def test_invalid_metadata_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        YoloV1.from_metadata(YoloV1().metadata() | change)


@pytest.mark.parametrize(
    "option",
    [
        {"name": "yolov2"},
        {"name": "cfg"},
        {"num_classes": 0},
        {"grid_size": 0},
        {"num_boxes": 0},
        {"layout": "flat"},
        {"activation": "softmax"},
        {"size_form": "log"},
        {"dense_width": -1},
        {"dropout": 1.0},
    ],
    ids=str,
)
def test_an_invalid_option_is_refused_by_name(option):
    with pytest.raises(ValueError, match=f"^{next(iter(option))}: expected"):
        YoloV1(**option)


@pytest.mark.slow
def test_a_small_network_learns_to_find_shapes():
    from yolo3.datasets.shapes import render_scene

    keras.utils.set_random_seed(0)
    architecture, shape = YoloV1("yolov1-tiny", 3, 4), (128, 128)
    scenes = [render_scene(np.random.default_rng([7, number]), 128) for number in range(4)]
    images = np.stack([scene.image[..., ::-1] for scene in scenes]).astype(np.float32) / 255
    boxes = np.zeros((4, 8, 5), np.float32)
    for rows, scene in zip(boxes, scenes, strict=True):
        corners = scene.boxes / 128
        count = len(corners)
        rows[:count, :2], rows[:count, 2:4] = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        rows[:count, 4] = scene.class_ids
    targets = architecture.build_targets(boxes, shape)
    learned = int(np.array(targets)[..., 4].sum())  # fewer than the objects where two share a cell
    network = architecture.build_network((*shape, 3))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            terms = architecture.loss_terms(network(images, training=True), targets, shape)
            loss = sum(terms[name] for name in architecture.terms)
        variables = [variable.value for variable in network.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), network.trainable_variables)
        return loss

    first = float(step())
    for _ in range(50):
        last = float(step())
    assert last < 0.05 * first
    found, _, class_ids, num = non_max_suppression(*architecture.decode(network(images), shape), 0.3, 0.45, 50)
    assert sum(map(len, (scene.boxes for scene in scenes))) >= learned >= 10
    hits = 0
    for scene, corners, ids, count in zip(scenes, np.array(found), np.array(class_ids), np.array(num), strict=True):
        for box, class_id in zip(scene.boxes, scene.class_ids, strict=True):
            sides = [((a[0] + a[2]) / 2, (a[1] + a[3]) / 2, a[2] - a[0], a[3] - a[1]) for a in (box, *corners[:count])]
            hits += any(
                own == class_id and overlap(sides[0], side) > 0.5
                for own, side in zip(ids[:count], sides[1:], strict=True)
            )
    assert hits >= learned - 1
