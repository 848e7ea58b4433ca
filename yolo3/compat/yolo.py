"""keras-yolo3's class ``YOLO`` and its ``detect_video``: ``from yolo3.yolo import YOLO, detect_video``.

They serve old scripts; new code has :class:`yolo3.inference.detector.Detector`. ``docs/conventions.md`` says what
differs from keras-yolo3.
"""

import contextlib
import dataclasses
import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from yolo3.arguments import Arguments
from yolo3.datasets.image_header import exif_orientation
from yolo3.datasets.images import pil_pixels, turn_upright
from yolo3.inference.detector import Detector
from yolo3.inference.loading import load_detector
from yolo3.inference.videos import Frame, VideoFile, read_frames
from yolo3.inference.window import Window
from yolo3.models.metadata import read_metadata
from yolo3.ops.boxes import swap_xy
from yolo3.visualize.boxes import class_colour, draw_boxes

logger = logging.getLogger(__name__)

_SHIPPED = {
    "model_path": "model_data/yolo.h5",
    "anchors_path": "model_data/yolo_anchors.txt",
    "classes_path": "model_data/coco_classes.txt",
    "score": 0.3,
    "iou": 0.45,
    "model_image_size": (416, 416),
    "gpu_num": 1,
    "anchor_mask": None,
}
# The options of keras-yolo3's yolo_video.py, which passed all of them on: YOLO(**vars(FLAGS)).
_OPTION_NAMES = {"model": "model_path", "anchors": "anchors_path", "classes": "classes_path"}
_ARGUMENTS = Arguments(
    "YOLO",
    (),
    own=tuple(_SHIPPED),
    names={
        "weights": "model_path",
        "classes": "classes_path",
        "anchors": "anchors_path",
        "score_threshold": "score",
        "iou_threshold": "iou",
        "input_shape": "model_image_size",
    },
    valued=tuple(_SHIPPED),
)
_OTHER_OPTIONS = {"image", "input", "output"}
_SIZES_KEPT = 8  # graphs for images of different sizes, of a few MB each


class YOLO:
    """Detect objects and draw them, as keras-yolo3's class did.

    The defaults of the arguments are in the class attribute ``_defaults``, which may be changed. Anchors, class names
    and size that the file of weights holds are used unless they are given; it is an error if those given disagree.

    Args:
        model_path: File of the network or of weights alone.
        anchors_path: File of anchors.
        classes_path: File of class names.
        score: Score threshold, 0..1.
        iou: IoU threshold of non-maximum suppression, 0..1.
        model_image_size: (height, width) in pixels, multiples of the network's stride. (None, None) takes each image
            at its own size, rounded down.
        gpu_num: Without effect.
        anchor_mask: Anchor indices of each scale: see :mod:`yolo3.models.yolov3.scales`.

    Attributes:
        class_names: Names of the classes.
        anchors: float32 [N, 2] (w, h), pixels of the network input.
        colors: (r, g, b) for each class.
        yolo_model: The ``keras.Model``.
        boxes: Of the last image, float32 [N, 4] (y_min, x_min, y_max, x_max) in its pixels.
        scores: Of the last image, float32 [N].
        classes: Of the last image, class ids int32 [N].

    Raises:
        TypeError: For other arguments.
        OSError: For files that cannot be opened.
        ValueError: For files that cannot be used.

    Example:
        ``YOLO(model_path="model.h5").detect_image(pil_image)`` is the image with its boxes.
    """

    _defaults = dict(_SHIPPED)

    model_path: str
    anchors_path: str
    classes_path: str
    score: float
    iou: float
    model_image_size: Sequence[int | None]
    gpu_num: int
    anchor_mask: Sequence[Sequence[int]] | None

    @classmethod
    def get_defaults(cls, n: str) -> Any:
        """Return the default of an argument; raise ``ValueError`` for a name that is none."""
        defaults = {**_SHIPPED, **cls._defaults}
        if n not in defaults:
            raise ValueError(f"YOLO: expected one of {', '.join(defaults)}, got {n!r}")
        return defaults[n]

    def __init__(self, **kwargs):
        kwargs = {_OPTION_NAMES.get(name, name): value for name, value in kwargs.items() if name not in _OTHER_OPTIONS}
        if unknown := sorted(kwargs.keys() - _SHIPPED.keys()):
            raise TypeError(f"YOLO: expected arguments among {', '.join(_SHIPPED)}, got {', '.join(unknown)}")
        settings = {name: self.get_defaults(name) for name in _SHIPPED} | kwargs
        self._given = {name for name, value in settings.items() if name in kwargs or value != _SHIPPED[name]}
        self.__dict__.update(settings)
        self.boxes, self.scores, self.classes = self.generate()

    @_ARGUMENTS.in_messages()
    def generate(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the network as the attributes say; return boxes, scores and classes of no image, all empty."""
        size = self.model_image_size
        size = tuple(size) if isinstance(size, (tuple, list, np.ndarray)) else ()
        if len(size) != 2 or (None in size and size != (None, None)):
            raise ValueError(f"model_image_size: expected (height, width) or (None, None), got {self.model_image_size}")
        self._takes_own_size = size == (None, None)

        weights = os.path.expanduser(self.model_path)
        described = read_metadata(weights)
        classes_path = anchors_path = None
        if "classes_path" in self._given or not (described or {}).get("class_names"):
            classes_path = os.path.expanduser(self.classes_path)
        if "anchors_path" in self._given or described is None:
            anchors_path = os.path.expanduser(self.anchors_path)
        self._detector = load_detector(
            weights,
            classes_path,
            anchors_path,
            anchor_mask=self.anchor_mask,
            input_shape=None if self._takes_own_size or "model_image_size" not in self._given else size,
            **self._thresholds(),
        )
        self._detectors: dict[tuple[int, int], Detector] = {}

        if not self._takes_own_size:
            self.model_image_size = self._detector.input_shape
        self.yolo_model = self._detector.model
        self.class_names, self.anchors = self._detector.class_names, self._detector.anchors
        self.colors = [class_colour(class_id) for class_id in range(len(self.class_names))]
        if self.gpu_num > 1:
            logger.warning("gpu_num is %s, but one device is used", self.gpu_num)
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)

    def _thresholds(self) -> dict:
        return {"score_threshold": self.score, "iou_threshold": self.iou}

    def _detector_for(self, image_shape: Sequence[int]) -> Detector:
        """Return the detector of the input size at which an image of ``image_shape`` is detected."""
        own = self._detector
        if not self._takes_own_size:
            return own

        stride = own.architecture.stride
        height, width = (max(side // stride, 1) * stride for side in image_shape[:2])
        if (height, width) not in self._detectors:
            if len(self._detectors) == _SIZES_KEPT:
                del self._detectors[next(iter(self._detectors))]
            metadata = {**own.architecture.metadata(), "class_names": own.class_names, "resize": own.resize}
            self._detectors[height, width] = Detector(
                self.yolo_model, metadata, input_shape=(height, width), **self._thresholds()
            )
        return self._detectors[height, width]

    def detect_image(self, image):
        """Return a copy of an image with boxes and labels on it.

        What was found is in ``boxes``, ``scores`` and ``classes``.

        Args:
            image: A PIL image, taken upright as its EXIF orientation says.

        Returns:
            A PIL image, RGB.

        Raises:
            TypeError: For anything but a PIL image.
        """
        from PIL import Image

        if not isinstance(image, Image.Image):
            raise TypeError(f"detect_image: expected a PIL image, got {type(image).__name__}; use PIL.Image.open")
        pixels = pil_pixels(image)
        if image.info.get("exif"):
            pixels = turn_upright(pixels, exif_orientation(image.info["exif"].removeprefix(b"Exif\0\0")))

        found = self._detector_for(pixels.shape)(pixels)
        self.boxes, self.scores, self.classes = swap_xy(found.boxes), found.scores, found.class_ids
        drawn = draw_boxes(
            pixels,
            found.boxes,
            found.class_ids,
            class_names=self.class_names,
            scores=found.scores,
            colours=self.colors,
        )
        return Image.fromarray(drawn)

    def close_session(self) -> None:
        """Do nothing: there is no session. keras-yolo3's scripts end with this call."""


def detect_video(yolo, video_path: str | os.PathLike | int, output_path: str | os.PathLike = "", show=None) -> None:
    """Detect objects in each frame of a video file or of a camera.

    Args:
        yolo: A :class:`YOLO`, whose ``detect_image`` draws on each frame.
        video_path: A video file, or the number of a camera.
        output_path: A video (.mp4) to write, "" for none.
        show: Whether a window shows the frames; by default only without ``output_path``. The key q in it ends the
            video.

    Raises:
        OSError: Where a window is wanted and cannot be opened.
        ValueError: For files that cannot be read or written.
    """
    if output_path and not os.fspath(output_path).lower().endswith(".mp4"):
        raise ValueError(f"{output_path}: expected a name that ends in .mp4")
    if not isinstance(video_path, int):
        video_path = os.fspath(video_path)
        if output_path and os.path.realpath(video_path) == os.path.realpath(output_path):
            raise ValueError(f"{output_path}: expected another file than the video that is read")
        if video_path.isdecimal() and not os.path.exists(video_path):
            video_path = int(video_path)

    frames = _drawn_frames(yolo, video_path)
    if show if show is not None else not output_path:
        try:
            window = Window("result")
        except OSError as error:
            raise OSError(f"detect_video: {error}; or give output_path alone") from error
        frames = _shown(frames, window)

    if output_path:
        _write_video(frames, output_path)
    else:
        for _ in frames:
            pass
    yolo.close_session()


def _drawn_frames(yolo, video_path: str | int) -> Iterator[Frame]:
    """Yield the frames with the boxes that ``yolo`` draws on them."""
    from PIL import Image

    for frame in read_frames(video_path):
        drawn = yolo.detect_image(Image.fromarray(frame.image))
        yield dataclasses.replace(frame, image=np.asarray(drawn.convert("RGB")))


def _shown(frames: Iterator[Frame], window: Window) -> Iterator[Frame]:
    """Yield the frames, each once it is on the screen, until the user presses q."""
    with contextlib.closing(window):
        for frame in frames:
            goes_on = window.show(frame.image)
            yield frame
            if not goes_on:
                return


def _write_video(frames: Iterator[Frame], path: str | os.PathLike) -> None:
    first = next(frames)
    video = VideoFile(path, first.rate)
    try:
        for frame in itertools.chain([first], frames):
            video.add(frame.image, frame.seconds)
    except Exception:
        video.discard()
        raise
    finally:
        video.close()  # after an interruption too: a camera stream has no other end
