"""Re-export what code written for keras-yolo3 imports from ``yolo3.utils``.

Nothing inside the package imports this module.
"""

from yolo3.compat.utils import compose, get_random_data, letterbox_image, rand

__all__ = ["compose", "get_random_data", "letterbox_image", "rand"]
