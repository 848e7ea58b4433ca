"""Arrays in `.npz` files: written whole, read without pickle, and checked before memory is taken for them."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping

import numpy as np

from yolo3.files import atomic_path
from yolo3.records import first_line

_DEFLATE_RATIO = 1032  # the most that deflate compresses (zlib's technical notes)


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays under their names; the file appears whole or not at all. Inverse: :func:`read_arrays`."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read all arrays of an `.npz` file.

    Nothing in the file is executed, and an array whose header claims more bytes than the file holds is refused before
    memory is taken for it.

    Args:
        path: The file.

    Returns:
        The arrays by name.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: In one line, for a damaged file or one of another kind.
    """
    name = ""
    with open(path, "rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                arrays = {}
                for member in archive.infolist():
                    name = member.filename
                    arrays[name.removesuffix(".npy")] = _read_array(archive, member)
                return arrays
        except Exception as error:  # zipfile, zlib and NumPy raise almost anything for a damaged file
            reason = f"{name!r}: {first_line(error)}" if name else first_line(error)
            raise ValueError(f"{path}: expected a whole file of arrays, got a damaged one ({reason})") from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.file_size > _DEFLATE_RATIO * max(member.compress_size, 1):
        raise ValueError(f"claims {member.file_size} bytes, more than it can hold")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"has a header of version {version}")
        shape, _, dtype = read_header[version](file)
        if dtype.hasobject:
            raise ValueError("holds Python objects, which are not read")
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"claims an array of {list(shape)}, more than its {member.file_size} bytes hold")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
