"""What a benchmark times: network, classes, sizes; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from yolo3.models.architecture import Architecture, check_input_shape
from yolo3.models.registry import find_model, model_summaries, named_architecture
from yolo3.precision import PRECISIONS
from yolo3.settings import COUNT, check_settings, setting
from yolo3.training.settings import TrainConfig


@dataclass(frozen=True)
class Workload:
    """What is timed; sizes are those of training.

    Raises:
        ValueError: For a setting out of range.
    """

    model: str = setting("yolov3-tiny", "network", choices=model_summaries)
    num_classes: int = setting(80, "number of classes", metavar="C", number=COUNT)
    input_size: tuple[int, int] = setting(
        TrainConfig.input_size,
        "height and width of the network input in pixels",
        metavar=("H", "W"),
        number=COUNT,
        many=2,
    )
    batch_size: int = setting(TrainConfig.batch_size, "images per batch", metavar="B", number=COUNT)
    precision: str = setting(
        "auto", "numeric precision of the training step; a detector has its own", choices=PRECISIONS
    )
    steps: int = setting(10, "timed calls, after the warm-up", metavar="N", number=COUNT)

    def __post_init__(self):
        check_settings(self)

    def architecture(self) -> Architecture:
        """Return the architecture, with the default anchors where it has any.

        Raises:
            ValueError: For an input size that does not fit its stride.
        """
        architecture = named_architecture(self.model, self.num_classes, anchors=find_model(self.model).anchors)
        check_input_shape(self.input_size, architecture.stride)
        return architecture
