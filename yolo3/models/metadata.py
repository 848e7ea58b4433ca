"""The metadata of a network file, written and read without TensorFlow and Keras.

It is one JSON object, in the attribute ``yolo3`` of the root of an HDF5 file and in the member ``yolo3.json`` of a
``.keras`` file (a zip archive); a ``.keras`` file of a class of :mod:`yolo3.detectors` has it in the config of the
class, as Keras writes it. Its keys are listed in :mod:`yolo3.models.saving`.
"""

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from yolo3.models.hdf5_heaps import check_heaps
from yolo3.models.metadata_fields import parse_metadata, read_member
from yolo3.records import first_line, shown

ATTRIBUTE = "yolo3"
MEMBER = "yolo3.json"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK\x03\x04"
_WEIGHTS_MEMBER = "model.weights.h5"
_CONFIG_MEMBER = "config.json"
_OWN_CLASSES = "yolo3>"  # begins the names under which Keras knows the classes of this package
_MOST_COMPRESSION = 1032  # the most that deflate compresses; Keras does not compress


def format_metadata(metadata: dict[str, Any]) -> str:
    """Return metadata as JSON text: arrays as lists, NumPy numbers as numbers, paths as text.

    Raises:
        TypeError: For values that JSON cannot hold.
    """

    def plain(value):
        if isinstance(value, (np.ndarray, np.generic)):
            return value.tolist()
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        raise TypeError(f"metadata: expected values that JSON can hold, got {type(value).__name__}")

    return json.dumps(metadata, default=plain)


def write_metadata(path: str | os.PathLike, text: str) -> None:
    """Add metadata, as :func:`format_metadata` returns it, to a file of Keras. Inverse: :func:`read_metadata`."""
    if os.fspath(path).endswith(".keras"):
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MEMBER, text)
    else:
        with h5py.File(path, "a") as file:
            file.attrs[ATTRIBUTE] = text


def read_metadata(path: str | os.PathLike) -> dict | None:
    """Return the metadata of a network file, ``None`` for a Keras file that carries none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: In one line, for anything that is not a whole Keras file, and for metadata of the wrong
            type.
    """
    text: Any = None
    if file_kind(path) == "zip":
        config = _detector_config(path)
        if config is not None:
            text = json.dumps(config.get("metadata"))
        with open_zip(path) as archive:
            own = read_member(archive, MEMBER)
            text = text if own is None else own
    else:
        with open_hdf5(path) as file:
            text = file.attrs.get(ATTRIBUTE)
    return None if text is None else parse_metadata(text, path)


def holds_detector(path: str | os.PathLike) -> bool:
    """Return whether a file holds a class of :mod:`yolo3.detectors`, which plain Keras does not know."""
    return file_kind(path) == "zip" and _detector_config(path) is not None


def _detector_config(path) -> dict | None:
    """Return the config of the detector class that a ``.keras`` file holds; ``None`` for a file of anything else."""
    with open_zip(path) as archive:
        content = read_member(archive, _CONFIG_MEMBER)
        if content is None:
            return None
        described = json.loads(content)
        if not isinstance(described, dict) or not str(described.get("registered_name")).startswith(_OWN_CLASSES):
            return None
        config = described.get("config")
        if not isinstance(config, dict):
            raise ValueError(f"expected a JSON object as config, got {shown(config)}")
    return config


def is_keras_file(path: str | os.PathLike) -> bool:
    """Return whether the first bytes of a file are those of HDF5 or of a ``.keras`` file."""
    with open(path, "rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    return start.startswith((_HDF5_SIGNATURE, _ZIP_SIGNATURE))


def file_kind(path: str | os.PathLike) -> str:
    """Return "hdf5" or "zip" by the first bytes of a file.

    Raises:
        ValueError: For any other file, saying what it looks like.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(_HDF5_SIGNATURE):
        return "hdf5"
    if start.startswith(_ZIP_SIGNATURE):
        return "zip"

    head = start.lstrip().lower()
    if not start:
        found = "an empty file"
    elif head.startswith((b"<!doctype", b"<html", b"<?xml")):
        found = "a web page; download the file itself"
    elif head.startswith(b"version https://git-lfs"):
        found = "a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    elif os.fspath(path).endswith((".weights", ".cfg")) or start[:4] == b"\0\0\0\0":
        found = "what looks like a Darknet file; turn it into .h5 with 'yolo3 convert'"
    else:
        found = "something else"
    raise ValueError(f"{path}: expected a Keras file (.h5, .keras), got {found}")


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Provide an HDF5 file for reading; whatever h5py raises in the block is one ``ValueError`` with the file's name.

    Its heaps are checked first: see :mod:`yolo3.models.hdf5_heaps`.
    """
    with _naming_damage(path, "HDF5"):
        with open(path, "rb") as stream:
            check_heaps(stream)
        with h5py.File(path, "r") as file:
            yield file


@contextlib.contextmanager
def open_zip(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    """Provide a ``.keras`` file for reading; whatever is raised in the block is one ``ValueError`` with its name."""
    with _naming_damage(path, ".keras"), zipfile.ZipFile(path) as archive:
        yield archive


def check_array_sizes(path: str | os.PathLike) -> None:
    """Raise ``ValueError`` for a Keras file with an array that claims more bytes than the file stores for it.

    Reading such an array would take memory for all that it claims.
    """

    def check(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            stored = item.id.get_storage_size()
            if item.nbytes > _MOST_COMPRESSION * max(stored, 1):
                raise ValueError(f"{name}: an array of {list(item.shape)}, of which {stored} bytes are stored")

    if file_kind(path) == "hdf5":
        with open_hdf5(path) as file:
            file.visititems(check)
        return
    with open_zip(path) as archive:
        if _WEIGHTS_MEMBER in archive.namelist():
            with archive.open(_WEIGHTS_MEMBER) as member:
                check_heaps(member)  # type: ignore[arg-type]
                with h5py.File(member, "r") as file:
                    file.visititems(check)


@contextlib.contextmanager
def _naming_damage(path: str | os.PathLike, kind: str) -> Iterator[None]:
    with open(path, "rb"):
        pass  # a missing file, or one that may not be read, is no damaged one
    try:
        yield
    except Exception as error:  # h5py and zipfile raise almost anything for a damaged file
        message = f"expected a whole {kind} file, got a damaged or truncated one ({first_line(error)})"
        raise ValueError(f"{path}: {message}") from error
