"""A Keras network in use: from images in its size to the boxes that suppression keeps, in one compiled graph."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from yolo3.inference.settings import DetectorSettings
from yolo3.models.architecture import check_input_shape, default_input_shape
from yolo3.models.loading import legacy_anchor_mask, load_network
from yolo3.models.registry import architecture_from_metadata
from yolo3.models.rewriting import fold_batch_norm, is_functional
from yolo3.ops.nms import non_max_suppression
from yolo3.precision import POLICIES, choose_precision


class KerasNetwork:
    """A network of Keras, from a file or as it is.

    Args:
        weights_or_model: Path of a file that :func:`yolo3.models.loading.load_network` reads, or a `keras.Model`.
        metadata: What the outputs mean; for a file, in place of its own.
        given: Values that take precedence over those of the metadata, by their keys.
        precision: A name of :data:`yolo3.precision.DETECTION_PRECISIONS`.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: If the parts do not fit each other.
    """

    lowest_score = 0.0
    """Threshold below which the network keeps no detections, whatever is asked for."""
    max_boxes = sys.maxsize
    """Most detections in an image that it can give."""
    suppresses = False
    """Whether suppression is within the network, so that it gives no candidates."""

    def __init__(
        self, weights_or_model: Any, metadata: dict | None = None, given: dict | None = None, precision: str = "float32"
    ):
        given = {name: value for name, value in (given or {}).items() if value is not None}
        from_file = not isinstance(weights_or_model, keras.Model)
        if from_file:
            self.source = os.fspath(weights_or_model)
            self.model, stored = load_network(self.source, **given)
            if stored is None and "anchors" in given and "anchor_mask" not in given:
                mask = legacy_anchor_mask(self.source, len(given["anchors"]))
                given |= {} if mask is None else {"anchor_mask": mask}
            metadata = stored if metadata is None else metadata
        else:
            self.model, self.source = weights_or_model, weights_or_model.name

        self.metadata: dict[str, Any] = (metadata or {}) | given
        with self._naming_source():
            self.architecture = architecture_from_metadata(self.metadata)
            self.architecture.check_outputs([tuple(output.shape) for output in self.model.outputs])

        self.precision = choose_precision(precision)
        self.folded = self.model
        if self.precision != "float32" or (from_file and is_functional(self.model)):
            self.fold()

    @property
    def one_class(self) -> str | None:
        """Name of all objects, for an architecture that does not tell classes apart."""
        return self.architecture.one_class

    @property
    def iou_threshold(self) -> float:
        """The architecture's threshold of suppression."""
        return self.architecture.iou_threshold

    @property
    def title(self) -> str:
        """The network in words."""
        return f"{self.model.name}, {self.model.count_params():,} parameters"

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the modules that it runs with, for their versions."""
        return "keras", keras.backend.backend()

    def fold(self) -> None:
        """Use a faster copy of the network from now on; later changes of the weights have no effect.

        Raises:
            ValueError: If the network is not a functional one.
        """
        if self.folded is not self.model:
            return
        policy = None if self.precision == "float32" else POLICIES[self.precision]
        with self._naming_source():
            self.folded = fold_batch_norm(self.model, policy)

    def choose_input_shape(self, input_shape: Sequence[int] | None) -> tuple[int, int]:
        """Return (height, width) of the network input in pixels: what is asked for, else the network's own.

        Raises:
            ValueError: For a size that the network does not take.
        """
        own = self.model.inputs[0].shape[1:3]
        stride = self.architecture.stride
        if input_shape is None:
            input_shape = self.metadata.get("input_shape")
        if input_shape is None:
            input_shape = own if None not in own else default_input_shape(stride)

        with self._naming_source():
            shape = check_input_shape(input_shape, stride)
        if any(side is not None and side != wanted for side, wanted in zip(own, shape, strict=True)):
            raise ValueError(f"{self.source}: takes images of {own[0]} x {own[1]} only, got {shape[0]} x {shape[1]}")
        return shape

    def check(self, settings: DetectorSettings) -> None:
        """Take any settings."""

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

        def select(images):
            boxes, scores = self.decoded(ops.cast(images, "float32") / 255, input_shape)
            return non_max_suppression(
                boxes,
                scores,
                score_threshold=settings.score_threshold,
                iou_threshold=settings.iou_threshold,
                max_boxes=settings.max_boxes,
                method=settings.nms,
                overlap=settings.nms_overlap,
            )

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            select = tf.function(
                select, input_signature=[tf.TensorSpec((None, *input_shape, 3), tf.uint8)], autograph=False
            )

        def run(images):
            found = [ops.convert_to_numpy(array) for array in select(ops.convert_to_tensor(images))]
            return [tuple(part[:num] for part in parts) for *parts, num in zip(*found, strict=True)]

        return run

    def candidates(self, input_shape: tuple[int, int]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return the function of a batch of images that gives their boxes before suppression.

        Args:
            input_shape: (height, width) of the network input in pixels.

        Returns:
            A function of uint8 [B, height, width, 3] that returns boxes float32 [B, N, 4], xyxy in pixels of the
            network input, and scores float32 [B, N, C].
        """

        def decode(images):
            return self.decoded(ops.cast(images, "float32") / 255, input_shape)

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            decode = tf.function(
                decode, input_signature=[tf.TensorSpec((None, *input_shape, 3), tf.uint8)], autograph=False
            )

        def run(images):
            boxes, scores = decode(ops.convert_to_tensor(images))
            return ops.convert_to_numpy(boxes), ops.convert_to_numpy(scores)

        return run

    def raw(self, images) -> list:
        """Return the raw outputs, float32, for a tensor of images float32 [B, h, w, 3], 0..1."""
        outputs = self.folded(images, training=False)
        return [ops.cast(output, "float32") for output in keras.tree.flatten(outputs)]

    def decoded(self, images, input_shape: tuple[int, int]):
        """Return boxes [B, N, 4], xyxy in pixels of the network input, and scores [B, N, C] for images as `raw`."""
        return self.architecture.decode(self.raw(images), input_shape)

    @contextlib.contextmanager
    def _naming_source(self) -> Iterator[None]:
        """Put the name of the file or model before the message of a `ValueError`."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from error
