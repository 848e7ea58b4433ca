"""Raw boxes to boxes and back: by hand, and as a round trip."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.models.yolov1.cases import FLAT, SHAPE, TWO, encoded, one_object, random_boxes, terms_of
from yolo3.models.yolov1.codec import SIZE_FORMS, bounded_root, decode_boxes, decode_sizes, encode_boxes, size_errors
from yolo3.ops.nms import non_max_suppression


def test_the_three_size_forms_by_hand():
    # True size .25. A raw .4 means .16 and is compared as .5 - .4; a raw .16 that is the size itself as .25 - .16, or,
    # root against root, as .5 - .4 again.
    raw, true = np.float32([[0.4], [0.16], [0.16]]), np.float32([0.25])
    means = [float(decode_sizes(raw[i], form)[0]) for i, form in enumerate(SIZE_FORMS)]
    errors = [float(size_errors(raw[i], true, form)[0]) for i, form in enumerate(SIZE_FORMS)]
    assert SIZE_FORMS == ("root", "size", "root-of-size")
    assert means == pytest.approx([0.16, 0.16, 0.16])
    assert errors == pytest.approx([0.1, 0.09, 0.1])


def test_the_root_of_small_and_negative_sizes_goes_on_as_a_tangent():
    sizes = tf.constant([0.25, 1e-3 + 1e-7, 1e-3, 0.0, -1.0])
    with tf.GradientTape() as tape:
        tape.watch(sizes)
        roots = bounded_root(sizes)
    # At 1e-3 the root is .0316228, its slope 1 / (2 * .0316228) = 15.8114: half of it at 0, .0158 - 15.8114 at -1.
    np.testing.assert_allclose(roots, [0.5, 0.0316228, 0.0316228, 0.0158114, -15.795578], rtol=1e-4)
    np.testing.assert_allclose(tape.gradient(roots, sizes), [1, 15.8114, 15.8114, 15.8114, 15.8114], rtol=1e-3)


def test_decoding_by_hand():
    feats, _ = one_object()
    boxes, scores = TWO.decode([feats], (100, 200))
    # Second cell, first box: centre ((.75 + 1) / 2, .5 / 2) of 200 x 100 pixels = (175, 25); .25 * 200 x .01 * 100.
    np.testing.assert_allclose(boxes[0, 2], [150, 24.5, 200, 25.5], rtol=1e-5)
    # Second box: centre (.75 * 200, 25) = (150, 25); 50 x 16.
    np.testing.assert_allclose(boxes[0, 3], [125, 17, 175, 33], rtol=1e-5)
    np.testing.assert_allclose(scores[0, 2:4], [[0.5 * 0.75, 0.5 * 0.5], [0.25 * 0.75, 0.25 * 0.5]])
    assert boxes.shape == (1, 8, 4) and scores.shape == (1, 8, 2)


def test_scores_stay_within_0_and_1():
    feats, _ = one_object()
    feats[0, 0, 0, :3] = [-0.5, 3, -0.5]  # classes -.5 and 3, confidence -.5
    feats[0, 0, 0, 7] = 0.5
    scores = np.array(TWO.decode([feats], SHAPE)[1])
    np.testing.assert_array_equal(scores[0, :2], [[0, 0], [0, 1]])


def test_a_negative_size_becomes_a_box_without_area():
    feats, _ = one_object()
    feats[0, 0, 1, 5:7] = -0.25
    boxes = np.array(dataclasses.replace(TWO, size_form="size").decode([feats], (100, 200))[0])
    np.testing.assert_allclose(boxes[0, 2], [175, 25, 175, 25])
    boxes = np.array(TWO.decode([feats], (100, 200))[0])  # a root has no sign: .0625 of either side
    np.testing.assert_allclose(boxes[0, 2], [175 - 6.25, 25 - 3.125, 175 + 6.25, 25 + 3.125])


@pytest.mark.parametrize("size_form", SIZE_FORMS)
def test_decoding_undoes_encoding(size_form):
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1)[None, :, :, None]  # (column, row)
    xy = ((grid + rng.uniform(0, 1, (2, 4, 4, 3, 2))) / 4).astype(np.float32)
    wh = rng.uniform(0.002, 1, xy.shape).astype(np.float32)
    raw = encode_boxes(xy, wh, size_form)
    assert 0 <= np.array(raw)[..., :2].min() and np.array(raw)[..., :2].max() <= 1
    for own, expected in zip(decode_boxes(raw, size_form), (xy, wh), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


def test_outputs_equal_to_the_targets_are_detected():
    architecture = dataclasses.replace(FLAT, layout="cells")
    boxes = random_boxes(1, 4, seed=5)[:, [0, 2]]
    found, scores = architecture.decode([encoded(architecture, boxes)], SHAPE)
    found, scores, class_ids, num = non_max_suppression(found, scores, 0.5, 0.45)
    assert int(num[0]) == 2
    wanted = {int(row[4]): (row[:4] * [192, 128, 192, 128]) for row in boxes[0]}
    for box, class_id in zip(np.array(found)[0, :2], np.array(class_ids)[0, :2], strict=True):
        x, y, w, h = wanted[int(class_id)]
        np.testing.assert_allclose(box, [x - w / 2, y - h / 2, x + w / 2, y + h / 2], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size_form", SIZE_FORMS)
def test_a_one_pixel_box_is_learned_like_any_other(size_form):
    architecture = dataclasses.replace(FLAT, layout="cells", size_form=size_form, num_boxes=1)
    boxes = np.float32([[[0.4, 0.6, 1 / 192, 1 / 128, 2]]])
    feats = encoded(architecture, boxes)
    terms = terms_of(architecture, feats, boxes)
    assert terms == pytest.approx(dict.fromkeys(terms, 0.0), abs=1e-5)
    off = feats.copy()
    off[..., 6] += 1.0  # x
    assert terms_of(architecture, off, boxes)["xy"] == pytest.approx(5 / 2)
