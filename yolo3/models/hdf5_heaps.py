"""Check the heaps of an HDF5 file, in which texts lie: HDF5 2.0 reads a damaged one for ever.

Layout: HDF5 File Format Specification 3.0, section III.E, "Disk Format: Level 1E - Global Heap".
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_SIGNATURE = b"GCOL\x01\x00\x00\x00"  # with version 1, the only one
_HEADER = 16  # bytes, of a collection and of each object in it
_CHUNK = 1 << 20
_LARGEST = 1 << 26  # bytes of a collection; Keras' largest, with the model's JSON, have some hundred KB


def check_heaps(file: BinaryIO) -> None:
    """Raise `ValueError` for a collection with an object that has no size or does not fit into it.

    Args:
        file: An HDF5 file, open for reading and seeking; where it stands is not kept.
    """
    start, kept = 0, b""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        window = kept + chunk
        places = _places(window)
        for place in places:
            _check_collection(file, start - len(kept) + place)
        start += len(chunk)
        kept = window[-len(_SIGNATURE) + 1 :]
        if places:
            file.seek(start)


def _places(window: bytes) -> list[int]:
    places, at = [], window.find(_SIGNATURE)
    while at >= 0:
        places.append(at)
        at = window.find(_SIGNATURE, at + 1)
    return places


def _check_collection(file: BinaryIO, place: int) -> None:
    file.seek(place)
    (size,) = struct.unpack("<8xQ", file.read(_HEADER).ljust(_HEADER, b"\0"))
    if not _HEADER <= size <= _LARGEST:
        raise ValueError(f"a heap of {size} bytes at {place}")
    content = file.read(size - _HEADER)
    if len(content) < size - _HEADER:
        raise ValueError(f"a heap of {size} bytes at {place}, behind which the file ends")

    at = 0
    while len(content) - at >= _HEADER:
        number, length = struct.unpack_from("<H6xQ", content, at)
        # The size of free space, number 0, counts its header; that of an object does not, and is padded to 8 bytes.
        needed = length if number == 0 else _HEADER + (length + 7) // 8 * 8
        if not _HEADER <= needed <= len(content) - at:
            raise ValueError(f"a heap at {place} with an object of {length} bytes where {len(content) - at} are left")
        at += needed
