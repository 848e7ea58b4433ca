"""The detector: a network with everything needed to use it, from images to boxes in their pixels."""

import contextlib
import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from yolo3.arguments import Arguments
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.inference.candidates import Candidates, detections_in_image
from yolo3.inference.detection_result import DetectionResult
from yolo3.inference.runtimes.registry import find_runtime
from yolo3.inference.settings import DetectorSettings
from yolo3.ops.letterbox import resize_image
from yolo3.settings import settings_in

_READERS = 4  # threads that decode images while the network computes

Image = str | os.PathLike | np.ndarray

_OWN = ("class_names", "anchors")
_ARGUMENTS = Arguments("Detector", (DetectorSettings,), own=_OWN, names={"classes": "class_names"}, valued=_OWN)


class Detector:
    """Detect objects in images of any size.

    The compiled graph is made at the first call, so make one detector and keep it. Weights of a `keras.Model` may
    change: the next call uses the new ones. Networks from files are detected with in a faster form, with batch
    normalization folded into the convolutions (:mod:`yolo3.models.rewriting`); the attribute `model` is what the file
    holds, `metadata` what it says about it. Exported files need neither Keras nor TensorFlow, except SavedModel.

    Args:
        weights_or_model: Path of a file that :func:`yolo3.models.loading.load_network` reads, or of an exported one
            (.onnx, .tflite, .xml, the folder of a SavedModel); or a `keras.Model` from RGB images in 0..1 to raw
            outputs.
        metadata: What the outputs of a `keras.Model` mean, as :mod:`yolo3.models.saving` describes it; files carry
            their own. Arguments below take precedence over it.
        score_threshold: Score above which a detection is kept, 0 to 1; `None` for the lowest that the network allows,
            which is 0 but for exported files with suppression within.
        iou_threshold: Overlap of two boxes of a class above which non-maximum suppression acts on the weaker one, 0 to
            1. Defaults to the architecture's (YOLO: 0.45).
        max_boxes: Maximum number of detections in an image, over all classes.
        resize: How images are brought to the network's input size, "letterbox" or "stretch". Defaults to the
            metadata's, then to "letterbox".
        input_shape: (height, width) of the network input in pixels, multiples of the network's largest stride. Defaults
            to the metadata's, then to the network's own, then to 416 x 416 rounded down.
        class_names: Name of each class id. Defaults to the metadata's.
        anchors: [N, 2], (w, h) in pixels of the network input. Defaults to the metadata's.
        anchor_mask: Indices of each scale's anchors. Defaults to the metadata's, then to those of nine or six anchors.
        batch_size: Number of images that the network sees at once.
        nms: Method of non-maximum suppression, "greedy", "soft" or "diou" (:mod:`yolo3.ops.nms`).
        nms_overlap: Overlap that it uses, "iou" or "ios" (:mod:`yolo3.ops.nms`).
        precision: "float32"; "bfloat16", which is faster on hardware that supports it and moves scores by about 0.01;
            or "auto", which chooses bfloat16 on such hardware. A `keras.Model` is copied for any other than float32.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: If the parts do not fit each other, or an argument is out of range.

    Example:
        >>> detector = Detector("model.h5", score_threshold=0.5)
        >>> found = detector("dog.jpg")
        >>> found.names
        ['dog', 'bicycle', 'car']
        >>> found.boxes.shape  # (x_min, y_min, x_max, y_max) in pixels of the image
        (3, 4)
    """

    @_ARGUMENTS.in_messages()
    def __init__(
        self,
        weights_or_model,
        metadata: dict | None = None,
        *,
        score_threshold: float | None = DetectorSettings.score_threshold,
        iou_threshold: float | None = DetectorSettings.iou_threshold,
        max_boxes: int = DetectorSettings.max_boxes,
        resize: str | None = DetectorSettings.resize,
        input_shape: Sequence[int] | None = DetectorSettings.input_shape,
        class_names: Sequence[str] | None = None,
        anchors=None,
        anchor_mask: Sequence[Sequence[int]] | None = None,
        batch_size: int = DetectorSettings.batch_size,
        nms: str = DetectorSettings.nms,
        nms_overlap: str = DetectorSettings.nms_overlap,
        precision: str = DetectorSettings.precision,
    ):
        given = {"class_names": class_names, "anchors": anchors, "anchor_mask": anchor_mask}
        self._network: Any
        runtime = find_runtime(weights_or_model)
        if runtime is not None:
            from yolo3.inference.exported_network import ExportedNetwork

            self._network = ExportedNetwork(weights_or_model, runtime, given)
        else:
            from yolo3.inference.keras_network import KerasNetwork

            self._network = KerasNetwork(weights_or_model, metadata, given, precision)

        self.metadata: dict[str, Any] = self._network.metadata
        stored = self.metadata
        names = stored.get("class_names")
        self.source: str = self._network.source
        self.class_names = [str(self._network.one_class)] if names is None else list(names)
        self.input_shape: tuple[int, int] = self._network.choose_input_shape(input_shape)

        self.resize = _first_given(resize, stored.get("resize"), "letterbox")
        self.score_threshold = float(_first_given(score_threshold, self._network.lowest_score))
        self.iou_threshold = float(_first_given(iou_threshold, self._network.iou_threshold))
        self.max_boxes, self.batch_size = min(int(max_boxes), self._network.max_boxes), int(batch_size)
        self.nms, self.nms_overlap, self.precision = nms, nms_overlap, precision
        # the record checks them
        self._settings = DetectorSettings(**{name: getattr(self, name) for name in settings_in(DetectorSettings)})
        self._network.check(self._settings)

        self.precision = self._network.precision
        self._select = self._network.selection(self._settings, self.input_shape)

    def __call__(self, images: Image | Sequence[Image]) -> DetectionResult | list[DetectionResult]:
        """Return the detections in an image, or a list of them for several images.

        Args:
            images: A path or an array uint8 [H, W, 3], RGB; or a list of these, or an array uint8 [B, H, W, 3].

        Returns:
            :class:`yolo3.inference.detection_result.DetectionResult`, or a list of them. Boxes are clipped to the
            image, turned upright as its EXIF orientation says; best scores come first.

        Raises:
            FileNotFoundError: For an image that does not exist.
            TypeError: For an array of another dtype or shape.
            ValueError: For a file that is not an image.
        """
        several = isinstance(images, (list, tuple)) or getattr(images, "ndim", 0) == 4
        batch: Any = images if several else [images]
        found = [
            DetectionResult(
                detections.boxes,
                detections.scores,
                detections.class_ids,
                class_names=self.class_names,
                image=batch[index],
            )
            for index, _, detections in self.detect_each(batch)
        ]
        return found if several else found[0]

    def detect_each(
        self, images: Iterable[Image], on_error: Callable[[Image, Exception], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray, Detections]]:
        """Yield the detections in each image, in order, with only a few batches in memory.

        Args:
            images: Paths, or arrays uint8 [H, W, 3], RGB.
            on_error: Called with an image that cannot be read, and the error; the image is then skipped.

        Yields:
            Tuples of index, image (uint8 [H, W, 3], RGB) and :class:`yolo3.detections.Detections`.

        Raises:
            OSError, TypeError, ValueError: As for a call of the detector. Given `on_error`, `TypeError` alone.
        """
        with contextlib.closing(self._load_ahead(images, on_error)) as loaded:
            while batch := list(itertools.islice(loaded, self.batch_size)):
                found = self._select(np.stack([resized for _, _, resized in batch]))
                for (index, image, _), parts in zip(batch, found, strict=True):
                    in_image = detections_in_image(
                        Detections(*parts), image.shape[:2], input_shape=self.input_shape, resize=self.resize
                    )
                    yield index, image, in_image

    def candidates(self, image: Image) -> Candidates:
        """Return the boxes in an image before suppression, from which thresholds select again and again.

        Args:
            image: A path, or an array uint8 [H, W, 3], RGB.

        Returns:
            :class:`yolo3.inference.candidates.Candidates`. Their :meth:`~yolo3.inference.candidates.Candidates.select`
            gives what a detector with its thresholds gives.

        Raises:
            OSError, TypeError, ValueError: As for a call of the detector.

        Example:
            >>> candidates = Detector("yolov3-tiny.onnx").candidates("dog.jpg")  # computes the network
            >>> [len(candidates.select(score_threshold)) for score_threshold in (0.05, 0.3, 0.5)]
            [10, 6, 5]
        """
        with _ARGUMENTS.in_messages():
            pixels, resized = self._load(image)
        if self._network.suppresses:
            ((boxes, scores, class_ids),) = self._select(resized[None])
            scores = scores[:, None] * (class_ids[:, None] == np.arange(len(self.class_names)))  # [N, C]
        else:
            boxes, scores = (arrays[0] for arrays in self._decode(resized[None]))
        return Candidates(pixels, boxes, scores, self._settings, suppressed=self._network.suppresses)

    @functools.cached_property
    def _decode(self) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        return self._network.candidates(self.input_shape)

    @property
    def network(self) -> Any:
        """What computes, of :mod:`yolo3.inference.keras_network` or :mod:`yolo3.inference.exported_network`."""
        return self._network

    @property
    def model(self) -> Any:
        """The `keras.Model`; `None` for an exported file."""
        return self._network.model

    @property
    def architecture(self) -> Any:
        """What the network's outputs mean (:mod:`yolo3.models.architecture`); `None` for an exported file."""
        return self._network.architecture

    @property
    def anchors(self) -> np.ndarray | None:
        """float32 [N, 2], (w, h) in pixels of the network input; `None` for an architecture without anchors."""
        anchors = self._network.metadata.get("anchors")
        return getattr(self.architecture, "anchors", None if anchors is None else np.asarray(anchors, np.float32))

    def fold(self) -> None:
        """Detect with a faster copy of the network from now on; later changes of the weights have no effect.

        Raises:
            ValueError: If the network is not a functional one.
        """
        self._network.fold()

    def _load_ahead(
        self, images: Iterable[Image], on_error
    ) -> Generator[tuple[int, np.ndarray, np.ndarray], None, None]:
        """Yield (index, image, its copy in the network's size) while the next two batches are being read.

        The end does not wait for threads: an abandoned generator ends within some garbage collection, where a thread
        that waits for another may wait forever.
        """
        sources = enumerate(images)
        waiting: deque[tuple[int, Image, Future]] = deque()
        pool = ThreadPoolExecutor(_READERS)
        try:
            while True:
                for index, source in itertools.islice(sources, 2 * self.batch_size + 1 - len(waiting)):
                    waiting.append((index, source, pool.submit(self._load, source)))
                if not waiting:
                    return

                index, source, future = waiting.popleft()
                try:
                    with _ARGUMENTS.in_messages():
                        image, resized = future.result()
                except (OSError, ValueError) as error:
                    if on_error is None:
                        raise
                    on_error(source, error)
                    continue
                yield index, image, resized
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, source: Image) -> tuple[np.ndarray, np.ndarray]:
        """Return the image and its copy in the network's size."""
        image = read_image(source) if isinstance(source, (str, os.PathLike)) else np.asarray(source)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise TypeError(f"image: expected uint8 [H, W, 3], RGB, got {image.dtype} {list(image.shape)}")
        return image, resize_image(image, self.input_shape, self.resize)


def _first_given(*values):
    """Return the first value that is not ``None``."""
    return next((value for value in values if value is not None), None)
