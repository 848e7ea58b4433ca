"""Write TensorFlow SavedModels, which TensorFlow Serving, TensorFlow.js and other languages read.

Each has the signature ``serving_default``, a batch of images in the network's size, and, with suppression within, also
``image``: one image of any size, letterboxed within the graph, to boxes in its pixels. In half precision the network's
weights and computation are float16, the decoding of boxes float32; that is fast on GPUs alone.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from yolo3.export.graph import ExportGraph
from yolo3.export.letterbox import boxes_to_image, resize_image
from yolo3.inference.runtimes.saved_model import METADATA_FILE
from yolo3.models.metadata import format_metadata
from yolo3.models.rewriting import fold_batch_norm


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write a SavedModel.

    Args:
        graph: What it computes.
        path: The folder to create.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size for a precision of int8; not used
            here.
    """
    if graph.settings.precision == "float16":
        half = copy.copy(graph.network)
        half.folded = fold_batch_norm(half.model, "float16")
        graph = replace(graph, network=half)
    module = tf.Module()
    module.network = graph.network.folded  # its variables have to be found
    signatures = {"serving_default": tf.function(graph, input_signature=[graph.signature])}
    if graph.settings.suppression and graph.batch in (None, 1):
        signatures["image"] = tf.function(
            lambda image: _detect_in_image(graph, image),
            input_signature=[tf.TensorSpec((None, None, 3), tf.uint8, name="image")],
        )
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(path), signatures)
    file = path / METADATA_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(format_metadata(metadata), encoding="utf-8")


def _detect_in_image(graph: ExportGraph, image) -> dict[str, Any]:
    """Return the detections in one image uint8 [H, W, 3], boxes [M, 4] in its pixels, clipped to it."""
    detector = graph.detector
    resized = resize_image(image, detector.input_shape, detector.resize)  # float32 [h, w, 3], 0..255
    images = resized / 255 if graph.settings.input == "float32" else tf.cast(tf.round(resized), tf.uint8)
    outputs = {name: output[0] for name, output in graph(images[None]).items()}
    boxes = boxes_to_image(outputs["boxes"], tf.shape(image)[:2], detector.input_shape, detector.resize)
    padding = tf.range(tf.shape(boxes)[0]) >= outputs["count"]
    return outputs | {"boxes": tf.where(padding[:, None], 0.0, boxes)}
