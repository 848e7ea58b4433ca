"""Convert a Keras file to a Darknet cfg and weight file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from yolo3.arguments import Arguments
from yolo3.convert.cfg_from_model import DarknetModel, Heads, cfg_from_model
from yolo3.darknet.cfg import Cfg, cfg_bytes, format_anchor_list, parse_cfg, replace_option
from yolo3.darknet.heads import class_count, joined_anchors, with_classes, yolo_heads
from yolo3.darknet.keras_weights import save_weights
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import build_network
from yolo3.darknet.recipe import resize_of
from yolo3.darknet.weights import DEFAULT_HEADER, Header, write_weights
from yolo3.files import atomic_path
from yolo3.models.architecture import default_input_shape
from yolo3.models.loading import holds_model, load_network, load_weights
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.scales import make_scales

_OWN = ("anchors", "class_names")
_ARGUMENTS = Arguments("convert_to_darknet", (), own=_OWN, names={"classes": "class_names"}, valued=_OWN)


@_ARGUMENTS.in_messages()
def convert_to_darknet(
    model_path: str | os.PathLike[str],
    cfg_path: str | os.PathLike[str],
    weights_path: str | os.PathLike[str],
    anchors: Sequence[Sequence[float]] | None = None,
    class_names: Sequence[str] | None = None,
    upto: int | None = None,
) -> tuple[Cfg, int]:
    """Convert a Keras file to a cfg and a weight file; the inverse of `to_keras.convert_to_keras`.

    A model that came from Darknet gets its own cfg and header back, with the size, classes, anchors and whatever
    else a cfg can say that it has now. Any other is described section by section.

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
    """Return the cfg with what the file of the model says otherwise than it: training may have changed anything.

    Size, resizing, classes, and per head anchors, mask, `scale_x_y` and `ignore_thresh`; all other text is kept.
    """
    names, anchors, size = (metadata.get(key) for key in ("class_names", "anchors", "input_shape"))
    if names is not None and yolo_heads(cfg) and len(names) != class_count(resolve_layers(cfg)):
        cfg = with_classes(cfg, len(names))
    for key, side in zip(("height", "width"), size or ()):
        if cfg.net.integer(key, 0) != side:
            cfg = replace_option(cfg, cfg.net, key=key, value=str(side))

    heads = yolo_heads(cfg)
    if anchors is not None and heads:
        own_anchors, own_mask = joined_anchors(heads)
        mask = [list(row) for row in metadata.get("anchor_mask") or own_mask]
        if not _same_numbers(anchors, own_anchors) or mask != own_mask:
            for place, row in enumerate(mask):
                cfg = _with_head_option(cfg, place, "anchors", format_anchor_list(anchors))
                cfg = _with_head_option(cfg, place, "num", str(len(anchors)))
                cfg = _with_head_option(cfg, place, "mask", ",".join(map(str, row)))

    for key in ("scale_x_y", "ignore_thresh"):
        said, own = metadata.get(key), [getattr(head, key) for head in heads]
        if said is None or not heads or (not isinstance(said, list) and _same_numbers(said, own[0])):
            continue  # earlier versions wrote the number of the first head alone
        values = said if isinstance(said, list) else [said] * len(heads)
        for place, (now, value) in enumerate(zip(own, values)):
            if not _same_numbers(value, now):
                cfg = _with_head_option(cfg, place, key, f"{value:.6g}")
    return _with_resize(cfg, metadata)


def _with_head_option(cfg: Cfg, place: int, key: str, value: str) -> Cfg:
    """Return the cfg with one option of its [yolo] number `place` set."""
    section = [section for section in cfg.layers if section.name == "yolo"][place]
    return replace_option(cfg, section, key=key, value=value)


def _with_resize(cfg: Cfg, metadata: dict[str, Any]) -> Cfg:
    """Return the cfg with `letter_box` where it would otherwise have images resized in another way."""
    resize = metadata.get("resize")
    if resize is None or resize == resize_of(cfg):
        return cfg
    return replace_option(cfg, cfg.net, key="letter_box", value="1" if resize == "letterbox" else "0")


def _same_numbers(first, second) -> bool:
    """Return whether numbers are the same to the six digits that a cfg is written with."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=5e-6, atol=0))


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
            f"{path}: holds no anchors or class names, which Darknet's cfg needs; give both (--anchors, --classes)"
        )

    scales = make_scales(
        anchors,
        metadata.get("anchor_mask"),
        strides=metadata.get("strides"),
        scale_x_y=metadata.get("scale_x_y", 1.0),
        ignore_thresh=metadata.get("ignore_thresh", 0.7),  # cfg/yolov3.cfg's, as the rest of the recipe
    )
    letterbox = metadata.get("resize", "letterbox") == "letterbox"
    heads = Heads(np.asarray(anchors, np.float32), scales=scales, classes=len(class_names), letterbox=letterbox)
    size = metadata.get("input_shape") or default_input_shape(max(scale.stride for scale in scales))
    try:
        return cfg_from_model(model, tuple(size), heads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
