"""Weights that a run starts from, Keras' or Darknet's: what fits is loaded, layer by layer."""

from __future__ import annotations

import keras

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.keras_weights import load_weights
from yolo3.models.loading import load_weights_by_name
from yolo3.models.metadata import is_keras_file
from yolo3.training.step import Trainer


def load_pretrained(trainer: Trainer, path: str, cfg_path: str | None = None) -> list[str]:
    """Load pretrained weights into both networks of a trainer.

    Args:
        trainer: Its layers without a match in the file keep their random weights.
        path: Keras file, or a Darknet file of the network that `cfg_path` describes.
        cfg_path: Darknet cfg.

    Returns:
        Names of the layers that were loaded.

    Raises:
        ValueError: When no layer fits, or a Darknet file comes without its cfg.
    """
    network, inference_network = trainer.network, trainer.inference_network
    inference_network.set_weights(network.get_weights())
    if is_keras_file(path):
        loaded = load_weights_by_name(inference_network, path)
    else:
        loaded = load_darknet_weights(inference_network, cfg_path, path)
    network.set_weights(inference_network.get_weights())
    return loaded


def load_darknet_weights(model: keras.Model, cfg_path: str | None, path: str) -> list[str]:
    """Load those weights of a Darknet file that fit a network.

    Args:
        model: Network of the cfg; heads for another number of classes keep their random weights.
        cfg_path: Darknet cfg of the file, or None.
        path: Darknet file, whole or of the first layers.

    Returns:
        Names of the layers that were loaded.

    Raises:
        ValueError: Without a cfg, or for a file of another network.
    """
    if cfg_path is None:
        raise ValueError(f"{path}: expected a Keras file, got what looks like Darknet's; give its cfg with --cfg FILE")
    loaded = load_weights(model, read_cfg(cfg_path), path, skip_mismatch=True)
    if not loaded.loaded:
        raise ValueError(f"{path}: expected weights of {cfg_path}, found none that fit")
    normalized = [name.replace("conv_", "bn_", 1) for name in loaded.loaded if name.startswith("conv_")]
    return [*loaded.loaded, *normalized]
