"""OpenVINO files (.xml, with a .bin beside it); their metadata is in ``rt_info``."""

import os
from typing import Any

import numpy as np
import openvino

from yolo3.inference.runtimes.runtime import KEY, cannot_open, check_outputs, export_metadata

# Left to itself, OpenVINO computes float32 files in bfloat16 where a processor has it: the same file would detect
# otherwise on another machine than the one that it was verified on.
_PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenVino:
    """An OpenVINO file; see :class:`yolo3.inference.runtimes.runtime.Runtime`."""

    packages = ("openvino",)

    def __init__(self, path: str | os.PathLike):
        try:
            model = openvino.Core().read_model(os.fspath(path))
        except RuntimeError as error:
            raise cannot_open(path, "OpenVINO", error) from error
        text = model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None
        self.metadata: dict[str, Any] = export_metadata(text, path)
        check_outputs(self.metadata, [output.any_name for output in model.outputs], path)
        try:
            self._compiled = openvino.compile_model(model, "AUTO", _PRECISION)
        except RuntimeError as error:
            raise cannot_open(path, "OpenVINO", error) from error

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images."""
        return {output.any_name: array for output, array in self._compiled(images).items()}
