"""The door for ``from yolo3.yolo import YOLO, detect_video``, as keras-yolo3 has them: re-exports, no logic."""

from yolo3.compat.yolo import YOLO, detect_video

__all__ = ["YOLO", "detect_video"]
