"""TensorFlow SavedModels, run by TensorFlow; their metadata is a file in ``assets.extra``."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from yolo3.inference.runtimes.runtime import KEY, cannot_open, check_outputs, export_metadata

METADATA_FILE = Path("assets.extra", f"{KEY}.json")


class SavedModel:
    """A SavedModel; see :class:`yolo3.inference.runtimes.runtime.Runtime`."""

    packages = ("tensorflow",)

    def __init__(self, path: str | os.PathLike):
        file = Path(path, METADATA_FILE)
        self.metadata: dict[str, Any] = export_metadata(file.read_bytes() if file.is_file() else None, path)
        try:
            self._module = tf.saved_model.load(os.fspath(path))  # the signature works while its module lives
            self._run = self._module.signatures["serving_default"]
        except Exception as error:  # of many kinds
            raise cannot_open(path, "TensorFlow", error) from error
        check_outputs(self.metadata, list(self._run.structured_outputs), path)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name for a batch of images."""
        return {name: array.numpy() for name, array in self._run(images=tf.constant(images)).items()}
