"""Write LiteRT (TensorFlow Lite) files with TensorFlow's converter, of builtin operators alone."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from yolo3.export.graph import ExportGraph
from yolo3.export.saved_model import write as write_saved_model
from yolo3.inference.runtimes.litert import MEMBER
from yolo3.models.metadata import format_metadata


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write a LiteRT file; half precision is that of the weights.

    Args:
        graph: What it computes.
        path: The file.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size, for a precision of int8.
    """
    precision = graph.settings.precision
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder, "saved_model")
        write_saved_model(graph, source, metadata, calibration)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(source), signature_keys=["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()

    path.write_bytes(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, format_metadata(metadata))
