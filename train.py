"""Train a detector: ``python train.py --anchors model_data/yolo_anchors.txt``, the same as ``yolo3 train``.

The functions that code written for keras-yolo3 imports from here are those of ``yolo3/compat/train.py``.
"""

import sys

KERAS_YOLO3_NAMES = (
    "get_classes",
    "get_anchors",
    "create_model",
    "create_tiny_model",
    "data_generator",
    "data_generator_wrapper",
)


def __getattr__(name):
    """Find keras-yolo3's functions, importing TensorFlow only when one is asked for."""
    if name in KERAS_YOLO3_NAMES:
        from yolo3.compat import train as keras_yolo3

        return getattr(keras_yolo3, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    from yolo3.cli.train import main

    sys.exit(main())
