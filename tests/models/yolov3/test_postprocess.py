"""From raw outputs to boxes: by hand, Darknet's detections, keras-yolo3's contract, the shared rounding."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK
from yolo3.models.yolov3.postprocess import (
    decode_outputs,
    letterbox_placement,
    select_boxes,
    yolo_boxes_and_scores,
    yolo_correct_boxes,
    yolo_eval,
)
from yolo3.models.yolov3.scales import make_scales
from yolo3.ops import boxes as geometry
from yolo3.ops import letterbox as images

ANCHORS = np.array([[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]], np.float32)
GOLDEN = Path(__file__).parents[4] / "shared" / "data" / "golden"
CLASSES = 3
SCALES = make_scales(ANCHORS)


def random_outputs(images=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 2, (images, side, side, 3 * (5 + CLASSES))).astype(np.float32) for side in (2, 4)]


def as_numpy(result):
    return [ops.convert_to_numpy(array) for array in result]


def one_box_outputs():
    """Everything off, but anchor 1 (23 x 27) of the cell in row 2, column 1 of stride 16: class 2."""
    outputs = [np.full((1, side, side, 3, 5 + CLASSES), -20, np.float32) for side in (2, 4)]
    outputs[1][0, 2, 1, 1] = [0, 0, 0, 0, 20, -20, -20, 20]
    return [output.reshape(*output.shape[:3], -1) for output in outputs]


def test_one_box_by_hand():
    # centre: (1 + .5) * 16 = 24, (2 + .5) * 16 = 40; size 23 x 27
    boxes, scores, class_ids, num = as_numpy(select_boxes(one_box_outputs(), SCALES, CLASSES, (64, 64)))
    assert num.tolist() == [1] and class_ids[0, 0] == 2 and scores[0, 0] > 0.999
    np.testing.assert_allclose(boxes[0, 0], [12.5, 26.5, 35.5, 53.5], atol=1e-4)


def test_the_official_mask_gives_other_anchors():
    # position 1 of [1, 2, 3] is anchor 2, 37 x 58
    result = select_boxes(one_box_outputs(), make_scales(ANCHORS, OFFICIAL_TINY_MASK), CLASSES, (64, 64))
    np.testing.assert_allclose(as_numpy(result)[0][0, 0], [5.5, 11, 42.5, 69], atol=1e-4)


def test_scale_x_y_is_one_number_or_one_per_scale():
    outputs = random_outputs()
    for outer in (1.1, [1.1, 1.1], (1.1, 1.1)):
        np.testing.assert_array_equal(
            as_numpy(decode_outputs(outputs, make_scales(ANCHORS, scale_x_y=outer), CLASSES, (64, 64)))[0],
            as_numpy(decode_outputs(outputs, make_scales(ANCHORS, scale_x_y=1.1), CLASSES, (64, 64)))[0],
        )
    plain, mixed = (
        as_numpy(decode_outputs(outputs, make_scales(ANCHORS, scale_x_y=factor), CLASSES, (64, 64)))[0]
        for factor in (1.0, [1.0, 1.05])
    )
    first = 2 * 2 * 3  # the boxes of stride 32
    np.testing.assert_array_equal(plain[:, :first], mixed[:, :first])
    assert np.abs(plain[:, first:] - mixed[:, first:]).max() > 0.01
    with pytest.raises(ValueError, match="scale_x_y: expected one number or 2, one per scale"):
        make_scales(ANCHORS, scale_x_y=[1.0])


def test_images_of_a_batch_do_not_mix():
    outputs = random_outputs(images=3)
    together = as_numpy(select_boxes(outputs, SCALES, CLASSES, (64, 64)))
    for image in range(3):
        alone = as_numpy(select_boxes([o[image : image + 1] for o in outputs], SCALES, CLASSES, (64, 64)))
        for a, b in zip(together, alone):
            np.testing.assert_allclose(a[image], b[0], rtol=1e-5, atol=1e-4)


def test_half_precision_outputs_are_decoded_in_float32():
    outputs = [ops.cast(output, "bfloat16") for output in one_box_outputs()]
    boxes = select_boxes(outputs, SCALES, CLASSES, (64, 64))[0]
    np.testing.assert_allclose(as_numpy([boxes])[0][0, 0], [12.5, 26.5, 35.5, 53.5], atol=1e-4)


@pytest.mark.skipif(not GOLDEN.exists(), reason="Darknet's results are not here: shared/data/golden")
def test_darknets_detections_come_out_of_its_raw_outputs():
    raw = np.load(GOLDEN / "nano_coco_dog_raw.npz")
    outputs = [np.transpose(raw[name], (1, 2, 0))[None] for name in ("raw0", "raw1")]
    # anchors and scale_x_y: MobileNetV2-YOLOv3-Nano-coco.cfg
    anchors = [(12, 18), (37, 49), (52, 132), (115, 74), (119, 199), (243, 238)]
    scales = make_scales(anchors, scale_x_y=[1.1, 1.05])
    result = select_boxes(outputs, scales, 80, (320, 320), score_threshold=0.1, iou_threshold=0.45)
    boxes, scores, class_ids, num = (array[0] for array in as_numpy(result))
    expected = next(
        entry["detections"]
        for entry in json.loads((GOLDEN / "nano_coco_detections.json").read_text())
        if entry["image"] == "dog.jpg" and entry["letterbox"]
    )
    expected.sort(key=lambda detection: -detection["score"])
    assert num == len(expected)
    np.testing.assert_allclose(scores[:num], [detection["score"] for detection in expected], atol=1e-4)
    assert class_ids[:num].tolist() == [detection["class"] for detection in expected]
    size = np.array([768, 576, 768, 576])  # dog.jpg
    found = geometry.xyxy_to_cxcywh(images.boxes_to_image(boxes[:num], (576, 768), (320, 320))) / size
    np.testing.assert_allclose(found, [detection["xywh"] for detection in expected], atol=1e-4)


# keras-yolo3's functions


def test_the_letterbox_is_rounded_as_in_images():
    rng = np.random.default_rng(0)
    shapes = [(1, 3000), (3000, 1), (416, 416), (576, 768), *rng.integers(1, 3000, (150, 2)).tolist()]
    for image_shape in shapes:
        for input_shape in ((416, 416), (320, 608)):
            expected = images.letterbox_geometry(image_shape, input_shape)
            assert tuple(as_numpy([letterbox_placement(image_shape, input_shape)])[0]) == expected


def test_corrected_boxes_are_those_of_images_even_for_tensors_in_a_graph():
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(1)
    xy, wh = rng.uniform(0, 1, (2, 5, 2)).astype(np.float32)
    xyxy = geometry.cxcywh_to_xyxy(np.concatenate([xy, wh], -1)) * [96, 64, 96, 64]
    expected = geometry.swap_xy(images.boxes_to_image(xyxy, (333, 517), (64, 96)))
    np.testing.assert_allclose(as_numpy([yolo_correct_boxes(xy, wh, (64, 96), (333, 517))])[0], expected, atol=1e-3)
    found = tf.function(yolo_correct_boxes)(xy, wh, tf.constant([64, 96]), tf.constant([333.0, 517.0]))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_boxes_and_scores_are_flat_lists():
    boxes, scores = yolo_boxes_and_scores(random_outputs(images=2)[0], ANCHORS[3:], CLASSES, (64, 64), (50, 90))
    assert tuple(boxes.shape) == (2 * 2 * 2 * 3, 4) and tuple(scores.shape) == (2 * 2 * 2 * 3, CLASSES)


def test_yolo_eval_is_ordered_by_class_then_score_and_agrees_with_select_boxes():
    outputs = random_outputs()
    boxes, scores, classes = as_numpy(yolo_eval(outputs, ANCHORS, CLASSES, (50, 90), iou_threshold=0.4))
    order = np.lexsort((-scores, classes))
    assert len(scores) > 5 and order.tolist() == list(range(len(scores))) and classes.dtype == np.int32
    result = select_boxes(outputs, SCALES, CLASSES, (64, 64), score_threshold=0.6, iou_threshold=0.4)
    other_boxes, other_scores, other_ids, num = (array[0] for array in as_numpy(result))
    order = np.lexsort((-other_scores[:num], other_ids[:num]))
    np.testing.assert_allclose(scores, other_scores[order], atol=1e-6)
    in_image = images.boxes_to_image(other_boxes[order], (50, 90), (64, 64))
    np.testing.assert_allclose(boxes, geometry.swap_xy(in_image), atol=1e-3)


def test_max_boxes_of_yolo_eval_counts_for_each_class():
    outputs = random_outputs()
    _, all_scores, all_classes = as_numpy(yolo_eval(outputs, ANCHORS, CLASSES, (50, 90)))
    _, scores, classes = as_numpy(yolo_eval(outputs, ANCHORS, CLASSES, (50, 90), max_boxes=2))
    assert np.bincount(all_classes).max() > 2
    assert np.bincount(classes).tolist() == np.minimum(np.bincount(all_classes), 2).tolist()
    for class_id in range(CLASSES):  # the best ones stay
        np.testing.assert_array_equal(scores[classes == class_id], all_scores[all_classes == class_id][:2])


@pytest.mark.parametrize("way", [{"method": "soft"}, {"method": "diou"}, {"overlap": "ios"}], ids=str)
def test_methods_by_name_give_yolo_eval_and_select_boxes_the_same(way):
    outputs = random_outputs()
    arguments = {"score_threshold": 0.5, "iou_threshold": 0.3, "max_boxes": 50, **way}
    boxes, scores, classes = as_numpy(yolo_eval(outputs, ANCHORS, CLASSES, (64, 64), **arguments))
    order = np.lexsort((-scores, classes))
    assert order.tolist() == list(range(len(scores)))
    found, found_scores, ids, num = (
        array[0] for array in as_numpy(select_boxes(outputs, SCALES, CLASSES, (64, 64), **arguments))
    )
    order = np.lexsort((-found_scores[:num], ids[:num]))
    assert classes.tolist() == ids[order].tolist()
    np.testing.assert_allclose(scores, found_scores[order], atol=1e-6)
    np.testing.assert_allclose(boxes, geometry.swap_xy(found[order]), atol=1e-3)
    greedy = yolo_eval(outputs, ANCHORS, CLASSES, (64, 64), **arguments | {"method": "greedy", "overlap": "iou"})
    assert as_numpy(greedy)[1].tolist() != scores.tolist()
    best = as_numpy(yolo_eval(outputs, ANCHORS, CLASSES, (64, 64), **arguments | {"max_boxes": 1}))
    assert best[1].tolist() == [scores[classes == class_id].max() for class_id in best[2]]
    with pytest.raises(ValueError, match="expected one of"):
        yolo_eval(outputs, ANCHORS, CLASSES, (64, 64), method="none")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["greedy", "soft", "diou"])
def test_an_exported_network_with_decoding_and_suppression_gives_the_same(method, tmp_path, slim_tiny):
    tf = pytest.importorskip("tensorflow")
    import keras

    from yolo3.models.yolov3.networks import tiny_yolo_body

    class Selection(keras.layers.Layer):
        def call(self, outputs):
            return select_boxes(outputs, SCALES, CLASSES, (64, 96), score_threshold=0.4, method=method)

    network = tiny_yolo_body(keras.Input((64, 96, 3)), 3, CLASSES)
    weights = np.random.default_rng(5)
    network.set_weights([weights.normal(0, 1, w.shape) ** 2 for w in network.get_weights()])
    detector = keras.Model(network.input, Selection()(network.outputs))
    images = np.random.default_rng(6).uniform(0, 1, (2, 64, 96, 3)).astype(np.float32)
    expected = as_numpy(detector(images))
    detector.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    assert expected[3].min() > 3
    for found, wanted in zip(loaded.serve(images), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_yolo_eval_without_detections_and_in_a_graph():
    tf = pytest.importorskip("tensorflow")
    outputs = one_box_outputs()
    boxes, scores, classes = yolo_eval(outputs, ANCHORS, CLASSES, (64, 64), score_threshold=1.0)
    assert tuple(boxes.shape) == (0, 4) and tuple(scores.shape) == (0,) and tuple(classes.shape) == (0,)
    function = tf.function(
        lambda *outputs: yolo_eval(outputs, ANCHORS, CLASSES, (64, 64)),
        input_signature=[tf.TensorSpec((None, None, None, 3 * (5 + CLASSES)))] * 2,
    )
    boxes, _, classes = function(*outputs)
    np.testing.assert_allclose(boxes, [[26.5, 12.5, 53.5, 35.5]], atol=1e-4)
    assert classes.numpy().tolist() == [2]


def test_yolo_eval_refuses_a_batch():
    with pytest.raises(ValueError, match="expected one image, got 2"):
        yolo_eval(random_outputs(images=2), ANCHORS, CLASSES, (64, 64))
