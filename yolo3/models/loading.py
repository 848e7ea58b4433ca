"""Read networks and weights: files of this package, of Keras, and of keras-yolo3.

What the files hold is listed in :mod:`yolo3.models.saving`. Weights stored under the names of layers are read in one
place, here; :func:`load_network` wants all of them to fit, :func:`load_weights_by_name` takes what fits.

keras-yolo3's files hold the names that Keras gave to layers, such as ``conv2d_12``, with numbers that continue from
one model to the next. Its layers are created in Darknet's order, so each kind of layer is matched in numerical order.
"""

import logging
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from yolo3.models.metadata import check_array_sizes, file_kind, holds_detector, open_hdf5, read_metadata
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK, AnchorMask
from yolo3.records import first_line

logger = logging.getLogger(__name__)

LayerArrays = dict[str, list[np.ndarray]]  # the weights of each layer that has any, by its name


def load_network(
    path: str | os.PathLike,
    anchors: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    anchor_mask: Sequence[Sequence[int]] | None = None,
):
    """Read a network from a file of any format. Inverse: :func:`yolo3.models.saving.save_model`.

    Weights alone, and those of a class of :mod:`yolo3.detectors`, are put into the network that the metadata describes.
    The other arguments serve where there is no
    metadata: nine anchors (three scales) mean YOLOv3, six the tiny one.

    Args:
        path: ``.h5``, ``.keras`` or ``.weights.h5``, of this package, of Keras or of keras-yolo3.
        anchors: [N, 2] (w, h) in pixels of the network input.
        class_names: Names of the classes.
        anchor_mask: Indices of each scale's anchors.

    Returns:
        (model, metadata): a ``keras.Model`` that is not compiled, and a dict, or ``None`` for a file without metadata.

    Raises:
        ValueError: In one line, for a file that cannot be read or does not say enough.
    """
    metadata = read_metadata(path)
    described = holds_detector(path)
    if holds_model(path) and not described:
        return _load_model(path), metadata

    from yolo3.models.registry import architecture_from_metadata

    given = {"anchors": anchors, "class_names": class_names, "anchor_mask": anchor_mask}
    known = {name: value for name, value in given.items() if value is not None} | (metadata or {})
    try:
        architecture = architecture_from_metadata(known)
        shape = (*known["input_shape"], 3) if architecture.fixed_size else (None, None, 3)
        model = architecture.build_network(shape)
    except ValueError as error:
        raise ValueError(f"{path}: holds {'a detector' if described else 'weights alone'}; {error}") from error
    load_weights(model, path)
    return model, metadata


def load_weights(model, path: str | os.PathLike) -> None:
    """Fill all layers of a network from a file of weights alone.

    Args:
        model: A ``keras.Model``.
        path: ``.weights.h5``, a ``.keras`` file, or ``.h5`` of Keras 2, whose layers have the names of the model's or
            keras-yolo3's.

    Raises:
        ValueError: In one line, where the file's layers and weights are not exactly the model's.
    """
    stored = read_layer_arrays(path)
    if stored is None:
        _load_keras_weights(model, path)
        return

    problem = f"{path}: its weights do not fit {model.name}"
    layers = _layers_with_weights(model)
    stored = _match_layers(stored, layers)
    if missing := [name for name in layers if name not in stored]:
        raise ValueError(f"{problem}: expected {len(layers)} layers, got none for {', '.join(missing[:3])}")
    if extra := [name for name in stored if name not in layers]:
        raise ValueError(f"{problem}: expected {len(layers)} layers, got {', '.join(extra[:3])} too")
    for name, layer in layers.items():
        expected, got = _shapes(layer.weights), _shapes(stored[name])
        if expected != got:
            raise ValueError(f"{problem}: {name}: expected arrays of shape {expected}, got {got}")
        layer.set_weights(stored[name])


def load_weights_by_name(
    model, path: str | os.PathLike, on_mismatch: Callable[[Any, list[np.ndarray]], None] | None = None
) -> list[str]:
    """Load what a file holds for layers of the same name and shapes, and leave the other layers as they are.

    What is left out is logged.

    Args:
        model: A ``keras.Model``.
        path: A file of any format that :func:`load_network` reads, of the same network or of one that shares layers.
        on_mismatch: Called first, with each layer for which the file holds weights of other shapes, and these weights;
            not for files that do not store the names of layers.

    Returns:
        The names of the layers that got weights.

    Raises:
        ValueError: Where no layer fits, and for files that are not Keras files.
    """
    described = read_metadata(path) is not None
    stored = read_layer_arrays(path)
    if stored is None and (described or holds_model(path)):
        network, _ = load_network(path)
        stored = {layer.name: layer.get_weights() for layer in network.layers if layer.weights}

    layers = _layers_with_weights(model)
    if stored is None:
        loaded = _load_what_fits_in_order(model, path)
    else:
        stored = _match_layers(stored, layers)
        loaded = [name for name, layer in layers.items() if _shapes(stored.get(name, [])) == _shapes(layer.weights)]
        for name, layer in layers.items():
            if on_mismatch and name in stored and name not in loaded:
                on_mismatch(layer, stored[name])
        for name in loaded:
            layers[name].set_weights(stored[name])

    if not loaded:
        raise ValueError(f"{path}: expected weights of {model.name}, got none that fits one of its layers")
    logger.info("%s: loaded the weights of %d layers", path, len(loaded))
    if skipped := [name for name in layers if name not in loaded]:
        logger.warning("%s: no weights of the right shapes for %s; left as they are", path, ", ".join(skipped))
    return loaded


def read_layer_arrays(path: str | os.PathLike) -> LayerArrays | None:
    """Return the weights that a file stores under the names of layers, as Keras writes them to ``.h5``.

    Args:
        path: A file of a whole model or of weights alone.

    Returns:
        The arrays of each layer in the order of its weights; ``None`` for ``.keras`` and ``.weights.h5`` files, which
        do not store the names.
    """
    if file_kind(path) != "hdf5":
        return None
    check_array_sizes(path)
    with open_hdf5(path) as file:
        root = file["model_weights"] if "model_weights" in file else file
        names = _names(root, "layer_names")
        stored = {name: [root[name][weight][()] for weight in _names(root[name], "weight_names")] for name in names}
    return {name: arrays for name, arrays in stored.items() if arrays} if names else None


def holds_model(path: str | os.PathLike) -> bool:
    """Return whether a Keras file holds a whole model, not weights alone."""
    if file_kind(path) == "zip":
        return True
    with open_hdf5(path) as file:
        return "model_config" in file.attrs


def layer_number(name: str) -> int:
    """Return 12 for "conv2d_12" and -1 for "conv2d": Keras numbers the layers of a kind from the second one on."""
    match = re.search(r"_(\d+)$", name)
    return int(match.group(1)) if match else -1


def legacy_anchor_mask(path: str | os.PathLike, num_anchors: int) -> AnchorMask | None:
    """Return the anchor mask of a file without metadata, ``None`` for the usual one.

    keras-yolo3 used the mask of Darknet's published tiny weights for all tiny networks, and ran on Keras 2; what was
    trained with the functions of this package is written by Keras 3.

    Args:
        path: A file without metadata.
        num_anchors: Six for the tiny network.
    """
    if num_anchors != 6 or file_kind(path) != "hdf5":
        return None

    with open_hdf5(path) as file:
        version = file.attrs.get("keras_version", "")
    version = version.decode() if isinstance(version, bytes) else str(version)
    if not version.startswith("2."):
        return None
    logger.warning("%s: has no anchor_mask; using keras-yolo3's for tiny networks, %s", path, OFFICIAL_TINY_MASK)
    return OFFICIAL_TINY_MASK


def _load_model(path):
    """Return the whole model of a file, not compiled."""
    import keras

    suffix = {"zip": ".keras", "hdf5": ".h5"}[file_kind(path)]
    if not str(path).endswith((suffix, ".hdf5")):
        raise ValueError(f"{path}: holds a model in the {suffix} format; rename it so that it ends in {suffix}")
    check_array_sizes(path)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises almost anything here, from KeyError to RuntimeError
        raise ValueError(f"{path}: Keras cannot load this model: {first_line(error)}") from error


def _load_keras_weights(model, path, skip_mismatch: bool = False) -> None:
    """Fill a network from the weights of a ``.weights.h5`` or ``.keras`` file, which Keras 3 reads by their order."""
    if file_kind(path) == "zip" and not str(path).endswith(".keras"):
        raise ValueError(f"{path}: holds a model in the .keras format; rename it so that it ends in .keras")
    if file_kind(path) == "hdf5" and not str(path).endswith(".weights.h5"):
        raise ValueError(f"{path}: holds weights in the .weights.h5 format; rename it so that it ends in .weights.h5")
    check_array_sizes(path)
    try:
        model.load_weights(path, skip_mismatch=skip_mismatch)
    except Exception as error:  # as in _load_model
        raise ValueError(f"{path}: its weights do not fit {model.name}: {first_line(error)}") from error


def _load_what_fits_in_order(model, path) -> list[str]:
    """Fill the layers that fit from a ``.weights.h5`` file without metadata; return their names.

    Keras does not return which layers it skipped, so all of them hold NaN while it reads.
    """
    layers = _layers_with_weights(model)
    before = {name: layer.get_weights() for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.set_weights([np.full_like(array, np.nan) for array in before[name]])

    loaded = []
    try:
        with warnings.catch_warnings(action="ignore"):  # of each layer that does not fit; the caller names them
            _load_keras_weights(model, path, skip_mismatch=True)
        loaded = [name for name, layer in layers.items() if not any(np.isnan(a).any() for a in layer.get_weights())]
    finally:
        for name in layers.keys() - set(loaded):
            layers[name].set_weights(before[name])
    return loaded


def _layers_with_weights(model) -> dict:
    return {layer.name: layer for layer in model.layers if layer.weights}


def _match_layers(stored: LayerArrays, layers: dict) -> LayerArrays:
    """Return stored arrays under the names of a network's layers: as they are where a name is shared, else by order."""
    if any(name in stored for name in layers):
        return stored

    matched: LayerArrays = {}
    for rank in {arrays[0].ndim for arrays in stored.values()}:  # 4: convolutions, 2: dense, 1: normalizations
        old = sorted((name for name, arrays in stored.items() if arrays[0].ndim == rank), key=layer_number)
        new = sorted((name for name, layer in layers.items() if len(layer.weights[0].shape) == rank), key=layer_number)
        matched |= {name: stored[name] for name in old[len(new) :]}  # more than the network has
        matched |= {new_name: stored[old_name] for old_name, new_name in zip(old, new)}
    return matched


def _names(group, attribute: str) -> list[str]:
    """Return the list of names in an HDF5 attribute, which Keras cuts into numbered pieces when it is long."""
    pieces = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(f"{attribute}{len(pieces)}")
    names = [name for piece in pieces for name in group.attrs[piece]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _shapes(arrays) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]
