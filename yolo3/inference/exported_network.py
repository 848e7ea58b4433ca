"""An exported file in use: its runtime, decoding and suppression in NumPy where the file leaves them out."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from yolo3.inference.runtimes.registry import RuntimeFormat
from yolo3.inference.settings import DetectorSettings
from yolo3.ops.nms_numpy import non_max_suppression
from yolo3.records import first_line


class ExportedNetwork:
    """A network from a file of `yolo3 export`; needs neither Keras nor TensorFlow, but for raw outputs.

    Args:
        path: The file.
        runtime: Its format.
        given: Values that the caller wants in place of those of the metadata, by their keys: class names alone.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: In one line, for a file of another kind, and where its package is not installed.
    """

    architecture: Any = None
    model: Any = None

    def __init__(self, path: str | os.PathLike, runtime: RuntimeFormat, given: Mapping[str, Any]):
        self.source = os.fspath(path)
        self._runtime = runtime.open(path)
        self.metadata = self._runtime.metadata
        self._export: dict[str, Any] = self.metadata["export"]
        self._title = runtime.title

        for name in ("anchors", "anchor_mask"):
            if given.get(name) is not None:
                raise ValueError(f"{path}: an exported file holds its {name.replace('_', ' ')}; leave them out")
        names = given.get("class_names")
        if names is not None:
            own = self.metadata.get("class_names") or []
            if len(names) != len(own):
                raise ValueError(f"{path}: expected {len(own)} class names as it has classes, got {len(names)}")
            self.metadata = self.metadata | {"class_names": list(names)}

    @property
    def one_class(self) -> str | None:
        """Name of all objects, for an architecture that does not tell classes apart."""
        return self._export.get("one_class")

    @property
    def iou_threshold(self) -> float:
        """Threshold of suppression: the architecture's, or that within the file."""
        return self._export["iou_threshold"]

    @property
    def lowest_score(self) -> float:
        """Threshold below which the file keeps no detections, whatever is asked for."""
        return self._export.get("score_threshold", 0.0)

    @property
    def max_boxes(self) -> int:
        """Most detections in an image that it can give."""
        return self._export.get("max_boxes") or sys.maxsize

    @property
    def precision(self) -> str:
        """Numeric precision of the file."""
        return self._export["precision"]

    @property
    def title(self) -> str:
        """The network in words."""
        outputs = {"detections": "suppression within", "boxes": "decoded boxes", "raw": "raw outputs"}
        return f"{self._title}, {self.precision}, {outputs[self._export['outputs']]}"

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the modules that it runs with, for their versions."""
        return self._runtime.packages

    def fold(self) -> None:
        """Do nothing: batch normalization is folded in exported files."""

    def choose_input_shape(self, input_shape: Sequence[int] | None) -> tuple[int, int]:
        """Return the file's (height, width) of the network input in pixels.

        Raises:
            ValueError: If another one is asked for.
        """
        height, width = self.metadata["input_shape"]
        if input_shape is not None and tuple(input_shape) != (height, width):
            wanted = f"{input_shape[0]} x {input_shape[1]}"
            raise ValueError(
                f"{self.source}: takes images of {height} x {width} only, got {wanted}; export it for that size"
            )
        return height, width

    def check(self, settings: DetectorSettings) -> None:
        """Check that the file can do what settings say.

        Raises:
            ValueError: For another precision, and for another suppression where that is within the file.
        """
        if settings.precision not in ("auto", "float32", self.precision):
            raise ValueError(
                f"{self.source}: computes in {self.precision}, got {settings.precision}; export it in that precision"
            )
        if not self.suppresses:
            return

        if settings.score_threshold < self.lowest_score:
            raise ValueError(
                f"{self.source}: suppression within the file keeps scores above {self.lowest_score:g}, got a score "
                f"threshold of {settings.score_threshold:g}; export it with a lower one, or run yolo3 export without "
                "--nms"
            )
        defaults = DetectorSettings()
        for name in ("iou_threshold", "nms", "nms_overlap"):
            value, own = getattr(settings, name), self._export[name]
            if value not in (own, getattr(defaults, name)):
                raise ValueError(
                    f"{self.source}: suppression within the file has {name} {own}, got {value}; run yolo3 export "
                    "without --nms"
                )

    def selection(
        self, settings: DetectorSettings, input_shape: tuple[int, int]
    ) -> Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        """Return the function of a batch of images that gives the boxes of each that suppression keeps.

        Args:
            settings: Thresholds and method of suppression.
            input_shape: (height, width) of the network input in pixels.

        Returns:
            A function of uint8 [B, height, width, 3] that returns (boxes float32 [N, 4] xyxy in pixels of the network
            input, scores float32 [N], class_ids int32 [N]) for each image.
        """
        if self.suppresses:

            def kept(boxes, scores, class_ids, count):
                strong = np.flatnonzero(scores[: int(count)] > settings.score_threshold)[: settings.max_boxes]
                return boxes[strong], scores[strong], class_ids[strong]

            def select(images):
                outputs = self.run(images)
                parts = (outputs[name] for name in ("boxes", "scores", "class_ids", "count"))
                return [kept(*image) for image in zip(*parts, strict=True)]

            return select

        decoded = self.candidates(input_shape)

        def select_decoded(images):
            return [
                non_max_suppression(
                    *image,
                    score_threshold=settings.score_threshold,
                    iou_threshold=settings.iou_threshold,
                    max_boxes=settings.max_boxes,
                    method=settings.nms,
                    overlap=settings.nms_overlap,
                )
                for image in zip(*decoded(images), strict=True)
            ]

        return select_decoded

    @property
    def suppresses(self) -> bool:
        """Whether suppression is within the file, so that it gives no candidates."""
        return self._export["outputs"] == "detections"

    def candidates(self, input_shape: tuple[int, int]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return the function of a batch of images that gives their boxes before suppression.

        Args:
            input_shape: (height, width) of the network input in pixels.

        Returns:
            A function of uint8 [B, height, width, 3] that returns boxes float32 [B, N, 4], xyxy in pixels of the
            network input, and scores float32 [B, N, C].
        """
        if self._export["outputs"] == "raw":
            decode = self._decoder(input_shape)
            return lambda images: decode(self.run(images))

        def run(images):
            outputs = self.run(images)
            return outputs["boxes"], outputs["scores"]

        return run

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs of the file by name for any number of images uint8 [B, height, width, 3]."""
        if self._export["input"] == "float32":
            images = images.astype(np.float32) / 255
        size = self._export["batch"]
        if size is None or size == len(images):
            return self._compute(images)

        missing = -len(images) % size  # images of zeros fill the last batch
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        batches = [self._compute(padded[start : start + size]) for start in range(0, len(padded), size)]
        return {name: np.concatenate([batch[name] for batch in batches])[: len(images)] for name in batches[0]}

    def _compute(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs of the runtime, whose exceptions have no common class."""
        try:
            return self._runtime(images)
        except Exception as error:
            raise ValueError(f"{self.source}: {self._title} failed while it computed: {first_line(error)}") from error

    def _decoder(self, input_shape: tuple[int, int]):
        """Return the function from raw outputs by name to boxes and scores, which Keras computes."""
        try:
            from keras import ops
        except ImportError as error:
            raise ValueError(
                f"{self.source}: holds raw outputs, and Keras, which decodes them, is not installed; run yolo3 export "
                "without --raw"
            ) from error
        from yolo3.models.registry import architecture_from_metadata

        architecture = architecture_from_metadata(self.metadata)

        def decode(outputs):
            raw = [ops.convert_to_tensor(outputs[f"raw_{number}"]) for number in range(len(outputs))]
            return [ops.convert_to_numpy(array) for array in architecture.decode(raw, input_shape)]

        return decode
