"""Weights of a file into the layers of the same name, or of the same place in the order of convolutions."""

import logging
import re

import h5py
import numpy as np

from yolo3.models.saving import load_network, read_metadata

logger = logging.getLogger(__name__)


def load_weights_by_name(model, weights_path):
    """Load into ``model`` what a file holds for layers of the same name and shapes; return the names that got weights.

    Reads ``.keras``, ``.h5`` of this package and of keras-yolo3 (whose layers carry numbers that Keras gave: they are
    taken in that order), and ``.weights.h5``. What is left out is counted and named in the log.
    """
    stored = _stored_weights(weights_path)
    if stored is None:
        model.load_weights(weights_path, skip_mismatch=True)  # says itself what it leaves out
        return [layer.name for layer in model.layers if layer.weights]
    holders = [layer for layer in model.layers if layer.weights]
    if not any(layer.name in stored for layer in holders):
        stored = _rename_in_order(stored, holders)
    loaded, skipped = [], []
    for layer in holders:
        values = stored.get(layer.name, [])
        fits = [value.shape for value in values] == [tuple(weight.shape) for weight in layer.weights]
        (loaded if fits else skipped).append(layer.name)
        if fits:
            layer.set_weights(values)
    if not loaded:
        raise ValueError(f"{weights_path}: expected weights of {model.name}, got none that fits one of its layers")
    logger.info("%s: weights of %d layers loaded", weights_path, len(loaded))
    if skipped:
        logger.warning("%s: no weights of the right shapes for %s; left as they are", weights_path, ", ".join(skipped))
    return loaded


def _stored_weights(path):
    """Return the arrays of each layer, by name; ``None`` for a ``.weights.h5`` that another program wrote.

    That format keeps no names; ours say in their metadata which network has them.
    """
    described = read_metadata(path) is not None
    if str(path).endswith(".keras") or (described and str(path).endswith(".weights.h5")):
        stored, _ = load_network(path)
        return {layer.name: layer.get_weights() for layer in stored.layers if layer.weights}
    with h5py.File(path, "r") as file:
        root = file["model_weights"] if "model_weights" in file else file
        if not _names(root, "layer_names"):
            return None
        return {name: arrays for name in _names(root, "layer_names") if (arrays := _arrays(root[name]))}


def _arrays(group):
    return [np.asarray(group[name]) for name in _names(group, "weight_names")]


def _names(group, attribute):
    """Return the list of names in an HDF5 attribute, which Keras cuts into numbered pieces when it is long."""
    pieces = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(f"{attribute}{len(pieces)}")
    names = [name for piece in pieces for name in group.attrs[piece]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _rename_in_order(stored, holders):
    """Return ``stored`` under the names of ``holders``: convolutions and normalisations each in order of number."""
    renamed = {}
    for is_kind in (_is_convolution, lambda arrays: not _is_convolution(arrays)):
        old = sorted((name for name, arrays in stored.items() if is_kind(arrays)), key=_number)
        new = sorted((layer.name for layer in holders if is_kind(layer.weights)), key=_number)
        renamed.update((new_name, stored[old_name]) for old_name, new_name in zip(old, new))
    return renamed


def _is_convolution(arrays):
    return len(arrays[0].shape) == 4


def _number(name):
    """Return the number at the end of a layer's name; Keras leaves it out at the first layer of a kind."""
    match = re.search(r"_(\d+)$", name)
    return int(match.group(1)) if match else -1
