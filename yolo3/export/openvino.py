"""Write OpenVINO files (.xml and .bin) from the ONNX form of the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from yolo3.export.graph import ExportGraph
from yolo3.export.onnx import write as write_onnx
from yolo3.inference.runtimes.runtime import KEY
from yolo3.models.metadata import format_metadata


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write an OpenVINO file; half precision is that of the weights, and the processor's own in computation.

    Args:
        graph: What it computes.
        path: The .xml file.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size, for a precision of int8.
    """
    source = path.with_suffix(".onnx")
    settings = graph.settings
    if settings.precision == "float16":
        graph = replace(graph, settings=replace(settings, precision="float32"))
    try:
        write_onnx(graph, source, metadata, calibration)
        model = openvino.convert_model(str(source))
    finally:
        source.unlink(missing_ok=True)
    model.set_rt_info(format_metadata(metadata), KEY)
    openvino.save_model(model, str(path), compress_to_fp16=settings.precision == "float16")
