"""What a saved network file holds, and how it is written: whole or not at all.

The suffix says the format. Whole models are made of stock Keras layers and open with ``keras.models.load_model``
alone, with two exceptions: [local] layers of a Darknet cfg, which need :mod:`yolo3.darknet.local`, and a [shortcut]
with learned factors, which needs :mod:`yolo3.darknet.weighted_sum`.

=============== =========================================== =====================================================
file            holds                                       metadata in
=============== =========================================== =====================================================
``.h5``         the layers and their weights                attribute ``yolo3`` of the root
``.keras``      the same, as a zip archive                  member ``yolo3.json``
``.weights.h5`` weights alone, in Keras 3's format          attribute ``yolo3`` of the root
``.h5``, of     weights alone, under the names of the       attribute ``yolo3`` of the root; none in keras-yolo3's
weights alone   layers, as Keras 2 and keras-yolo3 wrote
                them; here ``yolo3 convert --weights-only``
=============== =========================================== =====================================================

Statistics of batch normalization are among the weights; the optimizer and everything else that resuming needs are
not (see :mod:`yolo3.training.run_folder`). The metadata is one JSON object, all of whose keys are optional:

================= ================================================================================================
``model``         the name of the network in ``--model`` ("yolov3", ...), or "cfg"
``class_names``   list of names
``input_shape``   [height, width] in pixels
``resize``        "letterbox" or "stretch"
``anchors``       YOLOv3: list of [w, h], pixels of the network input
``anchor_mask``   YOLOv3: list of lists, the anchors of each scale, in the order of the outputs
``strides``       YOLOv3: input pixels per cell of each scale
``scale_x_y``     YOLOv3: number, or one per scale
``ignore_thresh`` YOLOv3: number, or one per scale
``yolov1``        YOLOv1: the options, by the names of :class:`yolo3.models.yolov1.architecture.YoloV1`
``options``       other architectures: their options, by the names of their fields
``training``      a dict: ``settings`` of the training, ``epoch``, ``AP50``, ``AP``, and ``images``, which ones
                  it saw (:mod:`yolo3.training.trained_images`)
``darknet``       what a Darknet file holds beyond the Keras model, a dict: ``cfg`` (text), ``header``
================= ================================================================================================

Files are read by :mod:`yolo3.models.loading`, their metadata alone by :mod:`yolo3.models.metadata`.
"""

import logging
import math
import os
from pathlib import Path
from typing import Any

from yolo3.files import atomic_path
from yolo3.models.metadata import format_metadata, write_metadata

SUFFIXES = (".weights.h5", ".h5", ".keras")


def save_model(model, path: str | os.PathLike, metadata: dict[str, Any]) -> None:
    """Write a network with its metadata; the file appears whole or not at all.

    Inverse: :func:`yolo3.models.loading.load_network`.

    Args:
        model: A ``keras.Model`` of stock layers.
        path: Ends in ``.h5`` or ``.keras`` for the whole model, in ``.weights.h5`` for weights alone. The folder is
            made if it is missing.
        metadata: See the module. NumPy arrays become lists.

    Raises:
        ValueError: For other suffixes.
        TypeError: For metadata that JSON cannot hold.
        OSError: If the file cannot be written, as on a full disk.
    """
    path = Path(path)
    if path.name in SUFFIXES or not path.name.endswith(SUFFIXES):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    text = format_metadata(metadata)

    # Keras advises at each save to prefer .keras to HDF5; the suffix is the user's choice.
    keras_logger = logging.getLogger("absl")
    level = keras_logger.level
    keras_logger.setLevel(logging.ERROR)
    try:
        with atomic_path(path, file_bytes(model)) as temporary:
            model.save_weights(temporary) if path.name.endswith(".weights.h5") else model.save(temporary)
            write_metadata(temporary, text)
    finally:
        keras_logger.setLevel(level)


def file_bytes(model) -> int:
    """Return about how many bytes the file of a network needs: its float32 weights, and 4 KiB for each of them."""
    return sum(4 * math.prod(weight.shape) + 4096 for weight in model.weights)
