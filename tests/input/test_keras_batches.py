"""Batches for loops of one's own: `keras.utils.PyDataset` and `tf.data`, and Keras' own layers on them."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import yolo3
from yolo3.datasets.formats.registry import read_dataset
from yolo3.input.keras_batches import KerasBatches
from yolo3.input.tf_batches import tf_batches

SMALL = {"batch_size": 5, "input_size": (64, 96)}


@pytest.fixture(scope="module")
def data(shapes_set):
    return read_dataset(shapes_set, list_name="train")


def check_batch(images, objects, size=5):
    images, boxes, labels = (np.asarray(array) for array in (images, objects["boxes"], objects["labels"]))
    assert images.shape == (size, 64, 96, 3) and images.dtype == np.float32 and 0 <= images.min() < images.max() <= 1
    assert boxes.shape[:2] == labels.shape and boxes.dtype == np.float32 and labels.dtype == np.int32
    assert ((boxes[labels >= 0] > -1).all() and (boxes[labels < 0] == 0).all()) and labels.min() >= -1
    return images, boxes, labels


@pytest.mark.parametrize("kind", [KerasBatches, tf_batches])
def test_an_epoch_has_every_image_and_the_next_is_another(kind, data):
    batches = kind(data, **SMALL)
    assert len(batches) == 3  # 12 images
    first = [check_batch(*batch) for batch in (batches if kind is tf_batches else map(batches.__getitem__, range(3)))]
    if kind is KerasBatches:
        np.testing.assert_array_equal(batches[1][0], first[1][0])  # the same until the epoch ends
        batches.on_epoch_end()
    again = [check_batch(*batch) for batch in (batches if kind is tf_batches else map(batches.__getitem__, range(3)))]
    assert len(first) == len(again) == 3 and not np.array_equal(first[0][0], again[0][0])


def test_both_kinds_show_the_same_unaugmented_images_and_boxes(data):
    mine, graphs = (
        kind(data, augmentation=None, bounding_box_format="xywh", **SMALL) for kind in (KerasBatches, tf_batches)
    )
    for index, (images, objects) in enumerate(graphs):
        size = min(5, 12 - 5 * index)
        images, boxes, labels = check_batch(images, objects, size)
        own_images, own_boxes, own_labels = check_batch(*mine[index], size)
        number = own_labels.shape[1]
        np.testing.assert_allclose(own_images, images, atol=1e-6)
        np.testing.assert_allclose(own_boxes, boxes[:, :number], atol=1e-4)
        np.testing.assert_array_equal(own_labels, labels[:, :number])
        assert (labels[:, number:] == -1).all()


def test_boxes_are_in_the_named_format_and_a_wrong_name_is_refused(data):
    corners, relative = (
        KerasBatches(data, bounding_box_format=name, **SMALL)[0][1]["boxes"] for name in ("xyxy", "rel_yxyx")
    )
    np.testing.assert_allclose(corners[..., [1, 0, 3, 2]] / [64, 96, 64, 96], relative, atol=1e-5)
    for kind in (KerasBatches, tf_batches):
        with pytest.raises(ValueError, match="bounding_box_format: expected one of xyxy, .*, got 'coco'"):
            kind(data, bounding_box_format="coco", **SMALL)


def test_invalid_annotations_stop_or_are_left_out(tmp_path, data):
    good = data.annotations[0]
    row = " ".join(f"{int(a)},{int(b)},{int(c)},{int(d)},0" for a, b, c, d in good.boxes)
    (tmp_path / "train.txt").write_text(f"{good.image_path} {row}\nmissing.png 1,1,9,9,0\n")
    with pytest.raises(ValueError, match="1 invalid annotation, the first: .*train.txt:2: .*skip_bad=True leaves them"):
        KerasBatches(tmp_path / "train.txt", **SMALL)
    assert len(KerasBatches(tmp_path / "train.txt", skip_bad=True, **SMALL).annotations) == 1


def test_room_for_objects_can_be_fixed_so_that_shapes_never_change(data):
    images, objects = KerasBatches(data, max_boxes=40, **SMALL)[0]
    assert objects["boxes"].shape == (5, 40, 4)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.RandomFlip("horizontal", bounding_box_format="xyxy", seed=1),
        lambda: keras.layers.RandomZoom((-0.2, 0.2), bounding_box_format="xyxy", seed=1),
        lambda: keras.layers.RandomTranslation(0.1, 0.1, bounding_box_format="xyxy", seed=1),
        lambda: keras.layers.RandomBrightness(0.2, (0, 1), bounding_box_format="xyxy", seed=1),
    ],
    ids=["RandomFlip", "RandomZoom", "RandomTranslation", "RandomBrightness"],
)
@pytest.mark.parametrize("kind", [KerasBatches, tf_batches])
def test_keras_own_layers_take_the_batches(kind, layer, data):
    batches = kind(data, bounding_box_format="xyxy", **SMALL)
    images, objects = batches[0] if kind is KerasBatches else next(iter(batches))
    made = layer()({"images": images, "bounding_boxes": objects}, training=True)
    boxes, labels = (np.asarray(made["bounding_boxes"][name]) for name in ("boxes", "labels"))
    assert np.asarray(made["images"]).shape == (5, 64, 96, 3) and boxes.shape[:2] == labels.shape
    assert (labels >= 0).any() and np.isfinite(boxes).all()


def test_mixup_of_keras_mixes_images_and_joins_their_objects(data):
    images, objects = KerasBatches(data, **SMALL)[0]
    made = keras.layers.MixUp(bounding_box_format="xyxy", seed=1)({"images": images, "bounding_boxes": dict(objects)})
    boxes, labels = (np.asarray(made["bounding_boxes"][name]) for name in ("boxes", "labels"))
    if len(labels) == 2 * len(images):  # Keras 3.15 joins boxes along objects, but labels along images
        labels = np.concatenate(np.split(labels, 2), 1)
    assert np.asarray(made["images"]).shape == images.shape
    assert boxes.shape[:2] == labels.shape == (5, 2 * objects["labels"].shape[1])
    assert (labels >= 0).sum() >= (objects["labels"] >= 0).sum()


def test_a_flip_of_keras_mirrors_the_boxes_with_the_image(data):
    images, objects = KerasBatches(data, augmentation=None, **SMALL)[0]
    before = objects["boxes"]  # the layer puts its own into the dict
    flip = keras.layers.RandomFlip("horizontal", bounding_box_format="xyxy", seed=3)
    made = flip({"images": images, "bounding_boxes": objects}, training=True)
    flipped = np.array([not np.array_equal(a, b) for a, b in zip(np.asarray(made["images"]), images)])
    assert flipped.any()
    real = objects["labels"] >= 0
    after = np.asarray(made["bounding_boxes"]["boxes"])
    rows = real & flipped[:, None]
    np.testing.assert_allclose(after[rows][:, 0], 96 - before[rows][:, 2], atol=1e-3)


def test_batches_of_keras_come_without_tensorflow(shapes_set):
    program = (
        "import sys, yolo3\n"
        f"batches = yolo3.KerasBatches({shapes_set!r}, batch_size=2, input_size=(64, 64))\n"
        "images, objects = batches[0]\n"
        "assert images.shape == (2, 64, 64, 3)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    pytest.importorskip("jax", reason="needs JAX")
    root = str(Path(yolo3.__file__).parents[1])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KerasBatches, tf_batches])
def test_the_detector_fits_on_them(kind, data):
    detector = yolo3.YoloV3Detector.from_preset("yolov3-tiny", num_classes=3)
    detector.compile()
    batches = kind(data, batch_size=6, input_size=(64, 64), bounding_box_format=detector.bounding_box_format)
    history = detector.fit(batches, epochs=2, verbose=0, shuffle=False).history  # else Keras warns of tf.data
    assert len(history["loss"]) == 2 and np.isfinite(history["loss"]).all()
