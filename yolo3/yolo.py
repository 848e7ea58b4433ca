"""Re-export what code written for keras-yolo3 imports from ``yolo3.yolo``.

Nothing inside the package imports this module.
"""

from yolo3.compat.yolo import YOLO, detect_video

__all__ = ["YOLO", "detect_video"]
