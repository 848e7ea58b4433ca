"""Settings of a detector, with the defaults of `Detector` and of the command line; needs no Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yolo3.models.architecture import IOU_THRESHOLD
from yolo3.ops.nms_methods import MAX_BOXES, METHODS, OVERLAPS, SHOWN_SCORE
from yolo3.ops.resize_modes import RESIZE_MODES
from yolo3.precision import DETECTION_PRECISIONS
from yolo3.settings import COUNT, SHARE, check_settings, setting


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector reads images and which boxes it keeps.

    Raises:
        ValueError: For a setting out of range.
    """

    input_shape: Sequence[int] | None = setting(
        None,
        "height and width of the network input in pixels",
        unset="as in training",
        flag="--input-size",
        metavar=("H", "W"),
        number=COUNT,
        many=2,
    )
    resize: str | None = setting(
        None, "how images are resized to the network input", unset="as in training", choices=RESIZE_MODES
    )
    batch_size: int = setting(8, "images per batch", metavar="B", number=COUNT)
    precision: str = setting(
        "float32",
        "numeric precision; bfloat16 is faster on hardware that supports it, where auto chooses it",
        choices=DETECTION_PRECISIONS,
    )
    score_threshold: float = setting(
        SHOWN_SCORE, "score above which a detection is kept, 0 to 1", metavar="S", number=SHARE
    )
    iou_threshold: float | None = setting(
        None,
        "overlap of two boxes of a class above which non-maximum suppression acts on the lower-scored one",
        unset=f"the architecture's, {IOU_THRESHOLD} except for rpn",
        metavar="T",
        number=SHARE,
    )
    nms: str = setting(
        METHODS[0],
        "non-maximum suppression: greedy drops the lower-scored box, soft reduces its score, diou drops it only if "
        "the centres are close as well",
        choices=METHODS,
    )
    nms_overlap: str = setting(
        OVERLAPS[0],
        "overlap that suppression uses: iou is intersection over union; ios, intersection over the lower-scored "
        "box, also drops boxes inside a better one",
        choices=OVERLAPS,
    )
    max_boxes: int = setting(MAX_BOXES, "maximum number of detections per image", metavar="N", number=COUNT)

    def __post_init__(self):
        check_settings(self)
