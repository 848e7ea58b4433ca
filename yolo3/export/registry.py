"""The list of formats that ``yolo3 export`` writes. Importing it needs neither Keras nor TensorFlow."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from yolo3.ops.nms_methods import METHODS


@dataclass(frozen=True)
class Exporter:
    """A format of exported files.

    Args:
        name: Name in `--format`, and of the runtime in :mod:`yolo3.inference.runtimes.registry` that opens the file.
        write: "module:function" of (graph, path, metadata, calibration); see :mod:`yolo3.export.saved_model`.
        packages: Modules that writing needs, with those that running needs.
        precisions: What `--precision` may be.
        suppressions: What `--nms` may be.
        batch: Number of images at once where none is asked for; None for any number.
    """

    name: str
    write: str
    packages: tuple[str, ...]
    precisions: tuple[str, ...] = ("float32", "float16", "int8")
    suppressions: tuple[str, ...] = METHODS
    batch: int | None = None

    def load(self) -> Callable:
        """Import and return the function that writes a file."""
        module, _, name = self.write.partition(":")
        return getattr(importlib.import_module(module), name)

    def check_packages(self) -> None:
        """Check that what writing and running need is installed.

        Raises:
            ValueError: Naming the extra that installs it.
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is None:  # an import takes long
                raise ValueError(
                    f"--format {self.name}: needs {package}, which is not installed: pip install 'yolo3[{self.name}]'"
                )


EXPORTERS = {
    exporter.name: exporter
    for exporter in (
        Exporter("saved_model", "yolo3.export.saved_model:write", (), ("float32", "float16")),
        Exporter("onnx", "yolo3.export.onnx:write", ("onnx", "tf2onnx", "onnxruntime"), suppressions=("greedy",)),
        Exporter("litert", "yolo3.export.litert:write", ("ai_edge_litert",), batch=1),
        Exporter(
            "openvino",
            "yolo3.export.openvino:write",
            ("openvino", "onnx", "tf2onnx", "onnxruntime"),
            suppressions=("greedy",),
        ),
    )
}
"""The formats by name."""
