"""Write LiteRT (TensorFlow Lite) files with TensorFlow's converter, of builtin operators alone.

Half precision is that of the weights. In int8 weights and activations of the network are int8, but for its last
convolutions and the decoding of boxes, which stay in float32: boxes of 400 pixels in 256 steps would be 1.6 pixels off.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.schema_py_generated import BuiltinOperator, ModelT
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from yolo3.export.graph import INPUT, ExportGraph
from yolo3.inference.runtimes.litert import MEMBER
from yolo3.models.metadata import format_metadata

_CONVOLUTIONS = (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D, BuiltinOperator.TRANSPOSE_CONV)


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write a LiteRT file.

    Args:
        graph: What it computes.
        path: The file.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size for a precision of int8.
    """
    precision = graph.settings.precision
    # With variables in place of constants, what TensorFlow 2.21 converts gives NaN.
    frozen = convert_variables_to_constants_v2(
        tf.function(graph, input_signature=[graph.signature]).get_concrete_function(),
        lower_control_flow=False,
    )
    module = tf.Module()
    module.function = tf.function(
        lambda images: dict(zip(sorted(graph.outputs), frozen(images), strict=True)), input_signature=[graph.signature]
    )  # TensorFlow sorts the outputs by name
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tf.saved_model.save(module, folder, {"serving_default": module.function})  # keeps the names of the outputs
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = _quantized(converter, graph, calibration) if precision == "int8" else converter.convert()

    path.write_bytes(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, format_metadata(metadata))


def _quantized(converter: tf.lite.TFLiteConverter, graph: ExportGraph, images: np.ndarray | None) -> bytes:
    """Return the model with its network in int8, with ranges of activations seen on images."""
    assert images is not None
    given = images if graph.settings.input == "uint8" else images.astype(np.float32) / 255
    size = graph.batch or 1
    repeated = np.concatenate([given] + [given[-1:]] * (-len(given) % size))  # fills the last batch
    converter.representative_dataset = lambda: ({INPUT: part} for part in np.split(repeated, len(repeated) // size))
    converter._experimental_calibrate_only = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calibrates with an interpreter of its own that it calls deprecated
        calibrated = converter.convert()
    return mlir_quantize(calibrated, denylisted_nodes=_after_convolutions(calibrated))


def _after_convolutions(content: bytes) -> set[str]:
    """Return the names of what no convolution depends on: outputs of the last convolutions, and of all behind them."""
    model = ModelT.InitFromPackedBuf(content)
    (graph,) = model.subgraphs
    readers: dict[int, list] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            readers.setdefault(tensor, []).append(operator)

    before: set[int] = set()  # tensors that some convolution depends on
    for operator in reversed(graph.operators):  # in the order of computation
        for tensor in operator.outputs:
            behind = readers.get(tensor, [])
            codes = (model.operatorCodes[reader.opcodeIndex].builtinCode for reader in behind)
            if any(code in _CONVOLUTIONS for code in codes) or any(before & set(reader.outputs) for reader in behind):
                before.add(tensor)
    outputs = {int(tensor) for operator in graph.operators for tensor in operator.outputs}
    return {graph.tensors[tensor].name.decode() for tensor in outputs - before}
