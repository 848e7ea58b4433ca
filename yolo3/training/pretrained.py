"""Weights that a run starts from, Keras' or Darknet's: what fits is loaded, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import keras
import numpy as np

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.heads import class_count
from yolo3.darknet.keras_weights import load_weights
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.weights import open_weights
from yolo3.datasets.class_names import bundled_class_names, read_class_names
from yolo3.models.architecture import Architecture
from yolo3.models.loading import load_weights_by_name
from yolo3.models.metadata import is_keras_file, read_metadata
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.head_rows import keep_head_rows

if TYPE_CHECKING:
    from yolo3.training.settings import TrainConfig
    from yolo3.training.step import Trainer


@dataclass
class Pretrained:
    """What a run took from a file of weights.

    Attributes:
        loaded: Names of the layers that were loaded whole.
        heads: Names of the heads for other classes, of which boxes, objectness and classes of the same name were taken.
        classes: Names of these classes.
    """

    loaded: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    def describe(self, path: str, network: keras.Model) -> str:
        """Return one line on what was taken from the file for the layers of a network."""
        with_weights = [layer.name for layer in network.layers if layer.weights]
        fresh = [name for name in with_weights if name not in (*self.loaded, *self.heads)]
        line = f"{path}: weights for {len(self.loaded)} of {len(with_weights)} layers"
        if fresh:
            line += f"; random in {', '.join(fresh[:6])}{' ...' if len(fresh) > 6 else ''}"
        if self.heads:
            classes = f", and {', '.join(self.classes)}" if self.classes else ""
            line += f"; boxes and objectness{classes} in {', '.join(self.heads)}"
        return line


def check_darknet_weights(path: str, cfg_path: str | None) -> None:
    """Raise `ValueError` for a Darknet file without a cfg, or whose size does not fit it; its header alone is read."""
    if is_keras_file(path):
        return
    if cfg_path is None:
        raise ValueError(f"{path}: expected a Keras file, got what looks like Darknet's; give its cfg with --cfg FILE")
    open_weights(path, read_cfg(cfg_path))


def try_weights(config: TrainConfig, architecture: Architecture, class_names: Sequence[str]) -> str:
    """Return what a run with these settings would take from its pretrained weights, in one line, after taking it."""
    weights = str(config.weights)
    network = architecture.build_network((*config.input_size, 3) if architecture.fixed_size else (None, None, 3))
    taken = load_what_fits(network, architecture, weights, class_names=class_names, cfg_path=config.cfg)
    return taken.describe(weights, network)


def load_pretrained(trainer: Trainer, path: str, class_names: Sequence[str], cfg_path: str | None = None) -> Pretrained:
    """Load pretrained weights into both networks of a trainer; see :func:`load_what_fits`."""
    network, inference_network = trainer.network, trainer.inference_network
    inference_network.set_weights(network.get_weights())
    taken = load_what_fits(inference_network, trainer.architecture, path, class_names, cfg_path)
    network.set_weights(inference_network.get_weights())
    return taken


def load_what_fits(
    network: keras.Model,
    architecture: Architecture,
    path: str,
    class_names: Sequence[str],
    cfg_path: str | None = None,
) -> Pretrained:
    """Load pretrained weights into a network.

    Args:
        network: Its layers without a match in the file keep their random weights.
        architecture: What its outputs mean.
        path: Keras file, or a Darknet file of the network that `cfg_path` describes.
        class_names: Of the network.
        cfg_path: Darknet cfg.

    Returns:
        What was loaded.

    Raises:
        ValueError: When no layer fits, or a Darknet file comes without its cfg.
    """
    stored_names = _class_names_of(path, cfg_path) if isinstance(architecture, YoloV3) else []
    taken = Pretrained(classes=[name for name in class_names if name in stored_names])

    def take_head(layer: keras.Layer, stored: list[np.ndarray]) -> None:
        kept = keep_head_rows(layer.get_weights(), stored, class_names, stored_names) if stored_names else None
        if kept is not None:
            layer.set_weights(kept)
            taken.heads.append(layer.name)

    if is_keras_file(path):
        taken.loaded = load_weights_by_name(network, path, take_head)
    else:
        check_darknet_weights(path, cfg_path)
        taken.loaded = _load_darknet_weights(network, cfg_path or "", path, take_head)
    return taken


def _load_darknet_weights(model: keras.Model, cfg_path: str, path: str, on_mismatch) -> list[str]:
    """Load those weights of a Darknet file, whole or of the first layers, that fit; return the names of the layers."""
    loaded = load_weights(model, read_cfg(cfg_path), path, skip_mismatch=True, on_mismatch=on_mismatch)
    if not loaded.loaded:
        raise ValueError(f"{path}: expected weights of {cfg_path}, found none that fit")
    taken = {*loaded.loaded, *(name.replace("conv_", "bn_", 1) for name in loaded.loaded if name.startswith("conv_"))}
    return [layer.name for layer in model.layers if layer.name in taken]


def _class_names_of(path: str, cfg_path: str | None) -> list[str]:
    """Return the class names of a file of weights, stand-ins where only their number is known, [] where it is not."""
    if is_keras_file(path):
        return list((read_metadata(path) or {}).get("class_names", []))
    if cfg_path is None:
        return []
    count = class_count(resolve_layers(read_cfg(cfg_path))) or 0
    names = bundled_class_names(count)
    return read_class_names(names) if names else [f"\0{number}" for number in range(count)]  # no name of a class
