"""The detectors by their architecture: one class for each, all with the interface of :class:`KerasDetector`."""

import keras

from yolo3.detectors.detector import KerasDetector

_registered = keras.saving.register_keras_serializable(package="yolo3")


@_registered
class YoloV3Detector(KerasDetector):
    """YOLOv3, its tiny form and YOLOv3-SPP, or the network of a Darknet cfg; see :class:`KerasDetector`.

    Example:
        >>> detector = YoloV3Detector.from_preset("yolov3-tiny", num_classes=3)
        >>> detector.compile()
    """

    architecture_name = "YoloV3"


@_registered
class YoloV1Detector(KerasDetector):
    """YOLOv1, for images of one size; see :class:`KerasDetector`.

    Example:
        >>> detector = YoloV1Detector.from_preset("yolov1-tiny", num_classes=3, input_size=(256, 256))
    """

    architecture_name = "YoloV1"


@_registered
class RetinaNetDetector(KerasDetector):
    """RetinaNet on Darknet-53; see :class:`KerasDetector`.

    Example:
        >>> detector = RetinaNetDetector.from_preset("retinanet", num_classes=3, options={"depth": 2, "width": 128})
    """

    architecture_name = "RetinaNet"


@_registered
class RpnDetector(KerasDetector):
    """Region proposals of one class on Darknet-53; see :class:`KerasDetector`.

    Example:
        >>> detector = RpnDetector.from_preset("rpn", num_classes=1)
    """

    architecture_name = "Rpn"
