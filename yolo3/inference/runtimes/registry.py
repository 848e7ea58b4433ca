"""The list of formats of exported files that can be run, and the way from a path to one of them."""

from __future__ import annotations

import errno
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from yolo3.inference.runtimes.runtime import Runtime


@dataclass(frozen=True)
class RuntimeFormat:
    """A format of exported files.

    Args:
        name: Name in `--format` and in the metadata.
        title: Name in words.
        suffix: End of the file's name, "" for a folder.
        runtime: "module:class" that implements :class:`yolo3.inference.runtimes.runtime.Runtime`.
        package: Module that runs it.
        extra: Extra of this package that installs it; None for a dependency of the package itself.
    """

    name: str
    title: str
    suffix: str
    runtime: str
    package: str
    extra: str | None = None

    def open(self, path: str | os.PathLike) -> Runtime:
        """Open a file of this format.

        Raises:
            OSError: For a file that cannot be read.
            ValueError: In one line, for a file of another kind, and where the package is not installed.
        """
        os.stat(path)
        if self.suffix and os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        module, _, name = self.runtime.partition(":")
        try:
            importlib.import_module(self.package)
        except ImportError as error:
            install = f"pip install 'yolo3[{self.extra}]'" if self.extra else f"pip install {self.package}"
            raise ValueError(f"{path}: {self.title} needs {self.package}, which is not installed: {install}") from error
        return getattr(importlib.import_module(module), name)(path)


_FOLDER = "yolo3.inference.runtimes"
RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        RuntimeFormat("saved_model", "TensorFlow SavedModel", "", f"{_FOLDER}.saved_model:SavedModel", "tensorflow"),
        RuntimeFormat("onnx", "ONNX", ".onnx", f"{_FOLDER}.onnx:Onnx", "onnxruntime", "onnx"),
        RuntimeFormat("litert", "LiteRT", ".tflite", f"{_FOLDER}.litert:LiteRt", "ai_edge_litert", "litert"),
        RuntimeFormat("openvino", "OpenVINO", ".xml", f"{_FOLDER}.openvino:OpenVino", "openvino", "openvino"),
    )
}
"""The formats by name."""


def find_runtime(path: object) -> RuntimeFormat | None:
    """Return the format of an exported file by its name, None for anything else: networks of Keras and of Darknet.

    A folder with a saved_model.pb is a SavedModel. Files are not opened.
    """
    if not isinstance(path, (str, os.PathLike)):
        return None
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return RUNTIMES["saved_model"]
    suffix = Path(path).suffix.lower()
    return next((runtime for runtime in RUNTIMES.values() if suffix and runtime.suffix == suffix), None)
