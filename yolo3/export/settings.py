"""Settings of an export, with the defaults of the command line; needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from yolo3.arguments import Arguments
from yolo3.export.registry import EXPORTERS
from yolo3.inference.runtimes.registry import RUNTIMES
from yolo3.ops.nms_methods import METHODS
from yolo3.settings import COUNT, check_settings, setting

PRECISIONS = ("float32", "float16", "int8")
INPUTS = {"uint8": "pixels 0..255", "float32": "0..1"}


@dataclass(frozen=True)
class ExportSettings:
    """What an exported file computes, and how.

    Raises:
        ValueError: For a setting out of range, and where two exclude each other.
    """

    format: str = setting(
        "onnx", "format of the file", choices=lambda: {name: RUNTIMES[name].title for name in EXPORTERS}
    )
    suppression: str | None = setting(
        None,
        "non-maximum suppression within the file, greedy or by the named method: the outputs are then boxes, scores, "
        "class_ids and count",
        flag="--nms",
        unset="none: decoded boxes and scores",
        many="?",
        const="greedy",
        choices=METHODS,
    )
    raw: bool = setting(False, "leave the network's raw outputs as they are, not decoded into boxes", const=True)
    batch: int | None = setting(
        None, "number of images that the file takes at once", unset="any number; 1 for litert", number=COUNT
    )
    input: str = setting("uint8", "type of the images, RGB, [batch, height, width, 3]", choices=INPUTS)
    precision: str = setting(
        "float32", "numeric precision of weights and computation; int8 needs --data to calibrate", choices=PRECISIONS
    )

    def __post_init__(self):
        with ARGUMENTS.in_messages():
            self._check()

    def _check(self) -> None:
        check_settings(self)
        if self.raw and self.suppression:
            raise ValueError("--raw: expected no --nms with it, which needs decoded boxes")
        exporter = EXPORTERS[self.format]
        if self.precision not in exporter.precisions:
            expected = ", ".join(exporter.precisions)
            able = " or ".join(name for name, other in EXPORTERS.items() if self.precision in other.precisions)
            raise ValueError(
                f"--precision: expected one of {expected} for {self.format}, got {self.precision}, which needs {able}"
            )
        if self.suppression not in (None, *exporter.suppressions):
            expected = ", ".join(exporter.suppressions)
            raise ValueError(f"--nms: expected one of {expected} for {self.format}, got {self.suppression}")

    @property
    def outputs(self) -> str:
        """Name of the outputs in :data:`yolo3.inference.runtimes.runtime.OUTPUTS`."""
        return "raw" if self.raw else "detections" if self.suppression else "boxes"


_OWN = ("annotations",)
ARGUMENTS = Arguments("export", (ExportSettings,), own=_OWN, names={"data": "annotations"}, valued=_OWN)
"""Those of :func:`yolo3.export.export.export`, with the fields of its settings."""
