"""Exported files as programs of others open them: shapes, names and order of inputs and outputs."""

import numpy as np
import pytest

from tests.export.networks import SUFFIXES, cells, need, photographs
from yolo3.export.export import export
from yolo3.export.settings import ExportSettings
from yolo3.inference.detector import Detector
from yolo3.ops.letterbox import resize_image

OUTPUTS = {"boxes": [20, 4], "scores": [20], "class_ids": [20], "count": []}


def write(name, folder, **options):
    need(name)
    path = folder / f"cells{SUFFIXES[name]}"
    export(cells(max_boxes=20), path, ExportSettings(format=name, **options))
    return str(path)


@pytest.mark.slow
def test_onnx_has_an_input_of_any_number_of_images_and_outputs_in_order(tmp_path):
    path = write("onnx", tmp_path, suppression="greedy")
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.shape, given.type) == ("images", ["batch", 64, 96, 3], "tensor(uint8)")
    shapes = {output.name: output.shape for output in session.get_outputs()}
    assert list(shapes.items()) == [(name, ["batch", *shape]) for name, shape in OUTPUTS.items()]
    assert {node.domain for node in onnx.load(path).graph.node} <= {"", "ai.onnx"}  # nobody's own operators


@pytest.mark.slow
def test_litert_has_an_input_of_the_networks_size_and_outputs_by_name(tmp_path):
    path = write("litert", tmp_path, suppression="greedy")
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner()
    assert {name: list(part["shape"]) for name, part in runner.get_input_details().items()} == {
        "images": [1, 64, 96, 3]  # of a network that takes any size and was never called
    }
    outputs = runner(images=np.zeros((1, 64, 96, 3), np.uint8))
    assert {name: list(part.shape) for name, part in outputs.items()} == {
        name: [1, *shape] for name, shape in OUTPUTS.items()
    }


@pytest.mark.slow
def test_openvino_has_the_outputs_in_order_and_no_more(tmp_path):
    path = write("openvino", tmp_path, suppression="greedy")
    import openvino

    model = openvino.Core().read_model(path)
    assert [output.any_name for output in model.outputs] == list(OUTPUTS)
    assert [list(each.partial_shape.get_max_shape())[1:] for each in model.inputs] == [[64, 96, 3]]
    assert model.inputs[0].any_name == "images" and model.inputs[0].partial_shape[0].is_dynamic


@pytest.mark.slow
def test_opencv_reads_the_onnx_file_with_decoded_boxes(tmp_path):
    path = write("onnx", tmp_path, input="float32", batch=1)
    import cv2

    detector = Detector(path)
    network = cv2.dnn.readNetFromONNX(path)
    for image in photographs():
        resized = resize_image(image, (64, 96), "letterbox")[None]
        network.setInput(resized.astype(np.float32) / 255)
        for output, expected in zip(network.forward(["boxes", "scores"]), detector.network.run(resized).values()):
            np.testing.assert_allclose(output, expected, atol=1e-4)
