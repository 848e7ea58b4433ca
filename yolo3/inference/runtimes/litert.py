"""LiteRT (TensorFlow Lite) files, run by ai-edge-litert; their metadata is a file of the zip archive at their end.

Such an archive behind the model is where TensorFlow Lite's own metadata keeps associated files; interpreters do not
read it.
"""

import os
import zipfile
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from yolo3.inference.runtimes.runtime import KEY, parse_metadata

MEMBER = f"{KEY}.json"


class LiteRt:
    """A LiteRT file; see :class:`yolo3.inference.runtimes.runtime.Runtime`."""

    packages = ("ai_edge_litert",)

    def __init__(self, path: str | os.PathLike):
        try:
            with zipfile.ZipFile(path) as archive:
                text = archive.read(MEMBER) if MEMBER in archive.namelist() else None
        except zipfile.BadZipFile:
            text = None
        self.metadata: dict[str, Any] = parse_metadata(text, path)
        try:
            self._interpreter = Interpreter(model_path=os.fspath(path), num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{path}: LiteRT cannot open it: {error}") from error
        (self._input,) = self._run.get_input_details()

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images."""
        outputs = self._run(**{self._input: images})
        return {name: array.copy() for name, array in outputs.items()}  # the next call overwrites them
