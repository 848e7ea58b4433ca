"""ONNX files, run by ONNX Runtime; its metadata is in ``metadata_props``."""

import os
from typing import Any

import numpy as np
import onnxruntime

from yolo3.inference.runtimes.runtime import KEY, cannot_open, check_outputs, export_metadata


class Onnx:
    """An ONNX file; see :class:`yolo3.inference.runtimes.runtime.Runtime`."""

    packages = ("onnxruntime",)

    def __init__(self, path: str | os.PathLike):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: its warnings tell of optimizations
        try:
            self._session = onnxruntime.InferenceSession(
                os.fspath(path), options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # its exceptions have no common class but this one
            raise cannot_open(path, "ONNX Runtime", error) from error
        try:
            text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        except UnicodeDecodeError:
            text = None
        self.metadata: dict[str, Any] = export_metadata(text, path)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        check_outputs(self.metadata, self._outputs, path)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: images}), strict=True))
