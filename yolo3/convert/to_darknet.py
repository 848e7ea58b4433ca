"""Convert a Keras file to a Darknet cfg and weight file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from yolo3.convert.cfg_from_model import DarknetModel, Heads, cfg_from_model
from yolo3.darknet.cfg import Cfg, cfg_bytes, format_anchor_list, parse_cfg, replace_option
from yolo3.darknet.heads import class_count, joined_anchors, with_classes, yolo_heads
from yolo3.darknet.keras_weights import save_weights
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import build_network
from yolo3.darknet.weights import DEFAULT_HEADER, Header, write_weights
from yolo3.files import atomic_path
from yolo3.models.architecture import default_input_shape
from yolo3.models.loading import holds_model, load_network, load_weights
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.scales import make_scales


def convert_to_darknet(
    model_path: str | os.PathLike[str],
    cfg_path: str | os.PathLike[str],
    weights_path: str | os.PathLike[str],
    anchors: Sequence[Sequence[float]] | None = None,
    class_names: Sequence[str] | None = None,
    upto: int | None = None,
) -> tuple[Cfg, int]:
    """Convert a Keras file to a cfg and a weight file; the inverse of `to_keras.convert_to_keras`.

    A model that came from Darknet gets its own cfg and header back, with the classes and anchors that it has now. Any
    other is described section by section.

    Args:
        model_path: The Keras file.
        cfg_path: The cfg to write.
        weights_path: The weight file to write.
        anchors: [N, 2] (w, h) in pixels of the network input, for a file without them.
        class_names: Class names, for a file without them.
        upto: Write the weights of the layers with an index below it only.

    Returns:
        The pair (cfg, size of the weight file in bytes).

    Raises:
        ValueError: If something cannot be converted; nothing is written.
        OSError: If a file cannot be read or written.
    """
    metadata = read_metadata(model_path) or {}
    origin = metadata.get("darknet") or {}
    header = Header(**origin["header"]) if "header" in origin else DEFAULT_HEADER
    if "cfg" in origin:
        cfg = _current_cfg(parse_cfg(origin["cfg"], f"cfg of {model_path}"), metadata)
        model = _load_with_cfg(model_path, cfg)
        size = save_weights(model, cfg, weights_path, header=header, upto=upto)
    else:
        if upto is not None:
            raise ValueError(f"{model_path}: expected a model that came from Darknet to write its first layers only")
        model, _ = load_network(model_path, anchors, class_names)
        described = _describe(model, model_path, metadata=metadata, anchors=anchors, class_names=class_names)
        cfg = described.cfg
        size = write_weights(weights_path, header, described.arrays())

    # The cfg comes last: an error in the weights leaves neither file.
    with atomic_path(cfg_path) as temporary:
        temporary.write_bytes(cfg_bytes(cfg))
    return cfg, size


def _current_cfg(cfg: Cfg, metadata: dict[str, Any]) -> Cfg:
    """Return the cfg with the classes and anchors that the model has now: training may have changed them."""
    names, anchors = metadata.get("class_names"), metadata.get("anchors")
    if names is not None and yolo_heads(cfg) and len(names) != class_count(resolve_layers(cfg)):
        cfg = with_classes(cfg, len(names))
    if anchors is not None and anchors != joined_anchors(yolo_heads(cfg))[0]:
        for index, section in enumerate(cfg.layers):
            if section.name == "yolo":
                cfg = replace_option(cfg, cfg.layers[index], key="anchors", value=format_anchor_list(anchors))
    return cfg


def _load_with_cfg(path: str | os.PathLike[str], cfg: Cfg) -> keras.Model:
    """Load the model of a file whose metadata hold a cfg; weights only go into the network of the cfg."""
    if holds_model(path):
        return load_network(path)[0]

    model = build_network(cfg)
    load_weights(model, path)
    return model


def _describe(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    metadata: dict[str, Any],
    anchors: Sequence[Sequence[float]] | None,
    class_names: Sequence[str] | None,
) -> DarknetModel:
    """Describe a model that never was Darknet's as a cfg; what its metadata hold comes before the arguments."""
    anchors = metadata.get("anchors", anchors)
    class_names = metadata.get("class_names", class_names)
    if anchors is None or class_names is None:
        raise ValueError(
            f"{path}: holds no anchors or class names, which Darknet's cfg needs; give --anchors and --classes"
        )

    scales = make_scales(
        anchors,
        metadata.get("anchor_mask"),
        strides=metadata.get("strides"),
        scale_x_y=metadata.get("scale_x_y", 1.0),
        ignore_thresh=metadata.get("ignore_thresh", 0.7),  # cfg/yolov3.cfg's, as the rest of the recipe
    )
    heads = Heads(np.asarray(anchors, np.float32), scales=scales, classes=len(class_names))
    size = metadata.get("input_shape") or default_input_shape(max(scale.stride for scale in scales))
    try:
        return cfg_from_model(model, tuple(size), heads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
