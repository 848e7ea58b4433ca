"""Ground truth as Keras' layers write it, and as the rows of targets."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.detectors.cases import BOXES, LABELS, SIZE
from yolo3.detectors.ground_truth import check_labels, from_corners, to_rows
from yolo3.ops.box_formats import FORMATS, check_format

HEIGHT, WIDTH = SIZE


def rows_of(boxes, labels, bounding_box_format="xyxy"):
    return ops.convert_to_numpy(to_rows({"boxes": boxes, "labels": labels}, bounding_box_format, SIZE))


def test_rows_are_relative_centres_and_sizes_with_the_class():
    # (8, 4) to (40, 44): centre (24, 24), size (32, 40), of 96 x 64 pixels.
    first = rows_of(BOXES, LABELS)[0, 0]
    assert first == pytest.approx([24 / 96, 24 / 64, 32 / 96, 40 / 64, 0])
    assert rows_of(BOXES, LABELS)[..., 4].tolist() == [[0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_keras_says_the_same(name):
    converted = keras.utils.bounding_boxes.convert_format(BOXES, "xyxy", name, height=HEIGHT, width=WIDTH)
    converted = ops.convert_to_numpy(converted)
    np.testing.assert_allclose(rows_of(converted, LABELS, name), rows_of(BOXES, LABELS), atol=1e-6)
    back = ops.convert_to_numpy(from_corners(ops.convert_to_tensor(BOXES), name, SIZE))
    np.testing.assert_allclose(back, converted, atol=1e-5)


def test_padding_is_a_negative_label_or_a_box_without_area():
    boxes = np.array([[[8, 4, 40, 44], [50, 20, 90, 60], [5, 5, 5, 20], [20, 9, 10, 30]]], np.float32)
    rows = rows_of(boxes, np.array([[1, -1, 2, 0]]))
    assert rows[0, 0].any() and not rows[0, 1:].any()


def test_boxes_are_clipped_to_the_image():
    rows = rows_of(np.array([[[-20, -10, 48, 32], [100, 10, 120, 20]]], np.float32), np.array([[0, 1]]))
    assert rows[0, 0] == pytest.approx([0.25, 0.25, 0.5, 0.5, 0])  # (0, 0) to (48, 32)
    assert not rows[0, 1].any()  # wholly outside


def test_ragged_ground_truth_is_that_of_the_padded_one():
    tf = pytest.importorskip("tensorflow")
    boxes = tf.ragged.constant([BOXES[0, :2].tolist(), BOXES[1, :1].tolist()], ragged_rank=1, dtype=tf.float32)
    labels = tf.ragged.constant([[0, 2], [1]], dtype=tf.int32)
    np.testing.assert_allclose(rows_of(boxes, labels), rows_of(BOXES, LABELS)[:, :2])


@pytest.mark.parametrize(
    "wrong, words",
    [
        (np.zeros((2, 3, 5)), r'expected \{"boxes".*\}, got ndarray'),
        ({"boxes": BOXES}, "got the keys boxes"),
        ({"boxes": BOXES[0], "labels": LABELS[0]}, r"got the shapes \[3, 4\] and \[3\]"),
        ({"boxes": BOXES[..., :3], "labels": LABELS}, r"got the shapes \[2, 3, 3\]"),
    ],
)
def test_other_ground_truth_is_refused_in_one_line(wrong, words):
    with pytest.raises(ValueError, match=f"^y: .*{words}"):
        to_rows(wrong, "xyxy", SIZE)


def test_a_format_that_keras_does_not_know_is_refused():
    assert check_format("XYWH") == "xywh"
    with pytest.raises(ValueError, match="bounding_box_format: expected one of xyxy, .*got 'coco'"):
        check_format("coco")


def test_labels_beyond_the_classes_are_refused_with_their_image():
    check_labels(LABELS, 3)
    with pytest.raises(ValueError, match=r"^labels: expected 0 to 1, or -1 for padding, got 2 in image 0"):
        check_labels(LABELS, 2)
