"""Convert a Darknet network, cfg and weights, to a Keras file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from yolo3.darknet.cfg import Cfg, read_cfg
from yolo3.darknet.heads import class_count, joined_anchors, yolo_heads
from yolo3.darknet.keras_weights import LoadedWeights, load_weights
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import build_network
from yolo3.darknet.recipe import resize_of
from yolo3.darknet.weights import Header
from yolo3.datasets.class_names import bundled_class_names
from yolo3.files import atomic_path
from yolo3.models.architecture import CFG
from yolo3.models.metadata import ATTRIBUTE, format_metadata
from yolo3.models.saving import SUFFIXES, file_bytes, save_model

# Of pjreddie's and AlexeyAB's yolov3-tiny.cfg: numbers in its weights, and its masks. The published weights were
# trained with (1, 2, 3) as the second mask.
_TINY_FLOATS = 8_858_734
_TINY_MASKS = [(3, 4, 5), (0, 1, 2)]


@dataclass(frozen=True)
class Conversion:
    """Result of `convert_to_keras`.

    Attributes:
        model: The Keras model.
        loaded: Which layers were loaded from the weight file.
        metadata: Metadata in the Keras file.
        notes: Sentences for the user.
    """

    model: keras.Model
    loaded: LoadedWeights
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
    """Convert a Darknet network to a Keras file; the inverse of `to_darknet.convert_to_darknet`.

    The metadata of the file hold the text of the cfg and the header of the weights, so that the way back gives the same
    bytes.

    Args:
        cfg_path: The cfg.
        weights_path: The weight file.
        output_path: The Keras file: `.h5`, `.keras`, or `.weights.h5` for weights only.
        weights_only: With `.h5`, write weights as Keras 2 stored them.
        class_names: Class names for the metadata.
        resize: How images are resized to the network's input, "letterbox" or "stretch"; by default as by the Darknet
            that the cfg was written for.
        progress: Called with the number of layers loaded and their total.

    Raises:
        ValueError: If something cannot be converted; nothing is written.
        OSError: If a file cannot be read or written.
    """
    check_output(output_path, weights_only)
    cfg = read_cfg(cfg_path)
    model = build_network(cfg)
    check_class_names(cfg, class_names)
    loaded = load_weights(model, cfg, weights_path, progress=progress)

    metadata = metadata_of(cfg, loaded.file.header, class_names=class_names, resize=resize)
    if weights_only and not str(output_path).endswith(".weights.h5"):
        save_plain_weights(model, output_path, metadata)
    else:
        save_model(model, output_path, metadata)
    return Conversion(model=model, loaded=loaded, metadata=metadata, notes=notes_on(cfg, loaded))


def check_output(path: str | os.PathLike[str], weights_only: bool) -> None:
    """Check that the suffix of a file says a format, and one that can hold weights only where they are wanted.

    Raises:
        ValueError: If it does not.
    """
    if not str(path).endswith(SUFFIXES):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if weights_only and str(path).endswith(".keras"):
        raise ValueError(f"{path}: expected .h5 or .weights.h5 for weights only; .keras holds a whole model")


def check_class_names(cfg: Cfg, class_names: Sequence[str] | None) -> None:
    """Check that there are as many class names as the cfg has classes.

    Raises:
        ValueError: If there are more or fewer.
    """
    classes = class_count(resolve_layers(cfg))
    if class_names is not None and classes is not None and len(class_names) != classes:
        raise ValueError(f"class names: expected {classes} as in {cfg.source}, got {len(class_names)}")


def find_class_names(cfg: Cfg) -> Path | None:
    """Return the bundled file with as many class names as the cfg has classes, `None` where there is none."""
    return bundled_class_names(class_count(resolve_layers(cfg)) or 0)


def metadata_of(
    cfg: Cfg, header: Header, class_names: Sequence[str] | None = None, resize: str | None = None
) -> dict[str, Any]:
    """Return the metadata of a network that came from Darknet; `yolo3.models.saving` describes the keys."""
    height, width, _ = cfg.input_shape
    metadata: dict[str, Any] = {"model": CFG, "resize": resize or resize_of(cfg)}
    if height and width:
        metadata["input_shape"] = [height, width]
    if class_names is not None:
        metadata["class_names"] = list(class_names)

    heads = yolo_heads(cfg)
    if heads:
        anchors, mask = joined_anchors(heads)
        metadata |= {"anchors": anchors, "anchor_mask": mask, "scale_x_y": [head.scale_x_y for head in heads]}
        thresholds = [head.ignore_thresh for head in heads]
        metadata["ignore_thresh"] = thresholds if len(set(thresholds)) > 1 else thresholds[0]
    return {**metadata, "darknet": {"cfg": cfg.text, "header": asdict(header)}}


def notes_on(cfg: Cfg, loaded: LoadedWeights) -> tuple[str, ...]:
    """Return sentences on what a user should know about a converted network."""
    notes = []
    heads = yolo_heads(cfg)
    if [head.mask for head in heads] == _TINY_MASKS and loaded.file.floats == _TINY_FLOATS:
        notes.append(
            "the yolov3-tiny.weights published with Darknet were trained with mask=1,2,3 in the second [yolo], but "
            "this cfg has 0,1,2; for those weights change that line, or boxes at that scale come out at half their size"
        )
    header = loaded.file.header
    if header.seen_bytes == 4 and 10 * header.major + header.minor >= 2:
        notes.append("the header counts images in 4 bytes where its version has 8, as the size of the file shows")
    if loaded.missing:
        notes.append("the file holds the first layers only and the others are random; train before use")
    return tuple(notes)


def save_plain_weights(model: keras.Model, path: str | os.PathLike[str], metadata: dict[str, Any] | None) -> None:
    """Save weights only, as Keras 2 stored them in `.h5`; without `metadata` as keras-yolo3's files are.

    `model.load_weights(path)` reads the file, also with `by_name=True`.
    """
    with atomic_path(path, file_bytes(model)) as temporary, h5py.File(temporary, "w") as file:
        if metadata is not None:
            file.attrs[ATTRIBUTE] = format_metadata(metadata)
        file.attrs["backend"] = keras.backend.backend()
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]

        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=values)
