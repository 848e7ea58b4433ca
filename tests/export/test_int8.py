"""Int8: the network is computed in it, AP of both is printed, and a file that loses much is not written."""

import json

import keras
import numpy as np
import pytest

from tests.cli.test_main import fails_in_one_line
from tests.export.networks import SUFFIXES, need
from tests.inference.test_detector import METADATA, cell_network
from yolo3.cli.main import main
from yolo3.models.saving import save_model

INT8_FORMATS = ("onnx", "litert", "openvino")


@pytest.fixture
def annotated(folder):
    """The current folder with a network of two convolutions, the second after a mean, and images with its boxes."""
    inputs = keras.Input((None, None, 3))
    colours = keras.layers.Conv2D(4, 1, activation="relu", name="colours")(inputs)
    outputs = keras.layers.Conv2D(8, 1, name="cells")(keras.layers.AveragePooling2D(32)(colours))
    model = keras.Model(inputs, outputs, name="two_convolutions")
    model.get_layer("colours").set_weights([np.eye(3, 4, dtype=np.float32)[None, None], np.zeros(4, np.float32)])
    kernel, bias = cell_network().get_layer("cells").get_weights()
    model.get_layer("cells").set_weights([np.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0))), bias])
    save_model(model, "m.h5", METADATA)

    boxes = "64,0,128,32,{0} 64,32,128,64,{0}"
    (folder / "data.txt").write_text(f"red.png {boxes.format(0)}\ngreen.png {boxes.format(1)}\n")
    return folder


def numeric_types(name, path):
    """Return the names of the types that the network is computed in."""
    if name == "onnx":
        import onnx

        graph = onnx.load(path).graph
        kinds = {each.name: each.data_type for each in graph.initializer}
        return {onnx.TensorProto.DataType.Name(kinds[n.input[2]]) for n in graph.node if n.op_type == "QuantizeLinear"}
    if name == "openvino":
        import openvino

        nodes = openvino.Core().read_model(path).get_ops()
        return {f"{node.get_levels()} levels" for node in nodes if node.get_type_name() == "FakeQuantize"}
    from ai_edge_litert.interpreter import Interpreter

    activations = [tensor for tensor in Interpreter(model_path=path).get_tensor_details() if len(tensor["shape"]) == 4]
    return {np.dtype(tensor["dtype"]).name for tensor in activations if tensor["quantization"][0]}


@pytest.mark.slow
@pytest.mark.parametrize("name", INT8_FORMATS)
def test_ap_of_the_network_and_of_the_int8_file_are_printed_side_by_side(name, annotated, capsys):
    need(name)
    path = f"m_int8{SUFFIXES[name]}"
    argv = ["export", "--weights", "m.h5", "--format", name, "--precision", "int8", "--data", "data.txt"]
    assert main([*argv, "--json", "f.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split() == ["network", "AP50", "1.000", "AP", "1.000"]
    assert lines[-1].split() == ["file", "AP50", "1.000", "AP", "1.000"]
    assert json.loads((annotated / "f.json").read_text())["average_precision"] == {"network": [1, 1], "file": [1, 1]}
    assert numeric_types(name, path) & {"UINT8", "int8", "256 levels"}, "activations are quantized, not weights alone"


@pytest.mark.slow
def test_an_int8_file_that_loses_average_precision_is_not_written_and_ends_with_status_1(
    annotated, capsys, monkeypatch
):
    need("litert")

    def evaluate(detector, annotations):
        exported = detector.architecture is None
        return {"AP50": 0.9, "AP": 0.479 if exported else 0.5}

    monkeypatch.setattr("yolo3.export.export.evaluate", evaluate)
    argv = ["export", "--weights", "m.h5", "--format", "litert", "--precision", "int8", "--data", "data.txt"]
    line = fails_in_one_line(argv, capsys)
    assert "litert: not written, as AP on the data falls from 0.500 to 0.479 in int8 (allowed: 0.02 less)" in line
    assert not list(annotated.glob("m_int8*"))
