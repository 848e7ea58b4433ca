"""``Detector``: a network with all that is needed to use it; images in, detections in their pixels out."""

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import ops

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.keras_weights import load_weights
from yolo3.darknet.recipe import settings_of
from yolo3.datasets.class_names import bundled_class_names, read_class_names
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.inference.settings import DetectorSettings
from yolo3.models.architecture import check_input_shape, default_input_shape
from yolo3.models.loading import legacy_anchor_mask, load_network
from yolo3.models.metadata import is_keras_file, read_metadata
from yolo3.models.registry import architecture_from_metadata, architecture_of_cfg
from yolo3.models.rewriting import fold_batch_norm, is_functional
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.ops.boxes import area, clip
from yolo3.ops.letterbox import boxes_to_image, resize_image
from yolo3.ops.nms import non_max_suppression
from yolo3.precision import POLICIES, choose_precision
from yolo3.settings import settings_in

_READERS = 4  # threads that decode images while the network computes

Image = str | os.PathLike | np.ndarray


class Detector:
    """Detects objects: ``Detector("model.h5")("dog.jpg")`` returns :class:`yolo3.detections.Detections`.

    ``weights_or_model``: a file that :func:`yolo3.models.loading.load_network` reads, or a ``keras.Model`` (input RGB
    0..1, outputs raw tensors), then with its ``metadata``. What the metadata says counts
    unless an argument says otherwise: ``resize`` ("letterbox" or "stretch"), ``input_shape`` (height, width,
    multiples of 32), ``class_names``, ``anchors`` [.., 2] (w, h) in pixels of the network input,
    ``anchor_mask``. Scores have to be above ``score_threshold``; of boxes of one class that overlap by more
    than ``iou_threshold`` (by default the architecture's, .45) the best is kept, ``nms`` and ``nms_overlap`` say how
    (:mod:`yolo3.ops.nms`);
    ``max_boxes`` an image, over all classes. ``batch_size``: images that the network sees at once. Its graph
    is made at the first call: make one detector and keep it. Weights of a ``keras.Model`` that change count from the
    next call; those of a file are folded (:mod:`yolo3.models.rewriting`): ``model`` is what the file holds and no more.
    ``precision``: "float32", in which networks are made; "bfloat16", faster where the machine multiplies in it, which
    moves scores by about a hundredth; or "auto", the second where TensorFlow's kernels multiply in it here. A
    ``keras.Model`` is copied for another than float32.
    ``architecture``: what the outputs mean (:mod:`yolo3.models.architecture`). Raises ``ValueError`` in one line where parts do
    not fit.
    """

    def __init__(
        self,
        weights_or_model,
        metadata: dict | None = None,
        *,
        score_threshold: float = DetectorSettings.score_threshold,
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
        if isinstance(weights_or_model, keras.Model):
            self.model, self.source = weights_or_model, weights_or_model.name
        else:
            self.source = os.fspath(weights_or_model)
            self.model, stored = load_network(self.source, anchors, class_names, anchor_mask)
            if stored is None and anchors is not None and anchor_mask is None:
                anchor_mask = legacy_anchor_mask(self.source, len(anchors))
            metadata = stored if metadata is None else metadata
        given = {"class_names": class_names, "anchors": anchors, "anchor_mask": anchor_mask}
        metadata = (metadata or {}) | {name: value for name, value in given.items() if value is not None}
        try:
            self.architecture = architecture_from_metadata(metadata)
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from error
        self.class_names = list(metadata["class_names"])
        self.input_shape = self._fitting_input_shape(_first_given(input_shape, metadata.get("input_shape")))
        self.resize = _first_given(resize, metadata.get("resize"), "letterbox")
        self.score_threshold = float(score_threshold)
        self.iou_threshold = float(_first_given(iou_threshold, self.architecture.iou_threshold))
        self.max_boxes, self.batch_size = int(max_boxes), int(batch_size)
        self.nms, self.nms_overlap, self.precision = nms, nms_overlap, precision
        DetectorSettings(**{name: getattr(self, name) for name in settings_in(DetectorSettings)})  # checks each of them
        self.precision = choose_precision(precision)
        try:
            self.architecture.check_outputs([tuple(output.shape) for output in self.model.outputs])
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from error
        self._network = self.model
        from_file = not isinstance(weights_or_model, keras.Model)
        if self.precision != "float32" or (from_file and is_functional(self.model)):
            self._fold()
        self._detect_batch = _compiled(self._network_and_selection, self.input_shape)

    def __call__(self, images: Image | Sequence[Image]) -> Detections | list[Detections]:
        """Return the detections of an image, or a list of them for a list of images (or [B, H, W, 3]).

        An image is a path, or an array uint8 [H, W, 3], RGB. Boxes are xyxy float32 in pixels of the
        image, upright as its EXIF orientation says, clipped to it; best scores first. Raises
        ``FileNotFoundError`` and ``ValueError`` naming an image that cannot be read, ``TypeError`` for an
        array of another kind.
        """
        several = isinstance(images, (list, tuple)) or getattr(images, "ndim", 0) == 4
        batch: Any = images if several else [images]
        found = [detections for _, _, detections in self.detect_each(batch)]
        return found if several else found[0]

    def detect_each(
        self, images: Iterable[Image], on_error: Callable[[Image, Exception], None] | None = None
    ) -> Iterator[tuple[int, np.ndarray, Detections]]:
        """Yield (index, image uint8 [H, W, 3], detections) in order; only a few batches are in memory.

        With ``on_error`` an image that cannot be read is given to it, with the reason, and left out.
        """
        with contextlib.closing(self._load_ahead(images)) as loaded:
            readable = _readable(loaded, on_error)
            while batch := list(itertools.islice(readable, self.batch_size)):
                boxes, scores, class_ids, counts = self._detect_batch(np.stack([resized for _, _, resized in batch]))
                for (index, image, _), *row, count in zip(batch, boxes, scores, class_ids, counts, strict=True):
                    yield index, image, self._in_pixels(image, *(array[:count] for array in row))

    @property
    def anchors(self) -> np.ndarray | None:
        """float32 [N, 2] (w, h) in pixels of the network input; None for a network without any."""
        return getattr(self.architecture, "anchors", None)

    def _fitting_input_shape(self, input_shape) -> tuple[int, int]:
        own = self.model.inputs[0].shape[1:3]
        stride = self.architecture.stride
        own_size = own if None not in own else None
        shape = check_input_shape(_first_given(input_shape, own_size, default_input_shape(stride)), stride)
        if any(side is not None and side != wanted for side, wanted in zip(own, shape, strict=True)):
            raise ValueError(f"{self.source}: takes images of {own[0]} x {own[1]} alone, got {shape[0]} x {shape[1]}")
        return shape

    def _fold(self) -> None:
        """Detect with a copy of the network that has fewer passes; the weights are those of now."""
        policy = None if self.precision == "float32" else POLICIES[self.precision]
        try:
            self._network = fold_batch_norm(self.model, policy)
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from error

    def _network_and_selection(self, images):
        """Return the selected boxes of images uint8 [B, h, w, 3], in pixels of the network input."""
        outputs = self._network(ops.cast(images, "float32") / 255, training=False)
        outputs = [ops.cast(output, "float32") for output in keras.tree.flatten(outputs)]
        boxes, scores = self.architecture.decode(outputs, self.input_shape)
        return non_max_suppression(
            boxes, scores, self.score_threshold, self.iou_threshold, self.max_boxes, method=self.nms,
            overlap=self.nms_overlap,
        )  # fmt: skip

    def _load_ahead(self, images: Iterable[Image]) -> Generator[tuple[int, Image, Future], None, None]:
        """Yield (index, image, future of :meth:`_load`); the next two batches are being read meanwhile.

        The end waits for no thread: a generator that is left alone ends within some garbage collection, and there a
        thread that waits for another one may wait for ever.
        """
        waiting: deque = deque()
        pool = ThreadPoolExecutor(_READERS)
        try:
            for index, source in enumerate(images):
                waiting.append((index, source, pool.submit(self._load, source)))
                if len(waiting) > 2 * self.batch_size:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, source: Image) -> tuple[np.ndarray, np.ndarray]:
        """Return the image and its copy in the network's size."""
        image = read_image(source) if isinstance(source, (str, os.PathLike)) else np.asarray(source)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise TypeError(f"image: expected uint8 [H, W, 3], RGB, got {image.dtype} {list(image.shape)}")
        return image, resize_image(image, self.input_shape, self.resize)

    def _in_pixels(self, image, boxes, scores, class_ids) -> Detections:
        """Return detections in pixels of the image from the network's; none that lies outside it."""
        shape = image.shape[:2]
        boxes = clip(boxes_to_image(boxes, shape, self.input_shape, self.resize), shape)
        inside = area(boxes) > 0
        return Detections(boxes[inside], scores[inside], class_ids[inside])


def load_detector(
    weights: str | os.PathLike, classes_path: str | None = None, anchors_path: str | None = None,
    cfg_path: str | None = None, **options,
) -> Detector:  # fmt: skip
    """Return the detector of a file of weights; files of class names and anchors serve if it carries none.

    ``cfg_path``: the cfg of weights in Darknet's format; COCO's 80 and VOC's 20 class names need not be given
    with it. ``options``: those of :class:`Detector`. Raises ``ValueError`` when a file disagrees with the weights.
    """
    if not is_keras_file(weights):
        if cfg_path is not None:
            return _load_darknet(os.fspath(weights), cfg_path, classes_path, anchors_path, options)
    elif cfg_path is not None:
        raise ValueError(f"{weights}: a Keras file says its own network; leave {cfg_path} out")
    metadata = read_metadata(weights) or {}
    if classes_path is not None:
        options["class_names"] = read_class_names(classes_path)
        _check_class_names(weights, metadata.get("class_names"), classes_path, options["class_names"])
    if anchors_path is not None:
        options["anchors"] = read_anchors(anchors_path)
        _check_anchors(weights, metadata.get("anchors"), anchors_path, options["anchors"])
    return Detector(weights, **options)


def _load_darknet(weights: str, cfg_path: str, classes_path, anchors_path, options: dict) -> Detector:
    """Return the detector of a network as Darknet has it: a cfg and a file of weights."""
    cfg = read_cfg(cfg_path)
    architecture = architecture_of_cfg(cfg, anchors=None if anchors_path is None else read_anchors(anchors_path))
    settings = settings_of(cfg)
    size = options.get("input_shape") or settings.get("input_size") or default_input_shape(architecture.stride)
    network = architecture.build_network((*size, 3) if architecture.fixed_size else (None, None, 3))
    if load_weights(network, cfg, weights).missing:
        raise ValueError(f"{weights}: holds the first layers of {cfg_path} alone; train before use")
    classes_path = classes_path or bundled_class_names(architecture.num_classes)
    if classes_path is None:
        raise ValueError(
            f"{cfg_path}: says {architecture.num_classes} classes but not their names; give --classes FILE"
        )
    names = read_class_names(classes_path)
    if len(names) != architecture.num_classes:
        raise ValueError(
            f"{classes_path}: expected {architecture.num_classes} names as {cfg_path} says, got {len(names)}"
        )
    metadata = {
        **architecture.metadata(),
        "class_names": names,
        "input_shape": list(size),
        "resize": settings["resize"],
    }
    detector = Detector(network, metadata, **options)
    if detector._network is network:
        detector._fold()
    return detector


def _check_class_names(weights, stored, path, given) -> None:
    if stored is None or list(stored) == list(given):
        return
    if len(stored) != len(given):
        raise ValueError(f"{path} names {len(given)} classes, but {weights} has {len(stored)}; leave {path} out")
    number = next(i for i, (a, b) in enumerate(zip(stored, given, strict=True)) if a != b)
    raise ValueError(
        f"{path} calls class {number} {given[number]!r}, but {weights} calls it {stored[number]!r}; leave {path} out"
    )


def _check_anchors(weights, stored, path, given) -> None:
    if stored is None:
        return
    if len(stored) != len(given):
        raise ValueError(f"{path} holds {len(given)} anchors, but {weights} has {len(stored)}; leave {path} out")
    wrong = np.flatnonzero(~np.isclose(stored, given, rtol=1e-4).all(-1))
    if wrong.size:
        number = wrong[0]
        raise ValueError(
            f"{path} says {_pair(given[number])} for anchor {number}, but {weights} says "
            f"{_pair(stored[number])}; leave {path} out"
        )


def _pair(anchor) -> str:
    return f"{anchor[0]:g},{anchor[1]:g}"


def _first_given(*values):
    """Return the first value that is not ``None``."""
    return next((value for value in values if value is not None), None)


def _readable(loaded, on_error) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (index, image, resized copy) of the futures that succeed."""
    for index, source, future in loaded:
        try:
            image, resized = future.result()
        except (OSError, ValueError) as error:
            if on_error is None:
                raise
            on_error(source, error)
            continue
        yield index, image, resized


def _compiled(function, input_shape):
    """Return ``function`` of images uint8 [B, h, w, 3] for NumPy arrays, as a graph under TensorFlow."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function(function, input_signature=[tf.TensorSpec((None, *input_shape, 3), tf.uint8)])
    return lambda images: [ops.convert_to_numpy(array) for array in function(ops.convert_to_tensor(images))]
