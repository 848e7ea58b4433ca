"""LiteRT (TensorFlow Lite) files, run by ai-edge-litert; their metadata is a file of the zip archive at their end.

Such an archive behind the model is where TensorFlow Lite's own metadata keeps associated files; interpreters do not
read it.
"""

import os
import zipfile
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from yolo3.inference.runtimes.runtime import KEY, cannot_open, check_outputs, export_metadata
from yolo3.models.metadata_fields import read_member

MEMBER = f"{KEY}.json"


class LiteRt:
    """A LiteRT file; see :class:`yolo3.inference.runtimes.runtime.Runtime`."""

    packages = ("ai_edge_litert",)

    def __init__(self, path: str | os.PathLike):
        try:
            with zipfile.ZipFile(path) as archive:
                text = read_member(archive, MEMBER)
        except OSError:
            raise
        except Exception:  # zipfile and zlib raise almost anything for a damaged archive
            text = None
        self.metadata: dict[str, Any] = export_metadata(text, path)
        try:
            self._interpreter = Interpreter(model_path=os.fspath(path), num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise cannot_open(path, "LiteRT", error) from error
        (self._input,) = self._run.get_input_details()
        check_outputs(self.metadata, list(self._run.get_output_details()), path)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images."""
        outputs = self._run(**{self._input: images})
        return {name: array.copy() for name, array in outputs.items()}  # the next call overwrites them
