"""Files of networks: written in one step, carrying what is needed to use them, and read whatever wrote them.

Three kinds are written, told apart by the suffix: ``.h5`` and ``.keras`` hold a whole model, ``.weights.h5``
weights alone. Each carries a dict of *metadata*, as JSON: in HDF5 files in the attribute ``yolo3`` of the
root, in ``.keras`` files (zip) in the member ``yolo3.json``. Its keys, all optional:

================= ==================================================================================
``model``         what ``--model`` calls the network ("yolov3", ...), or "cfg"
``class_names``   list of names
``anchors``       list of [w, h], pixels of the network input
``anchor_mask``   list of lists: the anchors of each scale, in the order of the outputs
``input_shape``   [height, width] in pixels
``resize``        "letterbox" or "stretch"
``scale_x_y``     number, or one a scale
``ignore_thresh`` the same
``strides``       input pixels per cell of each scale
``training``      the settings of the training, a dict
``darknet``       what a Darknet file said that Keras has no place for, a dict
================= ==================================================================================

Files that keras-yolo3 wrote are read too: whole models as they are, weights alone given anchors and class
names.
"""

import contextlib
import json
import logging
import math
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from yolo3.files import atomic_path
from yolo3.models.yolov3.scales import OFFICIAL_TINY_MASK, AnchorMask

logger = logging.getLogger(__name__)

ATTRIBUTE = "yolo3"
MEMBER = "yolo3.json"
SUFFIXES = (".weights.h5", ".h5", ".keras")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK\x03\x04"


# Writing


def save_model(model, path: str | os.PathLike, metadata: dict) -> None:
    """Write a network with its metadata; the file appears whole or not at all.

    ``model``: a ``keras.Model`` of stock layers. ``path`` ends in ``.h5`` or ``.keras`` (the whole model), or
    ``.weights.h5`` (weights alone). ``metadata``: see the module; NumPy arrays in it become lists. The folder
    is made if it is missing. Inverse: :func:`load_network`. Raises ``ValueError`` for other suffixes, ``OSError`` where
    there is no room.
    """
    path = Path(path)
    suffix = _suffix_of(path)
    text = json.dumps(metadata, default=_plain)
    with atomic_path(path, file_bytes(model)) as temporary:
        with _without_format_advice():
            model.save_weights(temporary) if suffix == ".weights.h5" else model.save(temporary)
        _write_metadata(temporary, text)


def file_bytes(model) -> int:
    """Return the bytes that a file of a network needs at least, about: its weights, and 4 KiB for each of them."""
    return sum(4 * math.prod(weight.shape) + 4096 for weight in model.weights)


def _suffix_of(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return suffix
    raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")


def _plain(value):
    """Return arrays and NumPy numbers as lists and numbers, paths as text."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"metadata: expected values that JSON can hold, got {type(value).__name__}")


def _write_metadata(path: Path, text: str) -> None:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MEMBER, text)
        return
    with h5py.File(path, "a") as file:
        file.attrs[ATTRIBUTE] = text


@contextlib.contextmanager
def _without_format_advice():
    """Silence Keras' advice, at each save, to prefer ``.keras`` to HDF5: the suffix is the user's choice."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


# Reading


def read_metadata(path: str | os.PathLike) -> dict | None:
    """Return the metadata of a file that :func:`save_model` wrote, ``None`` when a Keras file carries none.

    Needs neither TensorFlow nor Keras. Raises ``FileNotFoundError``, and ``ValueError`` for anything that is
    not a whole Keras file.
    """
    if _kind_of(path) == "zip":
        with _open_zip(path) as archive:
            text = archive.read(MEMBER).decode() if MEMBER in archive.namelist() else None
    else:
        with _open_hdf5(path) as file:
            text = file.attrs.get(ATTRIBUTE)
    try:
        metadata = None if text is None else json.loads(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: its yolo3 metadata is not JSON: {error}") from error
    _check_metadata(path, metadata)
    return metadata


def _check_metadata(path, metadata) -> None:
    """Raise ``ValueError`` where the metadata is no dict, or a part of it is of another kind than it has to be."""
    if not isinstance(metadata, dict | None):
        raise ValueError(f"{path}: expected a JSON object as yolo3 metadata, got {metadata!r:.40}")
    for name in ("class_names", "anchors", "anchor_mask", "input_shape"):
        value = (metadata or {}).get(name)
        if not isinstance(value, list | None):
            raise ValueError(f"{path}: expected a list as '{name}' in its yolo3 metadata, got {value!r:.40}")


def is_keras_file(path: str | os.PathLike) -> bool:
    """Return whether the first bytes of a file are those of HDF5 or of a ``.keras`` file."""
    with open(path, "rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    return start.startswith((_HDF5_SIGNATURE, _ZIP_SIGNATURE))


def undescribed_mask(path: str | os.PathLike, num_anchors: int) -> AnchorMask | None:
    """Return the anchor mask of a file without metadata, ``None`` for the usual one.

    keras-yolo3 used the mask of Darknet's published tiny weights for all tiny networks. Keras 2 wrote such a file; what
    was trained with the functions of this package is written by Keras 3.
    """
    if num_anchors != 6 or not _is_written_by_keras_2(path):
        return None
    logger.warning("%s: says no anchor_mask; %s, keras-yolo3's for tiny networks, is used", path, OFFICIAL_TINY_MASK)
    return OFFICIAL_TINY_MASK


def _is_written_by_keras_2(path) -> bool:
    if _kind_of(path) != "hdf5":
        return False
    with _open_hdf5(path) as file:
        version = file.attrs.get("keras_version", "")
    return (version.decode() if isinstance(version, bytes) else str(version)).startswith("2.")


def _kind_of(path) -> str:
    """Return "hdf5" or "zip" by the first bytes of a file; raises ``ValueError`` saying what else it is."""
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(_HDF5_SIGNATURE):
        return "hdf5"
    if start.startswith(_ZIP_SIGNATURE):
        return "zip"
    raise ValueError(f"{path}: expected a Keras file (.h5, .keras), got {_describe(path, start)}")


def _describe(path, start: bytes) -> str:
    head = start.lstrip().lower()
    if not start:
        return "an empty file"
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page; download the file itself"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    if str(path).endswith((".weights", ".cfg")) or start[:4] == b"\0\0\0\0":
        return "what looks like a Darknet file; turn it into .h5 with 'yolo3 convert'"
    return "something else"


def _open_hdf5(path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: expected a whole HDF5 file, got a damaged or truncated one ({error})") from error


def _open_zip(path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: expected a whole .keras file, got a damaged or truncated one ({error})") from error


def load_network(
    path: str | os.PathLike,
    anchors: Sequence | None = None,
    class_names: Sequence[str] | None = None,
    anchor_mask: Sequence[Sequence[int]] | None = None,
):
    """Return (model, metadata or ``None``) from a file of any of the three kinds, or from keras-yolo3.

    A file of weights alone is put into the network that its metadata describes; ``anchors``, ``class_names``
    and ``anchor_mask`` serve where there is no metadata: nine anchors (three scales) mean YOLOv3, six the tiny
    one. The model is not compiled. Inverse: :func:`save_model`. Raises ``ValueError`` in one line.
    """
    metadata = read_metadata(path)
    if _holds_model(path):
        return _load_whole(path), metadata
    given = {"anchors": anchors, "class_names": class_names, "anchor_mask": anchor_mask}
    model = _network_for(path, metadata, given)
    _load_weights(model, path)
    return model, metadata


def _holds_model(path) -> bool:
    if _kind_of(path) == "zip":
        return True
    with _open_hdf5(path) as file:
        return "model_config" in file.attrs


def _load_whole(path):
    import keras

    suffix = {"zip": ".keras", "hdf5": ".h5"}[_kind_of(path)]
    if not str(path).endswith((suffix, ".hdf5")):
        raise ValueError(f"{path}: holds a model in the {suffix} format; rename it so that it ends in {suffix}")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises almost anything here, from KeyError to RuntimeError
        raise ValueError(f"{path}: Keras cannot load this model: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _network_for(path, metadata, given: dict):
    """Build the network that the metadata, completed by what is given, describes."""
    from yolo3.models.registry import architecture_from_metadata

    known = {name: value for name, value in given.items() if value is not None} | (metadata or {})
    try:
        architecture = architecture_from_metadata(known)
        shape = (*known["input_shape"], 3) if architecture.fixed_size else (None, None, 3)
        return architecture.build_network(shape)
    except ValueError as error:
        raise ValueError(f"{path}: holds weights alone; {error}") from error


def _load_weights(model, path) -> None:
    try:
        with _open_hdf5(path) as file:
            if "layer_names" in file.attrs:
                _assign_legacy_weights(model, file)
                return
        if not str(path).endswith(".weights.h5"):
            raise ValueError("holds weights in the .weights.h5 format; rename it so that it ends in .weights.h5")
        model.load_weights(path)
    except Exception as error:  # as in _load_whole
        raise ValueError(f"{path}: its weights do not fit {model.name}: {_first_line(error)}") from error


def _assign_legacy_weights(model, file: h5py.File) -> None:
    """Put the weights of an HDF5 file of Keras 2 into the layers of the same names, or else of the same kind.

    The latter in order of creation: keras-yolo3 creates layers as Darknet does, but names them otherwise.
    """
    stored = {name: _arrays(file[name]) for name in _texts(file.attrs["layer_names"])}
    stored = {name: arrays for name, arrays in stored.items() if arrays}
    own = {layer.name: layer for layer in model.layers if layer.weights}
    if stored.keys() != own.keys():
        _assign_in_order(model, stored)
        return
    for name, arrays in stored.items():
        _set_weights(own[name], arrays)


def _arrays(group: h5py.Group) -> list[np.ndarray]:
    return [np.asarray(group[name]) for name in _texts(group.attrs["weight_names"])]


def _assign_in_order(model, stored: dict[str, list[np.ndarray]]) -> None:
    by_kind: dict[str, list] = {"conv": [], "bn": []}
    for name in sorted(stored, key=_number_at_end):
        by_kind["conv" if stored[name][0].ndim == 4 else "bn"].append(stored[name])
    for kind, weights in by_kind.items():
        layers = sorted((layer for layer in model.layers if layer.name.startswith(kind)), key=_number_of_layer)
        if len(layers) != len(weights):
            raise ValueError(f"expected {len(layers)} layers of kind {kind}, got {len(weights)}")
        for layer, arrays in zip(layers, weights, strict=True):
            _set_weights(layer, arrays)


def _set_weights(layer, arrays) -> None:
    expected, got = [tuple(weight.shape) for weight in layer.weights], [array.shape for array in arrays]
    if expected != got:
        raise ValueError(f"{layer.name}: expected arrays of shape {expected}, got {got}")
    layer.set_weights(arrays)


def _texts(names) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _number_at_end(name: str) -> int:
    """Return 12 for "conv2d_12", 0 for "conv2d": the order in which Keras 2 created layers of one kind."""
    match = re.search(r"_(\d+)$", name)
    return int(match.group(1)) if match else 0


def _number_of_layer(layer) -> int:
    return _number_at_end(layer.name)
