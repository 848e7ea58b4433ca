"""Write LiteRT (TensorFlow Lite) files with TensorFlow's converter, of builtin operators alone."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from yolo3.export.graph import ExportGraph
from yolo3.inference.runtimes.litert import MEMBER
from yolo3.models.metadata import format_metadata


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write a LiteRT file; half precision and int8 are those of the weights.

    Args:
        graph: What it computes.
        path: The file.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size for a precision of int8; not used here.
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
            # Without a representative data set int8 is that of the weights, and activations are quantized as they come:
            # boxes of 400 pixels in 256 steps would be 1.6 pixels off.
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()

    path.write_bytes(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, format_metadata(metadata))
