"""``Detector``: a network with all that is needed to use it; pictures in, detections in their pixels out."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import ops

from yolo3.anchors import read_anchors
from yolo3.boxes import area, clip
from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.network import build_network
from yolo3.datasets.annotation import read_class_names
from yolo3.images import RESIZE_MODES, boxes_to_image, read_image, resize_image
from yolo3.metrics import Detections
from yolo3.postprocess import scale_factors, select_boxes
from yolo3.saving import load_network, read_metadata
from yolo3.scales import check_anchor_mask, check_input_shape

DEFAULT_INPUT_SHAPE = (416, 416)  # of a network that does not say its own, as keras-yolo3's
_READERS = 4  # threads that decode pictures while the network computes

Picture = str | os.PathLike | np.ndarray


class Detector:
    """Detects objects: ``Detector("model.h5")("dog.jpg")`` returns :class:`yolo3.metrics.Detections`.

    ``weights_or_model``: a file that :func:`yolo3.saving.load_network` reads, or a ``keras.Model`` (input RGB
    0..1, outputs raw tensors, stride 32 first), then with its ``metadata``. What the metadata says counts
    unless an argument says otherwise: ``resize`` ("letterbox" or "stretch"), ``input_shape`` (height, width,
    multiples of 32), ``class_names``, ``anchors`` [.., 2] (w, h) in pixels of the network input,
    ``anchor_mask``. Scores have to be above ``score_threshold``; of boxes of one class that overlap by more
    than ``iou_threshold`` the best is kept; ``max_boxes`` a picture, over all classes. ``batch_size``:
    pictures that the network sees at once. Its graph is made at the first call: make one detector and keep
    it; weights that change count from the next call. Raises ``ValueError`` in one line where parts do not
    fit.
    """

    def __init__(
        self, weights_or_model, metadata: dict | None = None, *, score_threshold: float = 0.3,
        iou_threshold: float = 0.45, max_boxes: int = 300, resize: str | None = None,
        input_shape: Sequence[int] | None = None, class_names: Sequence[str] | None = None, anchors=None,
        anchor_mask: Sequence[Sequence[int]] | None = None, batch_size: int = 8,
    ):  # fmt: skip
        if isinstance(weights_or_model, keras.Model):
            self.model, self.source = weights_or_model, weights_or_model.name
        else:
            self.source = os.fspath(weights_or_model)
            self.model, stored = load_network(self.source, anchors, class_names, anchor_mask, _build_from_cfg)
            metadata = stored if metadata is None else metadata
        metadata = metadata or {}
        self.class_names = list(self._setting("class names", class_names, metadata.get("class_names")))
        self.anchors = np.asarray(self._setting("anchors", anchors, metadata.get("anchors")), np.float32)
        self.anchor_mask = check_anchor_mask(
            _first_given(anchor_mask, metadata.get("anchor_mask")), len(self.anchors)
        )
        self.scale_x_y = scale_factors(metadata.get("scale_x_y", 1.0), len(self.anchor_mask))
        self.input_shape = self._fitting_input_shape(_first_given(input_shape, metadata.get("input_shape")))
        self.resize = _first_given(resize, metadata.get("resize"), "letterbox")
        self.score_threshold, self.iou_threshold = float(score_threshold), float(iou_threshold)
        self.max_boxes, self.batch_size = int(max_boxes), int(batch_size)
        self._check_settings()
        self._check_outputs()
        self._detect_batch = _compiled(self._network_and_selection, self.input_shape)

    def __call__(self, pictures: Picture | Sequence[Picture]) -> Detections | list[Detections]:
        """Return the detections of a picture, or a list of them for a list of pictures (or [B, H, W, 3]).

        A picture is a path, or an array uint8 [H, W, 3], RGB. Boxes are xyxy float32 in pixels of the
        picture, upright as its EXIF orientation says, clipped to it; best scores first. Raises
        ``FileNotFoundError`` and ``ValueError`` naming a picture that cannot be read, ``TypeError`` for an
        array of another kind.
        """
        several = isinstance(pictures, (list, tuple)) or getattr(pictures, "ndim", 0) == 4
        batch: Any = pictures if several else [pictures]
        found = [detections for _, _, detections in self.detect_each(batch)]
        return found if several else found[0]

    def detect_each(
        self, pictures: Iterable[Picture], on_error: Callable[[Picture, Exception], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray, Detections]]:
        """Yield (index, picture uint8 [H, W, 3], detections) in order; only a few batches are in memory.

        With ``on_error`` a picture that cannot be read is given to it, with the reason, and left out.
        """
        readable = _readable(self._load_ahead(pictures), on_error)
        while batch := list(itertools.islice(readable, self.batch_size)):
            boxes, scores, class_ids, counts = self._detect_batch(
                np.stack([resized for _, _, resized in batch])
            )
            for (index, image, _), *row, count in zip(batch, boxes, scores, class_ids, counts, strict=True):
                yield index, image, self._in_pixels(image, *(array[:count] for array in row))

    def _setting(self, name: str, *values):
        value = _first_given(*values)
        if value is None:
            raise ValueError(f"{self.source}: carries no {name}; give them (--classes, --anchors)")
        return value

    def _fitting_input_shape(self, input_shape) -> tuple[int, int]:
        own = self.model.inputs[0].shape[1:3]
        shape = check_input_shape(
            _first_given(input_shape, own if None not in own else None, DEFAULT_INPUT_SHAPE)
        )
        if any(side is not None and side != wanted for side, wanted in zip(own, shape, strict=True)):
            raise ValueError(
                f"{self.source}: takes pictures of {own[0]} x {own[1]} alone, got {shape[0]} x {shape[1]}"
            )
        return shape

    def _check_settings(self) -> None:
        if self.resize not in RESIZE_MODES:
            raise ValueError(f"resize: expected one of {', '.join(RESIZE_MODES)}, got {self.resize!r}")
        for name in ("score_threshold", "iou_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        for name in ("max_boxes", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")

    def _check_outputs(self) -> None:
        """Compare the network's outputs with what its anchors and classes ask for."""
        channels = [output.shape[-1] for output in self.model.outputs]
        if len(channels) != len(self.anchor_mask):
            raise ValueError(
                f"{self.source}: has {len(channels)} outputs, but {len(self.anchors)} anchors were given for "
                f"{len(self.anchor_mask)}"
            )
        per_scale, num_classes = len(self.anchor_mask[0]), len(self.class_names)
        expected = per_scale * (5 + num_classes)
        if set(channels) != {expected}:
            raise ValueError(
                f"{self.source}: its outputs have {channels[0]} channels, but {num_classes} classes and "
                f"{per_scale} anchors a scale need {expected}"
            )

    def _network_and_selection(self, images):
        """Return the selected boxes of pictures uint8 [B, h, w, 3], in pixels of the network input."""
        outputs = self.model(ops.cast(images, "float32") / 255, training=False)
        return select_boxes(
            list(outputs) if isinstance(outputs, (list, tuple)) else [outputs],
            self.anchors, len(self.class_names), self.input_shape, self.anchor_mask, self.scale_x_y,
            self.score_threshold, self.iou_threshold, self.max_boxes,
        )  # fmt: skip

    def _load_ahead(self, pictures: Iterable[Picture]) -> Iterator[tuple[int, Picture, Future]]:
        """Yield (index, picture, future of :meth:`_load`); the next two batches are being read meanwhile."""
        waiting: deque = deque()
        with ThreadPoolExecutor(_READERS) as pool:
            try:
                for index, picture in enumerate(pictures):
                    waiting.append((index, picture, pool.submit(self._load, picture)))
                    if len(waiting) > 2 * self.batch_size:
                        yield waiting.popleft()
                while waiting:
                    yield waiting.popleft()
            finally:
                pool.shutdown(cancel_futures=True)

    def _load(self, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        """Return the picture and its copy in the network's size."""
        image = read_image(picture) if isinstance(picture, (str, os.PathLike)) else np.asarray(picture)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise TypeError(f"picture: expected uint8 [H, W, 3], RGB, got {image.dtype} {list(image.shape)}")
        return image, resize_image(image, self.input_shape, self.resize)

    def _in_pixels(self, image, boxes, scores, class_ids) -> Detections:
        """Return detections in pixels of the picture from the network's; none that lies outside it."""
        shape = image.shape[:2]
        boxes = clip(boxes_to_image(boxes, shape, self.input_shape, self.resize), shape)
        inside = area(boxes) > 0
        return Detections(boxes[inside], scores[inside], class_ids[inside])


def load_detector(
    weights: str | os.PathLike, classes_path: str | None = None, anchors_path: str | None = None, **options
) -> Detector:
    """Return the detector of a file of weights; files of class names and anchors serve if it carries none.

    ``options``: those of :class:`Detector`. Raises ``ValueError`` when a file disagrees with the weights.
    """
    metadata = read_metadata(weights) or {}
    if classes_path is not None:
        options["class_names"] = read_class_names(classes_path)
        _check_class_names(weights, metadata.get("class_names"), classes_path, options["class_names"])
    if anchors_path is not None:
        options["anchors"] = read_anchors(anchors_path)
        _check_anchors(weights, metadata.get("anchors"), anchors_path, options["anchors"])
    return Detector(weights, **options)


def _check_class_names(weights, stored, path, given) -> None:
    if stored is None or list(stored) == list(given):
        return
    if len(stored) != len(given):
        raise ValueError(
            f"{path} names {len(given)} classes, but {weights} has {len(stored)}; leave {path} out"
        )
    number = next(i for i, (a, b) in enumerate(zip(stored, given, strict=True)) if a != b)
    raise ValueError(
        f"{path} calls class {number} {given[number]!r}, but {weights} calls it {stored[number]!r}; "
        f"leave {path} out"
    )


def _check_anchors(weights, stored, path, given) -> None:
    if stored is None:
        return
    if len(stored) != len(given):
        raise ValueError(
            f"{path} holds {len(given)} anchors, but {weights} has {len(stored)}; leave {path} out"
        )
    wrong = np.flatnonzero(~np.isclose(stored, given, rtol=1e-4).all(-1))
    if wrong.size:
        number = wrong[0]
        raise ValueError(
            f"{path} says {_pair(given[number])} for anchor {number}, but {weights} says "
            f"{_pair(stored[number])}; leave {path} out"
        )


def _pair(anchor) -> str:
    return f"{anchor[0]:g},{anchor[1]:g}"


def _build_from_cfg(text: str) -> keras.Model:
    return build_network(parse_cfg(text))


def _first_given(*values):
    """Return the first value that is not ``None``."""
    return next((value for value in values if value is not None), None)


def _readable(loaded, on_error) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (index, picture, resized copy) of the futures that succeed."""
    for index, picture, future in loaded:
        try:
            image, resized = future.result()
        except (OSError, ValueError) as error:
            if on_error is None:
                raise
            on_error(picture, error)
            continue
        yield index, image, resized


def _compiled(function, input_shape):
    """Return ``function`` of pictures uint8 [B, h, w, 3] for NumPy arrays, as a graph under TensorFlow."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function(function, input_signature=[tf.TensorSpec((None, *input_shape, 3), tf.uint8)])
    return lambda images: [ops.convert_to_numpy(array) for array in function(ops.convert_to_tensor(images))]
