"""Suppression in ONNX' own operators, against ours in NumPy."""

import numpy as np
import pytest

from yolo3.ops.nms_numpy import non_max_suppression

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[onnx]'")
pytest.importorskip("tf2onnx", reason="needs tf2onnx: pip install '.[onnx]'")


def run_suppression(boxes, scores, **settings):
    """Return (boxes, scores, class_ids, count) that a model of suppression alone computes."""
    from yolo3.export.onnx import append_suppression

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = {"given_boxes": boxes, "given_scores": scores}
    nodes = [helper.make_node("Identity", [name], [name.removeprefix("given_")]) for name in given]
    shapes = {name: ["batch", *array.shape[1:]] for name, array in given.items()}
    graph = helper.make_graph(
        nodes,
        "suppression",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name.removeprefix("given_"), kind, shape) for name, shape in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    append_suppression(model, **settings)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["boxes", "scores", "class_ids", "count"]
    return session.run(None, given)


def crowded(batch, num_boxes, num_classes, seed=0):
    """Return boxes [B, N, 4] that overlap much, and scores [B, N, C]."""
    rng = np.random.default_rng(seed)
    centre, size = rng.uniform(100, 160, (batch, num_boxes, 2)), rng.uniform(10, 120, (batch, num_boxes, 2))
    boxes = np.concatenate([centre - size / 2, centre + size / 2], -1)
    return boxes.astype(np.float32), rng.uniform(0, 1, (batch, num_boxes, num_classes)).astype(np.float32)


@pytest.mark.parametrize("max_boxes", [1, 20, 2000])  # fewer than are kept, and more than there are
@pytest.mark.parametrize("score_threshold", [0.0, 0.3, 0.999])
def test_the_operators_keep_the_boxes_that_ours_keep(max_boxes, score_threshold):
    boxes, scores = crowded(batch=3, num_boxes=200, num_classes=4)
    scores[1] = 0  # an image without objects, between others
    settings = {"score_threshold": score_threshold, "iou_threshold": 0.45, "max_boxes": max_boxes}
    got = run_suppression(boxes, scores, **settings)
    assert [list(part.shape) for part in got] == [[3, max_boxes, 4], [3, max_boxes], [3, max_boxes], [3]]
    for image in range(3):
        expected = non_max_suppression(boxes[image], scores[image], **settings)
        count = int(got[3][image])
        assert count == len(expected[0]) and (count == 0 if image == 1 else True)
        for part, wanted in zip(got, expected):
            np.testing.assert_array_equal(part[image][:count], wanted)
        assert not got[0][image][count:].any() and not got[1][image][count:].any()
        assert (got[2][image][count:] == -1).all()


def test_two_boxes_of_one_place_and_two_classes_are_both_kept_and_of_one_class_one():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]]], np.float32)
    scores = np.array([[[0.9, 0.8], [0.7, 0.0], [0.0, 0.6]]], np.float32)
    boxes, scores, class_ids, count = run_suppression(
        boxes, scores, score_threshold=0.3, iou_threshold=0.45, max_boxes=4
    )
    assert count.tolist() == [3] and class_ids.tolist() == [[0, 1, 1, -1]]
    assert scores[0].tolist() == pytest.approx([0.9, 0.8, 0.6, 0])
    assert boxes[0].tolist() == [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 0, 0]]
