"""Whole conversions, file to file: Darknet to Keras and back. What cannot be converted is refused before
anything is written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from yolo3.convert.from_keras import DarknetModel, Heads, cfg_from_model
from yolo3.darknet.cfg import Cfg, cfg_bytes, format_anchor_list, parse_cfg, read_cfg, replace_option
from yolo3.darknet.layers import class_count, joined_anchors, resolve_layers, with_classes, yolo_heads
from yolo3.darknet.network import Filled, build_network, load_weights, save_weights
from yolo3.darknet.recipe import resize_of
from yolo3.darknet.weights import DEFAULT_HEADER, Header, write_weights
from yolo3.datasets.class_names import bundled_class_names
from yolo3.files import atomic_path
from yolo3.models.loading import load_network
from yolo3.models.metadata import ATTRIBUTE, read_metadata
from yolo3.models.saving import SUFFIXES, file_bytes, save_model
from yolo3.models.yolov3.scales import check_anchor_mask

# pjreddie's and AlexeyAB's yolov3-tiny.cfg: the numbers of its weights, and its masks, of which the published
# weights were trained with (1, 2, 3) as the second.
_TINY_FLOATS = 8_858_734
_TINY_MASKS = [(3, 4, 5), (0, 1, 2)]


@dataclass(frozen=True)
class Conversion:
    """What was made of a Darknet network."""

    model: keras.Model
    filled: Filled
    metadata: dict[str, Any]
    notes: tuple[str, ...]


def convert_to_keras(
    cfg_path: str | os.PathLike[str],
    weights_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    weights_only: bool = False,
    class_names: Sequence[str] | None = None,
    resize: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Make a Keras file of a Darknet network, with its metadata: cfg text and header included, so that the
    way back gives the same bytes.

    `output_path` ends in `.h5`, `.keras`, or `.weights.h5` (weights alone); `weights_only` with `.h5` writes
    weights as Keras 2 stored them. `class_names` are kept with the weights. `resize` is "letterbox" or
    "stretch"; by default that with which the cfg's Darknet trained. The inverse of `convert_to_darknet`.
    Raises ValueError before anything is written.
    """
    check_output(output_path, weights_only)
    cfg = read_cfg(cfg_path)
    model = build_network(cfg)
    check_class_names(cfg, class_names)
    filled = load_weights(model, cfg, weights_path, progress=progress)
    metadata = metadata_of(cfg, filled.file.header, class_names, resize)
    if weights_only and not str(output_path).endswith(".weights.h5"):
        save_plain_weights(model, output_path, metadata)
    else:
        save_model(model, output_path, metadata)
    return Conversion(model, filled, metadata, notes_on(cfg, filled))


def convert_to_darknet(
    model_path: str | os.PathLike[str],
    cfg_path: str | os.PathLike[str],
    weights_path: str | os.PathLike[str],
    anchors: Sequence[Sequence[float]] | None = None,
    class_names: Sequence[str] | None = None,
    upto: int | None = None,
) -> tuple[Cfg, int]:
    """Write a Keras model as a cfg and a weight file that Darknet reads; return the cfg and the size of the
    weights in bytes.

    A model that came from Darknet gives its own cfg and header back. Any other is described section by
    section, with anchors [N, 2] (w, h, pixels of the network input) and classes of its metadata, or of the
    arguments where it has none. `upto` writes the first layers alone. Raises ValueError before anything is
    written. The inverse of `convert_to_keras`.
    """
    metadata = read_metadata(model_path) or {}
    origin = metadata.get("darknet") or {}
    header = Header(**origin["header"]) if "header" in origin else DEFAULT_HEADER
    if "cfg" in origin:
        cfg = _current_cfg(parse_cfg(origin["cfg"], f"cfg of {model_path}"), metadata)
        model = _load_with_cfg(model_path, cfg)
        return cfg, _write_both(cfg, cfg_path, lambda: save_weights(model, cfg, weights_path, header, upto))
    if upto is not None:
        raise ValueError(f"{model_path}: expected a model that came from Darknet to write its first layers alone")
    model, _ = load_network(model_path, anchors, class_names)
    made = _describe(model, model_path, metadata, anchors, class_names)
    return made.cfg, _write_both(made.cfg, cfg_path, lambda: write_weights(weights_path, header, made.arrays()))


def metadata_of(
    cfg: Cfg, header: Header, class_names: Sequence[str] | None = None, resize: str | None = None
) -> dict[str, Any]:
    """What a saved file says of a network that came from Darknet: see `yolo3.models.saving` for the keys."""
    height, width, _ = cfg.input_shape
    metadata: dict[str, Any] = {"model": "cfg", "resize": resize or resize_of(cfg)}
    if height and width:
        metadata["input_shape"] = [height, width]
    if class_names is not None:
        metadata["class_names"] = list(class_names)
    heads = yolo_heads(cfg)
    if heads:
        anchors, mask = joined_anchors(heads)
        metadata |= {"anchors": anchors, "anchor_mask": mask, "scale_x_y": [head.scale_x_y for head in heads]}
        metadata["ignore_thresh"] = heads[0].ignore_thresh
    return {**metadata, "darknet": {"cfg": cfg.text, "header": asdict(header)}}


def notes_on(cfg: Cfg, filled: Filled) -> tuple[str, ...]:
    """What a user should know of this file beside that it was converted."""
    notes = []
    heads = yolo_heads(cfg)
    if [head.mask for head in heads] == _TINY_MASKS and filled.file.floats == _TINY_FLOATS:
        notes.append(
            "the yolov3-tiny.weights published with Darknet were trained with mask=1,2,3 "
            "in the second [yolo], this cfg says 0,1,2: "
            "with those weights change the line, or boxes of that scale come out at half their size"
        )
    if any(head.new_coords for head in heads):
        notes.append("new_coords=1: the raw outputs are right, but boxes are decoded as without it")
    if filled.file.header.seen_bytes == 4 and 10 * filled.file.header.major + filled.file.header.minor >= 2:
        notes.append("the header counts images in 4 bytes where its version has 8; the size of the file shows it")
    if filled.missing:
        notes.append("the file holds the first layers alone; the others are random: train before use")
    return tuple(notes)


def find_class_names(cfg: Cfg) -> Path | None:
    """The project's own list of as many class names as the cfg has classes, None where there is none."""
    return bundled_class_names(class_count(resolve_layers(cfg)) or 0)


def check_output(path: str | os.PathLike[str], weights_only: bool) -> None:
    """Raise ValueError for a name whose suffix says no format, or not that which `weights_only` asks for."""
    if not str(path).endswith(SUFFIXES):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if weights_only and str(path).endswith(".keras"):
        raise ValueError(f"{path}: expected .h5 or .weights.h5 for weights alone; .keras holds a whole model")


def check_class_names(cfg: Cfg, class_names: Sequence[str] | None) -> None:
    """Raise ValueError where there is another number of names than the cfg has classes."""
    classes = class_count(resolve_layers(cfg))
    if class_names is not None and classes is not None and len(class_names) != classes:
        raise ValueError(f"class names: expected {classes} as {cfg.source} says, got {len(class_names)}")


def save_plain_weights(model: keras.Model, path: str | os.PathLike[str], metadata: dict[str, Any]) -> None:
    """Write weights alone as Keras 2 stored them in `.h5`: what `model.load_weights(path)` reads,
    `by_name=True` included.
    """
    with atomic_path(path, file_bytes(model)) as temporary, h5py.File(temporary, "w") as file:
        file.attrs[ATTRIBUTE] = json.dumps(metadata)
        file.attrs["backend"] = keras.backend.backend()
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            _write_layer(file.create_group(layer.name), layer)


def check_plot(path: str | os.PathLike[str]) -> None:
    """Raise ValueError where the programs that draw a network are missing."""
    try:
        import pydot  # noqa: F401
    except ImportError as error:
        raise ValueError(f"{path}: an image of the network needs pydot: pip install pydot") from error
    if shutil.which("dot") is None:
        raise ValueError(f"{path}: an image of the network needs Graphviz, whose program 'dot' was not found")


def plot_network(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Draw the layers of a network with their shapes."""
    keras.utils.plot_model(model, to_file=os.fspath(path), show_shapes=True, show_layer_names=True)


def _write_layer(group: h5py.Group, layer: keras.Layer) -> None:
    names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
    group.attrs["weight_names"] = [name.encode() for name in names]
    for name, values in zip(names, layer.get_weights(), strict=True):
        group.create_dataset(name, data=values)


def _current_cfg(cfg: Cfg, metadata: dict[str, Any]) -> Cfg:
    """The cfg with the classes and anchors that the model has now: training may have changed them."""
    names, anchors = metadata.get("class_names"), metadata.get("anchors")
    if names is not None and yolo_heads(cfg) and len(names) != class_count(resolve_layers(cfg)):
        cfg = with_classes(cfg, len(names))
    if anchors is not None and anchors != joined_anchors(yolo_heads(cfg))[0]:
        for index, section in enumerate(cfg.layers):
            if section.name == "yolo":
                cfg = replace_option(cfg, cfg.layers[index], "anchors", format_anchor_list(anchors))
    return cfg


def _load_with_cfg(path: str | os.PathLike[str], cfg: Cfg) -> keras.Model:
    """The model of a file whose metadata holds a cfg. Weights alone go into the network that the cfg
    describes.
    """
    if not _holds_weights_alone(path):
        return load_network(path)[0]
    model = build_network(cfg)
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises almost anything for a file that does not fit
        raise ValueError(
            f"{path}: its weights do not fit the network of its cfg: {str(error).splitlines()[0]}"
        ) from error
    return model


def _holds_weights_alone(path: str | os.PathLike[str]) -> bool:
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "model_config" not in file.attrs


def _describe(
    model: keras.Model,
    path: str | os.PathLike[str],
    metadata: dict[str, Any],
    anchors: Sequence[Sequence[float]] | None,
    class_names: Sequence[str] | None,
) -> DarknetModel:
    anchors = metadata.get("anchors", anchors)
    class_names = metadata.get("class_names", class_names)
    if anchors is None or class_names is None:
        raise ValueError(
            f"{path}: does not say its anchors and classes, which Darknet's cfg must; give --anchors and --classes"
        )
    mask = check_anchor_mask(metadata.get("anchor_mask"), len(anchors))
    factors = metadata.get("scale_x_y", 1.0)
    factors = factors if isinstance(factors, Sequence) else [factors] * len(mask)
    heads = Heads(np.asarray(anchors, np.float32), mask, len(class_names), factors, metadata.get("ignore_thresh", 0.7))
    try:
        return cfg_from_model(model, tuple(metadata.get("input_shape", (416, 416))), heads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _write_both(cfg: Cfg, cfg_path: str | os.PathLike[str], write: Callable[[], int]) -> int:
    """Write the weights, then the cfg: a mistake in the weights leaves neither."""
    size = write()
    with atomic_path(cfg_path) as temporary:
        temporary.write_bytes(cfg_bytes(cfg))
    return size
