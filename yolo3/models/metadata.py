"""The metadata of a network file, written and read without TensorFlow and Keras.

It is one JSON object, in the attribute ``yolo3`` of the root of an HDF5 file and in the member ``yolo3.json`` of a
``.keras`` file (a zip archive). Its keys are listed in :mod:`yolo3.models.saving`.
"""

import json
import os
import zipfile
from typing import Any

import h5py
import numpy as np

ATTRIBUTE = "yolo3"
MEMBER = "yolo3.json"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK\x03\x04"
_LISTS = ("class_names", "anchors", "anchor_mask", "input_shape")


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
    if file_kind(path) == "zip":
        with open_zip(path) as archive:
            text = archive.read(MEMBER).decode() if MEMBER in archive.namelist() else None
    else:
        with open_hdf5(path) as file:
            text = file.attrs.get(ATTRIBUTE)

    try:
        metadata = None if text is None else json.loads(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: its yolo3 metadata is not JSON: {error}") from error
    if not isinstance(metadata, dict | None):
        raise ValueError(f"{path}: expected a JSON object as yolo3 metadata, got {metadata!r:.40}")
    for name in _LISTS:
        value = (metadata or {}).get(name)
        if not isinstance(value, list | None):
            raise ValueError(f"{path}: expected a list as '{name}' in its yolo3 metadata, got {value!r:.40}")
    return metadata


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


def open_hdf5(path: str | os.PathLike) -> h5py.File:
    """Return an HDF5 file, open for reading; raise ``ValueError`` for a damaged one."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: expected a whole HDF5 file, got a damaged or truncated one ({error})") from error


def open_zip(path: str | os.PathLike) -> zipfile.ZipFile:
    """Return a ``.keras`` file, open for reading; raise ``ValueError`` for a damaged one."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: expected a whole .keras file, got a damaged or truncated one ({error})") from error
