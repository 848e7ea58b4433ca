"""``python train.py --anchors model_data/yolo_anchors.txt``: see ``yolo3/cli/train.py``.

The functions that code written for keras-yolo3 takes from here come from ``yolo3/legacy.py``.
"""

import sys

LEGACY = (
    "get_classes", "get_anchors", "create_model", "create_tiny_model", "data_generator", "data_generator_wrapper"
)  # fmt: skip


def __getattr__(name):
    """Find keras-yolo3's functions, importing TensorFlow only when one is asked for."""
    if name in LEGACY:
        from yolo3 import legacy

        return getattr(legacy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    from yolo3.cli.train import main

    sys.exit(main())
