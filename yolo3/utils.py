"""The door for ``from yolo3.utils import ...``, as code written for keras-yolo3 has it: re-exports, no logic."""

from yolo3.compat.utils import compose, get_random_data, letterbox_image, rand

__all__ = ["compose", "get_random_data", "letterbox_image", "rand"]
